"""Staging puts content under hidden names, complete in every attribute."""

import os
import stat
from pathlib import Path

import pytest

from agent.core.appspec.model import AclEntry
from agent.core.install_model import Attributes, InstallPlan, MakeDirectory, WriteFile, WriteLink
from agent.core.install_steps import TempNames
from agent.core.staging_plan import InstallInput, StagingPlan, plan_staging
from agent.errors import InstallError
from agent.host.staging import Staged, stage

NAMES = TempNames(token="0123456789ab")
ACL = tuple(
    AclEntry(default=False, kind=kind, name=name, perms=perms)
    for kind, name, perms in (
        ("user", "", "rw-"), ("user", "1", "r--"), ("group", "", "r--"), ("mask", "", "r--"), ("other", "", "---"),
    )
)  # fmt: skip


def write(folder: Path, source: Path, attributes: Attributes, *, name: str = "file", size: int = -1) -> WriteFile:
    return WriteFile(
        path=os.fsencode(folder / name),
        source=os.fsencode(source),
        size=source.stat().st_size if size < 0 else size,
        sha256=b"known" * 4,
        attributes=attributes,
    )


def run(plan: InstallPlan) -> tuple[StagingPlan, Staged, list[int]]:
    staging = plan_staging(InstallInput(plan=plan), NAMES)
    told: list[int] = []
    return staging, stage(staging, told.append), told


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/source").write_bytes(b"content" * 1000)
    return tmp_path / "archive/source"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def test_a_staged_file_is_final_but_for_its_name(source: Path, site: Path) -> None:
    attributes = Attributes(mode=0o4640, uid=1, gid=2, mtime_ns=1_500_000_000_000_000_001)
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    _, staged, told = run(InstallPlan(files=(write(site, source, attributes),)))
    (name,) = os.listdir(site)
    status = os.stat(site / name)
    assert name.startswith(".deploy-agent-0123456789ab-")
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o4640, 1, 2)
    assert status.st_mtime_ns == 1_500_000_000_000_000_001
    assert (site / name).read_bytes() == source.read_bytes()
    assert staged.inodes == {os.fsencode(site / "file"): status.st_ino}
    assert sum(told) == 7000


def test_an_acl_is_set_on_what_is_staged(source: Path, site: Path) -> None:
    run(InstallPlan(files=(write(site, source, Attributes(mode=0o640, acl=ACL)),)))
    (name,) = os.listdir(site)
    assert len(os.getxattr(site / name, "system.posix_acl_access")) == 4 + 5 * 8


def test_a_new_directory_is_staged_whole_under_one_name(source: Path, site: Path) -> None:
    new = os.fsencode(site / "new")
    plan = InstallPlan(
        directories=(
            MakeDirectory(path=new, attributes=Attributes(mode=0o750)),
            MakeDirectory(path=new + b"/sub", attributes=Attributes(mode=0o555)),
        ),
        files=(write(site / "new/sub", source, Attributes(mode=0o600)),),
        links=(WriteLink(path=new + b"/link", target=b"sub/file", attributes=Attributes()),),
    )
    staging, staged, _ = run(plan)
    (name,) = os.listdir(site)
    assert staging.folders == (os.fsencode(site),)
    assert staging.units == {new: os.fsencode(name)}
    assert staged.inodes[new] == os.stat(site / name).st_ino
    assert stat.S_IMODE(os.stat(site / name).st_mode) == 0o750
    assert stat.S_IMODE(os.stat(site / name / "sub").st_mode) == 0o555
    assert (site / name / "link").read_bytes() == source.read_bytes()


def test_a_digest_nobody_knew_is_taken_while_copying(source: Path, site: Path) -> None:
    import hashlib

    file = WriteFile(
        path=os.fsencode(site / "file"), source=os.fsencode(source), size=7000, sha256=None, attributes=Attributes()
    )
    _, staged, _ = run(InstallPlan(files=(file,)))
    assert staged.digests == {file.path: hashlib.sha256(source.read_bytes()).digest()}


def test_a_sparse_file_stays_sparse(tmp_path: Path, site: Path) -> None:
    size = 64 * 1024 * 1024
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(size)
        file.seek(1024 * 1024)
        file.write(b"data")
    _, _, told = run(InstallPlan(files=(write(site, tmp_path / "sparse", Attributes()),)))
    (name,) = os.listdir(site)
    status = os.stat(site / name)
    assert status.st_size == size
    assert status.st_blocks * 512 < size // 8
    with open(site / name, "rb") as copy:
        copy.seek(1024 * 1024)
        assert copy.read(5) == b"data\0"
    assert sum(told) == size


def test_a_source_that_changed_size_is_refused(source: Path, site: Path) -> None:
    with pytest.raises(InstallError, match="changed while it was being installed") as caught:
        run(InstallPlan(files=(write(site, source, Attributes(), size=1),)))
    assert "nothing may write to the deployment archive" in caught.value.hint


def test_a_source_that_became_a_fifo_is_refused(source: Path, site: Path) -> None:
    source.unlink()
    os.mkfifo(source)
    with pytest.raises(InstallError, match="changed while it was being installed"):
        run(InstallPlan(files=(write(site, source, Attributes(), size=0),)))


def test_a_missing_folder_is_named(source: Path, site: Path) -> None:
    with pytest.raises(InstallError, match="site/missing': opening the folder failed: No such file or directory"):
        run(InstallPlan(files=(write(site / "missing", source, Attributes()),)))


def test_hidden_names_have_one_length() -> None:
    assert len({len(NAMES.name(number)) for number in (0, 9, 10_000, 10_000_000)}) == 1


def test_a_directory_that_cannot_be_made_is_named_as_it_will_be(tmp_path: Path) -> None:
    directory = MakeDirectory(path=os.fsencode(tmp_path / "missing/new"), attributes=Attributes(mode=0o755))
    with pytest.raises(InstallError, match="missing/new': making the directory failed: No such file or directory"):
        run(InstallPlan(directories=(directory,)))
