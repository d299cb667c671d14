"""Accounts of this host."""

import os
import pwd

import pytest

from agent.errors import UnknownUserError
from agent.host.users import current_user, find_user


def test_a_user_is_found_with_its_groups_home_and_shell() -> None:
    entry = pwd.getpwnam("nobody")
    user = find_user("nobody")
    assert (user.name, user.uid, user.gid) == ("nobody", entry.pw_uid, entry.pw_gid)
    assert (user.home, user.shell) == (entry.pw_dir, entry.pw_shell)
    assert user.gid in user.groups


def test_an_unknown_user_is_named() -> None:
    with pytest.raises(UnknownUserError, match="user 'no such user' does not exist on this host") as caught:
        find_user("no such user")
    assert "useradd" in caught.value.hint


def test_a_number_is_no_user_name() -> None:
    with pytest.raises(UnknownUserError) as caught:
        find_user("0")
    assert caught.value.hint == "write the user's name, not its number"


def test_a_name_with_a_nul_is_unknown() -> None:
    with pytest.raises(UnknownUserError):
        find_user("root\0")


def test_the_current_user_is_ours() -> None:
    assert current_user().uid == os.geteuid()
