"""Where things lie while they are measured, and the commands that are measured there. Takes no time itself."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bundles
from benchmarks.bundles import Bundle
from benchmarks.measure import Contestant

AGENTCTL = Path(sys.executable).with_name("agentctl")
TMPFS = "tmpfs"
BUCKET = "benchmark"
BURIED_FILE_MAX = 16 << 20
"""Larger files are deleted between runs: they are few, and would fill the disk."""

OURS, PLAIN, DURABLE = "agentctl", "plain", "plain + sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One file system to measure on: `where` is its name in the table, `work` a scratch folder on it."""

    where: str
    work: Path
    cache: Path

    @property
    def is_tmpfs(self) -> bool:
        return self.where == TMPFS

    @property
    def destination(self) -> Path:
        return self.work / "destination"

    @property
    def root_dir(self) -> Path:
        return self.work / "deployment-root"

    @property
    def config(self) -> Path:
        return self.work / "agent.yml"

    @property
    def unpacked(self) -> Path:
        return self.work / "unpacked"

    def bundle(self, bundle: Bundle) -> Path:
        """Return the bundle's file, made if need be and in the page cache."""
        path = bundles.make(bundle, self.cache)
        bundles.warm(path)
        return path

    def clear(self) -> None:
        """Put the ground back as before any deployment, with nothing left to write to the disk.

        On a disk, small files are moved aside rather than deleted: ext4 does not use an inode again for a minute after
        it was freed, and looking for one that is free then takes most of the next run's time, whoever it is.
        """
        for folder in (self.destination, self.root_dir, self.unpacked):
            if not self.is_tmpfs and folder.exists():
                self._bury(folder)
            shutil.rmtree(folder, ignore_errors=True)
        os.sync()

    def _bury(self, folder: Path) -> None:
        for path, _, files in os.walk(folder):
            for name in files:
                file = Path(path, name)
                if file.lstat().st_size > BURIED_FILE_MAX:
                    file.unlink()
        graves = self.work / "buried"
        graves.mkdir(exist_ok=True)
        folder.rename(graves / f"{folder.name}-{len(os.listdir(graves))}")

    def write_config(self, lines: Sequence[str] = ()) -> None:
        self.config.write_text("\n".join([f":root_dir: {self.root_dir}", *lines]) + "\n")

    def run_local(self, bundle: Path | str, kind: str, *, json: bool = True) -> list[str]:
        return [
            str(AGENTCTL), "run-local", *(["--json"] if json else []), "--agent-configuration-file", str(self.config),
            "--bundle-location", str(bundle), "--type", kind,
        ]  # fmt: skip

    def ours(self, argv: Sequence[str], prepare: Callable[[], None], exit_status: int = 0) -> Contestant:
        return Contestant(name=OURS, argv=argv, env=environment(), prepare=prepare, exit_status=exit_status)

    def theirs(self, fetch: str, unpack: str, *, durable: bool = False) -> Contestant:
        """Return the plain tools as one shell script: fetch, unpack, `cp -a`; durable with the file system synced."""
        script = f'set -e; mkdir "{self.unpacked}"; cd "{self.unpacked}"; {fetch} {unpack}; cp -a content "$1"'
        if durable:
            script += '; sync -f "$1"'
        return Contestant(
            name=DURABLE if durable else PLAIN,
            argv=["/bin/sh", "-c", script, "sh", str(self.destination)],
            env=environment(),
            prepare=self.clear,
        )


def environment() -> Mapping[str, str]:
    """Return what every contestant gets: short, and with credentials that are good for nothing."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Serve the files in `folder` as one bucket from a process of its own; gives the endpoint's URL."""
    argv = [sys.executable, "-m", "benchmarks.s3_server", str(folder)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.stdin.close()
