"""A sample of the campaign in power.py: power cuts on real file systems."""

import os
import shutil
from pathlib import Path

import pytest

from tests.crash.harness import reference_trees
from tests.crash.power import new_disk, power_points, try_power_cut
from tests.crash.scenario import Scratch

EVERY = pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.campaign)])


@pytest.fixture(params=["ext4", "xfs"])
def kind(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    if shutil.which(f"mkfs.{name}") is None:
        pytest.skip(f"mkfs.{name} is not on this host")
    if not Path("/dev/loop-control").exists():
        pytest.skip("the kernel has no loop devices here")
    return name


def test_a_power_cut_loses_what_was_not_synced(kind: str, room: Path) -> None:
    """Without this the other test would prove nothing."""
    with new_disk(room / kind, kind) as disk:
        (disk.mount / "kept").write_text("kept")
        os.sync()
        (disk.mount / "lost").write_text("lost")
        disk.cut_power()
        assert (disk.mount / "kept").read_text() == "kept"
        assert not (disk.mount / "lost").exists() or not (disk.mount / "lost").read_text()


@EVERY
@pytest.mark.parametrize("more_files", [0, 40])
def test_after_a_power_cut_the_tree_is_old_or_new(kind: str, more_files: int, every: int, room: Path) -> None:
    with new_disk(room / f"{kind}-{more_files}-{every}", kind) as disk:
        scratch = Scratch(disk.mount, more_files)
        trees = reference_trees(scratch)
        for point in power_points(scratch, room / "trace")[::every]:
            try_power_cut(disk, scratch, trees, point)
