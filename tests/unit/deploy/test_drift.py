import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.install_model import Kind, Recorded
from agent.deploy.drift import Drift, DriftKind, find_drift

Tree = dict[str, Path]


def record(path: Path, **changes: object) -> Recorded:
    found = path.lstat()
    kinds = {stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.SYMLINK, stat.S_IFDIR: Kind.DIRECTORY}
    kind = kinds[stat.S_IFMT(found.st_mode)]
    content = {
        Kind.FILE: lambda: hashlib.sha256(path.read_bytes()).digest(),
        Kind.SYMLINK: lambda: hashlib.sha256(os.fsencode(os.readlink(path))).digest(),
    }
    fields: dict[str, object] = {
        "path": os.fsencode(path),
        "group_id": "group",
        "deployment_id": "d-1",
        "kind": kind,
        "mode": stat.S_IMODE(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "ino": found.st_ino,
        "ctime_ns": found.st_ctime_ns,
        "sha256": content.get(kind, lambda: None)(),
        "acl": None,
        "context": None,
        **changes,
    }
    return Recorded(**fields)  # type: ignore[arg-type]  # fields as named above


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = Path(os.path.realpath(tmp_path)) / "www"
    root.mkdir(mode=0o755)
    (root / "file").write_text("one\n")
    (root / "link").symlink_to("file")
    return {"root": root, "file": root / "file", "link": root / "link"}


def drift_after(tree: Tree, change: Callable[[Tree], object], *, checksum: bool = False) -> list[tuple[str, DriftKind]]:
    records = [record(path) for path in tree.values()]
    change(tree)
    found = find_drift(records, checksum=checksum)
    return [(os.path.basename(os.fsdecode(drift.path)), drift.problem) for drift in found]


def _replace_with_directory(tree: Tree) -> None:
    tree["file"].unlink()
    tree["file"].mkdir()


def _relink(tree: Tree) -> None:
    tree["link"].unlink()
    tree["link"].symlink_to("elsewhere")


def _move_folder_behind_a_link(tree: Tree) -> None:
    tree["root"].rename(tree["root"].with_name("moved"))
    tree["root"].symlink_to("moved")


CASES = [
    pytest.param(lambda _: None, [], id="nothing"),
    pytest.param(lambda tree: tree["file"].unlink(), [("file", DriftKind.MISSING)], id="missing"),
    pytest.param(lambda tree: tree["file"].write_text("longer\n"), [("file", DriftKind.MODIFIED)], id="size"),
    pytest.param(lambda tree: tree["file"].write_text("two\n"), [("file", DriftKind.MODIFIED)], id="content"),
    pytest.param(lambda tree: tree["file"].chmod(0o600), [("file", DriftKind.MODE)], id="mode"),
    pytest.param(lambda tree: tree["root"].chmod(0o700), [("www", DriftKind.MODE)], id="folder-mode"),
    pytest.param(lambda tree: os.utime(tree["file"]), [], id="only-touched"),
    pytest.param(_replace_with_directory, [("file", DriftKind.REPLACED)], id="other-kind"),
    pytest.param(_relink, [("link", DriftKind.MODIFIED)], id="other-target"),
    pytest.param(
        _move_folder_behind_a_link,
        [("www", DriftKind.REPLACED), ("file", DriftKind.REPLACED), ("link", DriftKind.REPLACED)],
        id="folder-is-a-link",
    ),
]


@pytest.mark.parametrize(("change", "expected"), CASES)
def test_drift_is_told_by_kind(
    tree: Tree, change: Callable[[Tree], object], expected: list[tuple[str, DriftKind]]
) -> None:
    assert drift_after(tree, change) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_owner_is_drift(tree: Tree) -> None:
    assert drift_after(tree, lambda tree: os.lchown(tree["link"], 1, 1)) == [("link", DriftKind.OWNER)]


def test_a_file_whose_identity_is_as_recorded_is_read_only_on_request(tree: Tree) -> None:
    wrong = record(tree["file"], sha256=b"x" * 32)
    assert list(find_drift([wrong])) == []
    assert list(find_drift([wrong], checksum=True)) == [
        Drift(path=wrong.path, problem=DriftKind.MODIFIED, detail="other content of the same size")
    ]


def test_what_was_taken_over_without_a_digest_is_compared_by_size_alone(tree: Tree) -> None:
    taken = record(tree["file"], sha256=None)
    tree["file"].write_text("two\n")
    assert list(find_drift([taken])) == []
    tree["file"].write_text("longer\n")
    assert [drift.problem for drift in find_drift([taken])] == [DriftKind.MODIFIED]


def test_an_acl_that_went_away_is_drift(tree: Tree) -> None:
    asked = record(tree["file"], acl="user::rw-,user:1:r--,group::r--,mask::r--,other::r--")
    (drift,) = find_drift([asked])
    assert drift.problem is DriftKind.ACL
    assert drift.detail.endswith("is user::rw-,group::r--,other::r--")


def test_a_label_that_is_not_there_is_drift(tree: Tree) -> None:
    (drift,) = find_drift([record(tree["file"], context="system_u:object_r:httpd_sys_content_t:s0")])
    assert drift.problem is DriftKind.CONTEXT
