"""What stops a plan: every conflict at once, each with its reason, its owner and a hint."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from agent.core.appspec.model import AclEntry
from agent.core.deployment import FileExistsBehavior
from agent.core.install_conflicts import MOST_LISTED
from agent.errors import DestinationExistsError, InstallError, PermissionsError

if TYPE_CHECKING:
    from tests.unit.core.install.conftest import Host

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def failure(host: Host, *files: tuple[str, str]) -> InstallError:
    with pytest.raises(InstallError) as caught:
        host.plan(*files)
    return caught.value


def test_disallow_names_the_path_its_user_and_the_way_out(host: Host) -> None:
    host.pack("a")
    host.put("a")
    error = failure(host)
    assert type(error) is DestinationExistsError
    assert f"{host.root}/a: a file is already there and file_exists_behavior is DISALLOW (user " in error.message
    assert error.hint == "remove the file, or set file_exists_behavior to OVERWRITE or RETAIN"


def test_disallow_counts_a_dangling_link_as_there(host: Host) -> None:
    host.pack("a")
    host.put("a", "-> missing")
    assert type(failure(host)) is DestinationExistsError


@as_root
def test_a_user_without_a_name_is_told_by_number(host: Host) -> None:
    host.pack("a")
    os.chown(host.put("a"), 54321, 0)
    assert "(uid 54321)" in failure(host).message


def test_a_path_of_another_group_names_that_group(host: Host) -> None:
    host.pack("a")
    host.put("a")
    host.record("a", group="shop")
    assert "(deployment group 'shop')" in failure(host).message


def test_every_conflict_is_told_at_once(host: Host) -> None:
    host.pack("a", "b", "d/c")
    host.put("a")
    host.put("b")
    host.put("d")
    error = failure(host, ("/", ""), ("missing", "x"), ("../up", "y"))
    assert type(error) is InstallError
    assert len(error.problems) == 5
    assert error.message.startswith("5 problems stop the install, nothing was changed:\n")
    assert all(problem in error.message for problem in error.problems)
    assert error.hint.count(";") == 3


def test_the_message_of_very_many_conflicts_stays_bounded(host: Host) -> None:
    names = [f"f{number}" for number in range(MOST_LISTED + 20)]
    host.pack(*names)
    for name in names:
        host.put(name)
    error = failure(host)
    assert error.message.endswith("and 20 more")
    assert len(error.problems) == MOST_LISTED + 20


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("../x", "leaves the bundle"),
        ("/../x", "leaves the bundle"),
        ("a/../../x", "leaves the bundle"),
        ("//etc/passwd", "begins with two slashes"),
        ("a\0b", "contains a NUL character"),
        ("a\ud800", "contains half of a surrogate pair"),
        ("out/passwd", "leads out of the bundle through a symbolic link"),
        ("out", "leads out of the bundle through a symbolic link"),
    ],
)
def test_a_source_that_leaves_the_bundle_is_refused(host: Host, source: str, reason: str) -> None:
    host.pack("a/b")
    host.pack("out", content="-> /etc")
    error = failure(host, (source, "x"))
    assert reason in error.message
    assert "files at line 4, source" in error.message


@pytest.mark.parametrize(
    ("destination", "reason"),
    [
        ("/srv/\0", "NUL character"),
        ("~nosuchuser/x", "user 'nosuchuser' has no home directory here"),
    ],
)
def test_a_destination_that_is_no_path_is_refused(host: Host, destination: str, reason: str) -> None:
    host.pack("a")
    assert reason in failure(host, ("a", destination)).message


@pytest.mark.parametrize("source", ["missing", "a/below", "A", "*.txt"])
def test_a_source_that_is_not_there_is_told_before_anything_changes(host: Host, source: str) -> None:
    host.pack("a")
    error = failure(host, (source, "x"))
    assert error.message == f"{source}: the bundle holds nothing of this name (files at line 4)"
    assert "letter case counts" in error.hint


def test_special_files_in_the_bundle_are_refused_by_name(host: Host) -> None:
    os.mkfifo(host.bundle / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(host.bundle / "sock"))
    error = failure(host)
    assert [problem.split(":")[0] for problem in error.problems] == [f"{host.bundle}/pipe", f"{host.bundle}/sock"]


def test_a_special_file_on_the_host_is_not_overwritten(host: Host) -> None:
    host.pack("a")
    os.mkfifo(host.root / "a")
    host.behavior = FileExistsBehavior.OVERWRITE
    assert "a FIFO, socket or device node is there" in failure(host).message


@pytest.mark.parametrize("behavior", [FileExistsBehavior.DISALLOW, FileExistsBehavior.OVERWRITE])
def test_a_directory_is_never_replaced_by_a_file(host: Host, behavior: FileExistsBehavior) -> None:
    host.pack("a")
    host.put("a/")
    host.behavior = behavior
    assert "a file is to go here and a directory is there" in failure(host).message


def test_a_recorded_tree_with_somebody_elses_file_is_not_replaced(host: Host) -> None:
    host.pack("x")
    host.put("x/ours")
    host.put("x/upload.jpg")
    host.record("x")
    host.record("x/ours")
    error = failure(host)
    assert error.message.startswith(f"{host.root}/x/upload.jpg: a file is to replace the directory above")


@as_root
def test_a_link_of_somebody_else_below_a_destination_is_not_followed(host: Host) -> None:
    host.pack("media/a")
    host.put("disk/")
    os.chown(host.put("media", "-> disk"), 12345, 0, follow_symlinks=False)
    error = failure(host)
    assert error.message.startswith(f"{host.root}/media: a directory is needed here and a symbolic link of somebody")
    assert "chown -h" in error.hint


def test_a_link_that_leads_nowhere_is_not_made_into_a_directory(host: Host) -> None:
    host.pack("a")
    host.put("www", "-> unmounted")
    assert "make (or mount) the directory" in failure(host, ("a", "www")).hint


def test_two_names_of_one_real_path_are_two_sources(host: Host) -> None:
    host.pack("1/a", "2/a")
    host.put("disk/")
    host.put("www", "-> disk")
    error = failure(host, ("1", "disk"), ("2", "www"))
    assert "disk/a: more than one entry of files puts something here (another mapping in the AppSpec: lines 4, 5)" in (
        error.message
    )


def test_an_unreadable_place_is_an_install_error(host: Host) -> None:
    host.pack("a")
    assert "cannot be read: File name too long" in failure(host, ("a", "n" * 300)).message


# The install-planning cases of docs/appspec.md, by their numbers.


def test_i1_two_sources_for_one_destination(host: Host) -> None:
    host.pack("a", "d/a")
    assert "more than one entry of files" in failure(host, ("a", "x"), ("d", "x")).message


def test_i1_a_file_where_a_directory_is_planned(host: Host) -> None:
    host.pack("1/x", "2/x/y")
    assert "more than one entry of files" in failure(host, ("1", ""), ("2", "")).message


def test_i1_a_directory_where_a_file_is_planned(host: Host) -> None:
    host.pack("x", "a")
    assert "more than one entry of files" in failure(host, ("x", ""), ("a", "x/y")).message


def refusal(host: Host, *entries: object) -> PermissionsError:
    with pytest.raises(PermissionsError) as caught:
        host.plan(permissions=entries)  # type: ignore[arg-type]  # made by host.entry
    return caught.value


def test_i2_two_entries_for_one_file(host: Host) -> None:
    host.pack("d/a", "d/b")
    error = refusal(host, host.entry("d", mode=0o600), host.entry("d/a", mode=0o644))
    assert error.problems == (f"permissions: {host.root}/d/a is meant by more than one entry (lines 9, 9)",)


def test_i3_target_exists_and_disallow(host: Host) -> None:
    host.pack("a")
    host.put("a")
    assert f"{host.root}/a" in failure(host).message


def test_i5_and_i6_a_file_object_takes_neither_pattern_nor_except(host: Host) -> None:
    host.pack("a")
    error = refusal(host, host.entry("a", pattern="x", except_=("y",)))
    assert "pattern must be '**' or absent, not 'x'" in error.problems[0]
    assert "except must be absent, not ['y']" in error.problems[1]


def test_i8_a_default_acl_on_a_file(host: Host) -> None:
    host.pack("a", "d/b")
    default = (AclEntry(default=True, kind="user", name="", perms="rwx"),)
    error = refusal(host, host.entry("a", acls=default), host.entry("d", acls=default))
    assert "the object is a file, and default ACL entries are for directories only" in error.problems[0]
    assert "matches the file" in error.problems[1]


def test_i15_a_missing_source_is_found_while_planning(host: Host) -> None:
    assert "holds nothing of this name" in failure(host, ("nothing", "x")).message


@pytest.mark.parametrize("behavior", FileExistsBehavior)
def test_i16_i17_a_file_where_a_directory_must_be(host: Host, behavior: FileExistsBehavior) -> None:
    host.pack("d/a")
    host.put("d")
    host.behavior = behavior
    assert "a directory is needed here and something else is there" in failure(host).message
    assert "a directory is needed here" in failure(host, ("d", "d/deeper")).message


@pytest.mark.parametrize("name", ["nosuchuser", "1000"])
def test_unknown_and_numeric_owners_and_groups_are_all_told(host: Host, name: str) -> None:
    host.pack("d/a", "b")
    error = refusal(host, host.entry("d", owner=name), host.entry("b", group=name))
    assert [problem.split(": ", 1)[1][:5] for problem in error.problems] == ["owner", "group"]
    assert ("numeric ids are not taken" in error.message) is name.isdecimal()
    assert "create the users and groups before Install" in error.hint


def test_permission_problems_and_conflicts_come_in_one_error(host: Host) -> None:
    host.pack("a", "b")
    host.put("a")
    with pytest.raises(InstallError) as caught:
        host.plan(permissions=(host.entry("b", owner="nosuchuser"),))
    assert type(caught.value) is InstallError
    assert len(caught.value.problems) == 2
