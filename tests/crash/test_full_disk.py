"""Installs on a file system that is really full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.harness import OK, judge, new_revision, reference_trees, run_forked
from tests.crash.scenario import Scratch

BLOCK = 4096


@contextmanager
def small_tmpfs(mount: Path, options: str) -> Iterator[Path]:
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(mount)], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@pytest.fixture(autouse=True)
def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount")


def test_a_disk_without_space_leaves_the_old_tree_or_the_new_one(room: Path) -> None:
    outcomes = set()
    with small_tmpfs(room / "space", "size=16m") as mount:
        scratch = Scratch(mount)
        trees = reference_trees(scratch)
        for free_blocks in range(0, 120, 4):
            scratch.prepare()
            disturbed = new_revision(scratch)
            filler = mount / "lost+found"
            left = os.statvfs(mount).f_bavail - free_blocks
            filler.write_bytes(b"\0" * (left * BLOCK))
            ended = run_forked(disturbed)
            filler.unlink()
            judge(scratch, trees, ended, f"{free_blocks} blocks free")
            outcomes.add(ended.code == OK)
    assert outcomes == {True, False}


def test_a_disk_without_inodes_leaves_the_old_tree_or_the_new_one(room: Path) -> None:
    outcomes = set()
    with small_tmpfs(room / "inodes", "nr_inodes=300,size=16m") as mount:
        scratch = Scratch(mount)
        trees = reference_trees(scratch)
        for free_inodes in range(0, 40, 3):
            scratch.prepare()
            disturbed = new_revision(scratch)
            fillers = [mount / "lost+found" / str(n) for n in range(os.statvfs(mount).f_favail - free_inodes - 1)]
            fillers[0].parent.mkdir()
            for filler in fillers:
                filler.touch()
            ended = run_forked(disturbed)
            for filler in fillers:
                filler.unlink()
            fillers[0].parent.rmdir()
            judge(scratch, trees, ended, f"{free_inodes} inodes free")
            outcomes.add(ended.code == OK)
    assert outcomes == {True, False}
