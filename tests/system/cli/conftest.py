"""A small site bundle, a deployment root of its own, and the real program as a child process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("agentctl")
LIMIT_S = 60.0


@dataclass
class Site:
    """A bundle folder whose AppSpec installs `index.html` and runs the scripts given to `script`."""

    folder: Path
    www: Path
    hooks: dict[str, str] = field(default_factory=dict)

    def script(self, event: str, body: str, *, timeout_s: int = 60) -> Path:
        """Give `event` one shell script."""
        path = self.folder / "scripts" / f"{event}.sh"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        self.hooks[event] = f"  {event}:\n    - location: scripts/{event}.sh\n      timeout: {timeout_s}\n"
        self.write_appspec()
        return path

    def write_appspec(self) -> None:
        hooks = "hooks:\n" + "".join(self.hooks.values()) if self.hooks else ""
        (self.folder / "appspec.yml").write_text(
            f"version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: {self.www}\n{hooks}"
        )


@dataclass
class Program:
    """Runs `agentctl` below one deployment root."""

    root: Path
    environ: Mapping[str, str]

    def argv(self, *arguments: str | Path) -> list[str]:
        command, *rest = map(str, arguments)
        return [str(PROGRAM), command, "--root-dir", str(self.root), *rest]

    def __call__(self, *arguments: str | Path, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.argv(*arguments),
            cwd=cwd,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=LIMIT_S,
            check=False,
        )

    def start(self, *arguments: str | Path) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self.argv(*arguments),
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            restore_signals=True,
        )

    def objects(self, *arguments: str | Path) -> list[dict[str, object]]:
        """Run a command with --json and return its objects, one a line."""
        return [json.loads(line) for line in self(*arguments, "--json").stdout.splitlines()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("one\n")
    site = Site(folder=folder, www=tmp_path / "www")
    site.write_appspec()
    return site


@pytest.fixture
def agentctl(tmp_path: Path) -> Program:
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not installed (pip install -e .)")
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return Program(root=tmp_path / "root", environ={**keep, "LC_ALL": "C.UTF-8", "TERM": "xterm"})


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {LIMIT_S} s for {what}"
        time.sleep(0.02)


@pytest.fixture
def until() -> Callable[[Callable[[], bool], str], None]:
    return wait_until


@pytest.fixture
def gone() -> Iterator[Callable[[int], bool]]:
    """Whether a process has ended; those that have not are ended with the test."""
    seen: set[int] = set()

    def has_ended(pid: int) -> bool:
        seen.add(pid)
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        return state == "Z"

    yield has_ended
    for pid in seen:
        if not has_ended(pid):
            os.kill(pid, signal.SIGKILL)
