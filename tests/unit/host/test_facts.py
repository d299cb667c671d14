"""What is read of real trees, and what is not read: content of another size, and what lies behind foreign links."""

import os
from pathlib import Path

import pytest

from agent.core.appspec.model import AppSpec, FileMapping, PermissionEntry, Position
from agent.core.deployment import FileExistsBehavior
from agent.core.install_facts import HostFacts, InstallRequest
from agent.core.install_model import Kind, Recorded
from agent.errors import InstallError
from agent.host.facts import gather_facts

P = Position(line=1, column=1)
OLD = b"\x01" * 32


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """An archive and a destination, both empty."""
    archive, destination = tmp_path.resolve() / "archive", tmp_path.resolve() / "srv"
    archive.mkdir()
    destination.mkdir()
    return archive, destination


def request(trees: tuple[Path, Path], **values: object) -> InstallRequest:
    archive, destination = trees
    mapping = FileMapping(source="/", destination=str(destination), position=P)
    permissions = values.pop("permissions", ())
    return InstallRequest(
        **{  # type: ignore[arg-type]  # a table of overrides
            "appspec": AppSpec(files=(mapping,), permissions=permissions),  # type: ignore[arg-type]
            "behavior": FileExistsBehavior.OVERWRITE,
            "group_id": "blog",
            "deployment_id": "d-2",
            "archive": os.fsencode(archive),
            "cwd": b"/",
            **values,
        }
    )


def gather(trees: tuple[Path, Path], **values: object) -> HostFacts:
    return gather_facts(request(trees, **values))


def record(path: Path, **changes: object) -> dict[bytes, Recorded]:
    status = path.lstat()
    values: dict[str, object] = {
        "path": os.fsencode(path),
        "group_id": "blog",
        "deployment_id": "d-1",
        "kind": Kind.FILE,
        "mode": status.st_mode & 0o7777,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ino": status.st_ino,
        "ctime_ns": status.st_ctime_ns,
        "sha256": OLD,
        "acl": None,
        "context": None,
        **changes,
    }
    return {os.fsencode(path): Recorded(**values)}  # type: ignore[arg-type]


def test_entries_come_parents_first_and_in_order(trees: tuple[Path, Path]) -> None:
    archive, destination = trees
    (archive / "b/c").mkdir(parents=True)
    for name in ("b/c/2", "b/c/1", "a", "d"):
        (archive / name).touch()
    (tree,) = gather(trees).trees
    names = [os.path.relpath(entry.path, os.fsencode(destination)) for entry in tree.entries]
    assert names == [b"a", b"b", b"d", b"b/c", b"b/c/1", b"b/c/2"]


def test_a_link_is_described_as_itself(trees: tuple[Path, Path]) -> None:
    archive, _ = trees
    (archive / "l").symlink_to("/etc")
    (entry,) = gather(trees).trees[0].entries
    assert (entry.found.kind, entry.found.link) == (Kind.SYMLINK, b"/etc")


def test_a_digest_from_unpacking_is_taken_while_the_file_is_the_same(trees: tuple[Path, Path]) -> None:
    archive, _ = trees
    (archive / "a").write_text("x")
    status = (archive / "a").stat()
    known = {b"a": (1, status.st_ino, status.st_ctime_ns, OLD)}
    assert gather(trees, archive_digests=known).trees[0].entries[0].sha256 == OLD
    stale = {b"a": (1, status.st_ino, status.st_ctime_ns - 1, OLD)}
    assert gather(trees, archive_digests=stale).trees[0].entries[0].sha256 is None


def test_a_recorded_digest_is_taken_while_the_file_is_the_same(trees: tuple[Path, Path]) -> None:
    archive, destination = trees
    (archive / "a").write_text("x")
    (destination / "a").write_text("y")
    target = os.fsencode(destination / "a")
    assert gather(trees, recorded=record(destination / "a")).digests == {target: OLD}
    assert gather(trees, recorded=record(destination / "a", ctime_ns=1)).digests[target] != OLD


def test_content_of_another_size_is_not_read(trees: tuple[Path, Path]) -> None:
    archive, destination = trees
    (archive / "a").write_text("x")
    (destination / "a").write_text("longer")
    facts = gather(trees)
    assert facts.digests == {}
    assert facts.trees[0].entries[0].sha256 is None


def test_content_that_may_not_be_replaced_is_not_read(trees: tuple[Path, Path]) -> None:
    archive, destination = trees
    (archive / "a").write_text("x")
    (destination / "a").write_text("x")
    assert gather(trees, behavior=FileExistsBehavior.DISALLOW).digests == {}


@pytest.mark.parametrize("extra", [0, 3000])
def test_many_names_are_found_in_small_and_in_crowded_folders(trees: tuple[Path, Path], extra: int) -> None:
    archive, destination = trees
    for number in range(20):
        (archive / f"f{number}").touch()
    for number in range(extra):
        (destination / f"other{number}").touch()
    (destination / "f7").touch()
    present = gather(trees).present
    assert os.fsencode(destination / "f7") in present
    assert os.fsencode(destination / "f8") not in present


def test_a_very_deep_tree_is_walked(trees: tuple[Path, Path]) -> None:
    archive, _ = trees
    folders = [archive.joinpath(*["d"] * depth) for depth in range(1, 1201)]
    for folder in folders:
        folder.mkdir()
    try:
        assert len(gather(trees).trees[0].entries) == 1200
    finally:
        for folder in reversed(folders):  # too deep for the recursive removal of a test folder
            folder.rmdir()


def test_recorded_paths_are_looked_at_and_missing_ones_are_absent(trees: tuple[Path, Path]) -> None:
    _, destination = trees
    (destination / "old").touch()
    (destination / "gone").touch()
    records = record(destination / "old") | record(destination / "gone")
    (destination / "gone").unlink()
    present = gather(trees, recorded=records).present
    assert os.fsencode(destination / "old") in present
    assert os.fsencode(destination / "gone") not in present


def test_a_recorded_path_behind_a_link_is_unreachable(trees: tuple[Path, Path]) -> None:
    _, destination = trees
    (destination / "d").mkdir()
    (destination / "d/a").touch()
    records = record(destination / "d/a")
    (destination / "d").rename(destination / "e")
    (destination / "d").symlink_to("e")
    facts = gather(trees, recorded=records)
    assert facts.unreachable == {os.fsencode(destination / "d/a")}
    assert os.fsencode(destination / "d/a") not in facts.present


def test_a_recorded_directory_under_a_file_is_listed(trees: tuple[Path, Path]) -> None:
    archive, destination = trees
    (archive / "x").touch()
    (destination / "x/y").mkdir(parents=True)
    (destination / "x/y/z").touch()
    contents = gather(trees, recorded=record(destination / "x", kind=Kind.DIRECTORY)).contents
    (listed,) = contents.values()
    assert listed.is_complete
    assert listed.paths == (os.fsencode(destination / "x/y"), os.fsencode(destination / "x/y/z"))


def test_the_listing_of_foreign_files_is_bounded(trees: tuple[Path, Path]) -> None:
    archive, destination = trees
    (archive / "x").touch()
    (destination / "x").mkdir()
    for number in range(300):
        (destination / f"x/{number}").touch()
    (listed,) = gather(trees, recorded=record(destination / "x", kind=Kind.DIRECTORY)).contents.values()
    assert not listed.is_complete
    assert len(listed.paths) < 300


def test_acls_are_read_only_where_the_appspec_speaks_of_them(trees: tuple[Path, Path]) -> None:
    archive, destination = trees
    for name in ("a", "b"):
        (archive / name).touch()
        (destination / name).touch()
    entry = PermissionEntry(object=str(destination / "a"), acls=(), position=P)
    assert gather(trees).acls == {}
    assert gather(trees, permissions=(entry,)).acls == {os.fsencode(destination / "a"): (b"", b"")}


def test_names_are_looked_up_and_unknown_ones_left_out(trees: tuple[Path, Path]) -> None:
    entries = (
        PermissionEntry(object="/a", owner="root", group="nosuchgroup", position=P),
        PermissionEntry(object="/b", owner="0", position=P),
        PermissionEntry(object="/c", owner="a\0b", position=P),
    )
    facts = gather(trees, permissions=entries)
    assert (facts.users, facts.groups) == ({"root": 0}, {})


def test_the_umask_is_read_without_being_set(trees: tuple[Path, Path]) -> None:
    before = os.umask(0o027)
    try:
        assert gather(trees).umask == 0o027
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(trees: tuple[Path, Path]) -> None:
    archive, _ = trees
    (archive / "closed").mkdir(mode=0)
    with pytest.raises(InstallError, match="closed: cannot be read: Permission denied"):
        gather(trees)
