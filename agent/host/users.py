"""Accounts of this host: a user's ids, groups, home and shell. Changes nothing."""

import os
import pwd
from dataclasses import dataclass

from agent.errors import UnknownUserError


@dataclass(frozen=True, slots=True, kw_only=True)
class UserIds:
    """What a process takes on to be this user. `groups` are the supplementary ones, the primary group included."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str


def find_user(name: str) -> UserIds:
    """Return the account called `name`; a number is a name like any other, as `su` sees it.

    Raises:
        UnknownUserError: no such account, or its groups cannot be read.
    """
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError) as exc:
        hint = f"create it (useradd --system {name}) or name one that exists"
        if name.isdecimal():
            hint = "write the user's name, not its number"
        raise UnknownUserError(f"user {name!r} does not exist on this host", hint=hint) from exc
    return _ids(entry)


def current_user() -> UserIds:
    """Return the account this process runs as; a user id without an account gets its number as name and `/` as home."""
    uid = os.geteuid()
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        gid, groups = os.getegid(), tuple(os.getgroups())
        return UserIds(name=str(uid), uid=uid, gid=gid, groups=groups, home="/", shell="")
    return _ids(entry)


def _ids(entry: pwd.struct_passwd) -> UserIds:
    return UserIds(
        name=entry.pw_name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        groups=tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)),
        home=entry.pw_dir,
        shell=entry.pw_shell,
    )
