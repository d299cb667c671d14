"""A folder copied as if it had just been unpacked."""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from agent.errors import BundleError, BundleNotFoundError
from agent.host.archive import UnpackOptions, copy_folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "bin").mkdir(parents=True)
    (root / "bin/run").write_bytes(b"#!/bin/sh\n")
    (root / "bin/run").chmod(0o750)
    (root / "bin/again").hardlink_to(root / "bin/run")
    (root / "bin/link").symlink_to("../data")
    (root / "data").write_bytes(os.urandom(3_000_000))
    with open(os.path.join(os.fsencode(root), b"caf\xe9\n"), "wb"):
        pass
    os.utime(root / "bin", ns=(1, 1_234_567_890_123_456_789))
    return root


def copy(source: Path, into: Path, skip: Path | None = None) -> list[str]:
    files = copy_folder(source, into, options=UnpackOptions(), skip=skip)
    return sorted(os.fsdecode(file.path) for file in files)


def test_modes_times_links_and_names_are_kept(
    source: Path, tmp_path: Path, snapshot: Callable[[Path], Mapping[bytes, tuple[object, ...]]]
) -> None:
    copy(source, tmp_path / "into")
    assert snapshot(tmp_path / "into") == snapshot(source)


def test_digests_and_status_are_those_of_the_copy(source: Path, tmp_path: Path) -> None:
    for file in copy_folder(source, tmp_path / "into", options=UnpackOptions()):
        path = os.path.join(os.fsencode(tmp_path / "into"), file.path)
        status = os.stat(path)
        with open(path, "rb") as stream:
            assert hashlib.sha256(stream.read()).digest() == file.sha256
        assert (file.size, file.ino, file.ctime_ns) == (status.st_size, status.st_ino, status.st_ctime_ns)


def test_holes_stay_holes(source: Path, tmp_path: Path) -> None:
    with open(source / "sparse", "wb") as file:
        file.seek(10_000_000)
        file.write(b"data")
        file.truncate(20_000_000)
    copy(source, tmp_path / "into")
    assert (tmp_path / "into/sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (tmp_path / "into/sparse").stat().st_blocks * 512 < 1_000_000


def test_a_fifo_is_refused_by_name(source: Path, tmp_path: Path) -> None:
    os.mkfifo(source / "bin/pipe")
    with pytest.raises(BundleError, match="member 'bin/pipe': is a FIFO, socket or device node"):
        copy(source, tmp_path / "into")
    assert os.listdir(tmp_path) == ["source"]


def test_a_link_out_of_the_folder_is_refused_by_name(source: Path, tmp_path: Path) -> None:
    (source / "bin/out").symlink_to("../../elsewhere")
    with pytest.raises(BundleError, match="member 'bin/out': is a symbolic link to '../../elsewhere'"):
        copy(source, tmp_path / "into")
    assert os.listdir(tmp_path) == ["source"]


def test_a_folder_below_itself_is_left_out(source: Path) -> None:
    root = source / "deployment-root"
    (root / "deep").mkdir(parents=True)
    (root / "old").touch()
    assert "deployment-root/old" not in copy(source, root / "deep/into", skip=root)
    assert not (root / "deep/into/deployment-root").exists()


def test_the_deployment_root_itself_is_no_source(source: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is the deployment root"):
        copy(source, tmp_path / "into", skip=source)


def test_a_missing_folder_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match="cannot be opened as a folder: No such file"):
        copy(tmp_path / "nowhere", tmp_path / "into")
