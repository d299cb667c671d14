"""ACLs as the planner completes them are what setfacl leaves and the kernel stores."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.core.acl import access_acl, acl_text, decode_acl, default_acl, duplicates, encode_acl, mode_under, stored_acl
from agent.core.appspec.model import AclEntry

needs_setfacl = pytest.mark.skipif(shutil.which("setfacl") is None, reason="setfacl (package acl) is not installed")


def entry(text: str) -> AclEntry:
    default = text.startswith("default:")
    kind, name, perms = text.removeprefix("default:").split(":")
    return AclEntry(default=default, kind=kind, name=name, perms=perms)


def texts(acl: tuple[AclEntry, ...] | None) -> list[str]:
    return [str(one) for one in acl or ()]


def test_base_entries_come_from_the_mode() -> None:
    assert texts(access_acl((), 0o751)) == ["user::rwx", "group::r-x", "other::--x"]


def test_a_named_entry_asks_for_a_mask_of_the_groups_permissions() -> None:
    acl = access_acl([entry("group:7:rwx"), entry("user:9:r--")], 0o640)
    assert texts(acl) == ["user::rw-", "user:9:r--", "group::r--", "group:7:rwx", "mask::r--", "other::---"]


def test_a_given_mask_stays_and_shows_in_the_mode() -> None:
    acl = access_acl([entry("user:9:rwx"), entry("mask::rwx")], 0o640)
    assert "mask::rwx" in texts(acl)
    assert mode_under(acl, 0o4640) == 0o4670


def test_without_a_mask_the_mode_is_as_it_was() -> None:
    assert mode_under(access_acl((), 0o640), 0o640) == 0o640


def test_named_entries_are_ordered_by_number() -> None:
    acl = access_acl([entry("user:10:r--"), entry("user:9:r--")], 0o600)
    assert texts(acl)[1:3] == ["user:9:r--", "user:10:r--"]


def test_no_default_entry_means_no_word_on_the_default_acl() -> None:
    assert default_acl([entry("user:9:rwx")], 0o755) is None


def test_a_default_acl_is_completed_with_the_defaults_own_group_as_mask() -> None:
    acl = default_acl([entry("default:user:9:rwx"), entry("default:group::--x")], 0o755)
    assert texts(acl) == [
        "default:user::rwx",
        "default:user:9:rwx",
        "default:group::--x",
        "default:mask::--x",
        "default:other::r-x",
    ]


def test_duplicates_are_found_within_one_list_only() -> None:
    given = [entry("user:9:r--"), entry("default:user:9:r--"), entry("user:9:rw-"), entry("mask::r--")]
    assert texts(duplicates(given)) == ["user:9:rw-"]


def test_text_holds_both_lists() -> None:
    text = acl_text(access_acl((), 0o700), default_acl([entry("default:other::r--")], 0o700))
    assert text == "user::rwx,group::---,other::---,default:user::rwx,default:group::---,default:other::r--"


def test_decoding_is_the_inverse_of_encoding() -> None:
    acl = access_acl([entry("user:9:rw-"), entry("group:7:--x")], 0o751)
    assert decode_acl(encode_acl(acl), default=False) == acl
    assert decode_acl(b"", default=False) == ()


@needs_setfacl
@pytest.mark.parametrize("mode", [0o640, 0o4755])
@pytest.mark.parametrize("given", [[], ["user:9:rw-"], ["group:7:rwx", "mask::r--"], ["mask::rw-"]])
def test_the_kernel_holds_what_setfacl_would_have_set(tmp_path: Path, mode: int, given: list[str]) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    acl = access_acl([entry(text) for text in given], mode)
    for path in (ours, theirs):
        path.touch()
        path.chmod(mode)
    try:
        os.setxattr(ours, "system.posix_acl_access", encode_acl(acl))
    except OSError:
        pytest.skip("the file system of the temporary folder has no ACLs")
    base = [str(one) for one in access_acl((), mode)]
    mask = [text for text in texts(acl) if text.startswith("mask")]
    subprocess.run(["setfacl", "--set", ",".join([*base, *{*given, *mask}]), theirs], check=True)
    assert attribute(ours) == attribute(theirs) == stored_acl(acl, default=False)
    assert ours.stat().st_mode == theirs.stat().st_mode
    assert ours.stat().st_mode & 0o7777 == mode_under(acl, mode)


def attribute(path: Path) -> bytes:
    try:
        return os.getxattr(path, "system.posix_acl_access")
    except OSError:
        return b""
