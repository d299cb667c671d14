"""Real power cuts: a file system in a loop-mounted image, shut down in the middle of an Install without its log.

`python -m tests.crash.power ext4 xfs` tries many points; what was not synced is lost, as when the cable is pulled.
"""

import argparse
import fcntl
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.crash.harness import (
    KILL,
    Point,
    Trees,
    calls_of,
    install,
    judge_recovery,
    new_revision,
    points,
    reference_trees,
)
from tests.crash.scenario import Scratch

GOING_DOWN = 0x8004587D  # {EXT4,XFS}_IOC_SHUTDOWN
NO_LOG_FLUSH = 2
SIZE = {"ext4": 64, "xfs": 320}  # MiB; mkfs.xfs refuses less than 300


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system in an image file."""

    image: Path
    mount: Path

    def attach(self) -> None:
        _run("mount", "-o", "loop", str(self.image), str(self.mount))

    def detach(self) -> None:
        _run("umount", str(self.mount))

    def cut_power(self) -> None:
        """Stop the file system where it is, and come back as after a reboot."""
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, GOING_DOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)
        self.detach()
        self.attach()


@contextmanager
def new_disk(folder: Path, kind: str) -> Iterator[Disk]:
    """Make and mount a file system; it is gone afterwards."""
    disk = Disk(folder / f"{kind}.img", folder / f"{kind}-mount")
    disk.mount.mkdir(parents=True)
    with disk.image.open("wb") as image:
        image.truncate(SIZE[kind] * 1024 * 1024)
    _run(f"mkfs.{kind}", "-q", str(disk.image))
    disk.attach()
    try:
        yield disk
    finally:
        disk.detach()


def power_points(scratch: Scratch, trace: Path) -> list[Point]:
    """Every changing call of an Install: just after it the power goes."""
    scratch.prepare()
    return list(points(calls_of(new_revision(scratch), trace), KILL))


def try_power_cut(disk: Disk, scratch: Scratch, trees: Trees, point: Point) -> None:
    """Kill an Install at a point, cut the power, judge what a reboot finds. Raises: AssertionError."""
    scratch.prepare()
    os.sync()
    install(scratch, point.options)
    disk.cut_power()
    judge_recovery(scratch, trees, f"power cut after {point}")


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.power", description=__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try only every N-th point")
    parser.add_argument("--more-files", type=int, default=0, metavar="N", help="install N more new files")
    parser.add_argument("kind", nargs="*", choices=sorted(SIZE), help="file systems")
    options = parser.parse_args(argv)
    return 1 if sum(_sweep(kind, options.every, options.more_files) for kind in options.kind) else 0


def _sweep(kind: str, every: int, more_files: int) -> int:
    began, failed = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="power-") as folder, new_disk(Path(folder), kind) as disk:
        scratch = Scratch(disk.mount, more_files)
        trees = reference_trees(scratch)
        chosen = power_points(scratch, Path(folder) / "trace")[::every]
        for point in chosen:
            try:
                try_power_cut(disk, scratch, trees, point)
            except AssertionError as exc:
                failed += 1
                print(f"{kind}: {exc}", flush=True)
    print(f"{kind}: {len(chosen)} power cuts, {failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
