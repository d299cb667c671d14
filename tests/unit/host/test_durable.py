"""Files appear whole, and what is asked to last is synced without error."""

import os
from pathlib import Path

import pytest

from agent.host.durable import FSYNC_EACH_MAX, fsync_dir, sync_paths, syncfs, write_file


def test_a_written_file_has_its_content_and_mode(tmp_path: Path) -> None:
    write_file(tmp_path / "pointer", b"content", mode=0o640)
    assert (tmp_path / "pointer").read_bytes() == b"content"
    assert (tmp_path / "pointer").stat().st_mode & 0o7777 == 0o640
    assert os.listdir(tmp_path) == ["pointer"]


def test_a_file_is_replaced_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "pointer").write_bytes(b"old")
    with open(tmp_path / "pointer", "rb") as reader:
        write_file(os.fsencode(tmp_path / "pointer"), b"new")
        assert reader.read() == b"old"
    assert (tmp_path / "pointer").read_bytes() == b"new"


def test_a_link_in_the_place_is_replaced_and_its_target_left(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    write_file(str(tmp_path / "link"), b"new")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"old"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "folder", b"x")
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("count", [1, FSYNC_EACH_MAX + 1])
def test_few_and_many_paths_are_synced(tmp_path: Path, count: int) -> None:
    paths = [tmp_path / str(number) for number in range(count)]
    for path in paths:
        path.touch()
    sync_paths([*paths, tmp_path])


def test_syncing_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    for sync in (fsync_dir, syncfs, lambda path: sync_paths([path])):
        with pytest.raises(FileNotFoundError):
            sync(tmp_path / "nothing")
