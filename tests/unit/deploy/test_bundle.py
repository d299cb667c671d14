"""From a fetched bundle or a local folder to the deployment archive."""

import os
import subprocess
from pathlib import Path

import pytest

from agent.core.layout import DeploymentDir
from agent.core.revision import BundleType, LocalDirectoryRevision, LocalFileRevision
from agent.deploy.bundle import open_bundle
from agent.errors import BundleError, CancelledDeploymentError


@pytest.fixture
def folder(tmp_path: Path) -> DeploymentDir:
    path = tmp_path / "root/group/d-1"
    path.mkdir(parents=True)
    return DeploymentDir(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/appspec.yml").write_text("version: 0.0\n")
    return tmp_path / "source"


@pytest.fixture
def archive(source: Path, tmp_path: Path, folder: DeploymentDir) -> LocalFileRevision:
    """A tgz, declared `tar` as GitHub's are, already fetched."""
    subprocess.run(["tar", "-czf", tmp_path / "bundle.tgz", "-C", source, "."], check=True)
    folder.bundle.symlink_to(tmp_path / "bundle.tgz")
    return LocalFileRevision(path=tmp_path / "bundle.tgz", bundle_type=BundleType.TAR)


def test_an_archive_becomes_the_deployment_archive(archive: LocalFileRevision, folder: DeploymentDir) -> None:
    unpacked = open_bundle(archive, folder)
    assert [file.path for file in unpacked.files] == [b"appspec.yml"]
    assert unpacked.bundle_type is BundleType.TGZ
    assert sorted(os.listdir(folder.path)) == ["bundle.tar", "deployment-archive"]
    assert os.listdir(folder.archive) == ["appspec.yml"]


def test_opening_again_replaces_what_was_there(archive: LocalFileRevision, folder: DeploymentDir) -> None:
    folder.archive.mkdir()
    (folder.archive / "old").touch()
    folder.archive_temp.mkdir()
    (folder.archive_temp / "half").touch()
    open_bundle(archive, folder)
    open_bundle(archive, folder)
    assert os.listdir(folder.archive) == ["appspec.yml"]
    assert not folder.archive_temp.exists()


def test_a_folder_is_copied(source: Path, folder: DeploymentDir) -> None:
    unpacked = open_bundle(LocalDirectoryRevision(path=source), folder)
    assert unpacked.bundle_type is BundleType.DIRECTORY
    assert (folder.archive / "appspec.yml").read_text() == "version: 0.0\n"


@pytest.mark.parametrize("below", ["group/d-1", ".deploy-agent/dry-run/d-1"])
def test_the_deployment_root_below_the_source_is_left_out(source: Path, below: str) -> None:
    (source / "root/other").mkdir(parents=True)
    folder = DeploymentDir(source / "root" / below)
    folder.path.mkdir(parents=True)
    open_bundle(LocalDirectoryRevision(path=source), folder)
    assert os.listdir(folder.archive) == ["appspec.yml"]


def test_a_failure_keeps_the_old_archive_and_leaves_no_debris(
    archive: LocalFileRevision, folder: DeploymentDir
) -> None:
    open_bundle(archive, folder)
    archive.path.write_bytes(archive.path.read_bytes()[:-20])
    with pytest.raises(BundleError):
        open_bundle(archive, folder)
    assert os.listdir(folder.archive) == ["appspec.yml"]
    assert sorted(os.listdir(folder.path)) == ["bundle.tar", "deployment-archive"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, CancelledDeploymentError])
@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_cancelling_leaves_no_debris(
    archive: LocalFileRevision, source: Path, folder: DeploymentDir, error: type[BaseException], kind: str
) -> None:
    def cancel(done: int, total: int | None) -> None:
        raise error("stopped")

    revision = archive if kind == "archive" else LocalDirectoryRevision(path=source)
    with pytest.raises(error):
        open_bundle(revision, folder, progress=cancel)
    assert os.listdir(folder.path) == ["bundle.tar"]
