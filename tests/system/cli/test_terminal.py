"""What a person sees: the real program on a pseudo-terminal."""

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.system.cli.conftest import Program, Site

LIMIT_S = 60.0
Until = Callable[[Callable[[], bool], str], None]


class Terminal:
    """A program on a terminal of its own, 100 columns by 40 lines."""

    def __init__(self, argv: list[str], environ: dict[str, str]) -> None:
        self.output = b""
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        adopt = (
            "import fcntl,os,sys,termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
            " os.execv(sys.argv[1], sys.argv[1:])"
        )
        self.child = subprocess.Popen(
            [sys.executable, "-c", adopt, *argv], env=environ, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)

    def read_until(self, text: bytes) -> None:
        deadline = time.monotonic() + LIMIT_S
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            assert self._read(1.0) or self.child.poll() is None, self.output

    def write(self, text: bytes) -> None:
        os.write(self._master, text)

    def finish(self) -> int:
        deadline = time.monotonic() + LIMIT_S
        while self.child.poll() is None and time.monotonic() < deadline:
            self._read(0.1)
        while self._read(0.1):
            pass
        return self.child.wait(1)

    def hang_up(self) -> None:
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        if self._master >= 0:
            os.close(self._master)
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._master], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # EIO: nobody has the other end open
            return False
        self.output += data
        return bool(data)


@pytest.fixture
def on_terminal(agentctl: Program) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str | Path, **environ: str) -> Terminal:
        opened.append(Terminal(agentctl.argv(*arguments), {**agentctl.environ, **environ}))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def test_the_live_view_shows_events_script_and_output(on_terminal: Callable[..., Terminal], site: Site) -> None:
    site.script("AfterInstall", "echo working; sleep 0.5")
    terminal = on_terminal("run-local", "-l", site.folder)
    terminal.read_until(b"working")
    assert terminal.finish() == 0
    for text in ("BeforeBlockTraffic", "scripts/AfterInstall.sh", "no scripts", "succeeded in", "\x1b[?25h"):
        assert text.encode() in terminal.output


def test_a_script_cannot_act_on_the_terminal(on_terminal: Callable[..., Terminal], site: Site) -> None:
    site.script("AfterInstall", r"printf '\033]0;owned\007\033[2Jcleared\r\nplain\n'; sleep 0.5; exit 1")
    terminal = on_terminal("run-local", "-l", site.folder)
    assert terminal.finish() == 1
    assert b"plain" in terminal.output
    assert b"owned" not in terminal.output
    assert b"\x1b[2J" not in terminal.output


def test_plain_lines_can_be_had_on_a_terminal(on_terminal: Callable[..., Terminal], site: Site) -> None:
    terminal = on_terminal("run-local", "-l", site.folder, "--plain")
    assert terminal.finish() == 0
    assert b"\x1b" not in terminal.output
    assert b"Install             succeeded" in terminal.output


def test_ctrl_c_stops_the_deployment_and_gives_the_terminal_back(
    on_terminal: Callable[..., Terminal], agentctl: Program, site: Site
) -> None:
    site.script("BeforeInstall", "echo ready; sleep 300")
    terminal = on_terminal("run-local", "-l", site.folder)
    terminal.read_until(b"ready")
    terminal.write(b"\x03")
    assert terminal.finish() == 130
    assert b"\x1b[?25h" in terminal.output
    assert agentctl.objects("list")[0]["state"] == "cancelled"


def test_a_terminal_that_goes_away_stops_the_deployment_in_order(
    on_terminal: Callable[..., Terminal], agentctl: Program, site: Site
) -> None:
    site.script("BeforeInstall", "echo ready; sleep 300")
    terminal = on_terminal("run-local", "-l", site.folder)
    terminal.read_until(b"ready")
    terminal.hang_up()
    assert terminal.child.wait(LIMIT_S) == 128 + signal.SIGHUP
    assert agentctl.objects("list")[0]["state"] == "cancelled"


def test_a_shell_opens_where_the_failed_script_stood(on_terminal: Callable[..., Terminal], site: Site) -> None:
    site.script("AfterInstall", "exit 4")
    terminal = on_terminal("run-local", "-l", site.folder, "--shell-on-failure", SHELL="/bin/sh")
    terminal.read_until(b"Leave it with")
    terminal.write(b'echo "at=$(basename "$PWD") event=$LIFECYCLE_EVENT"\nexit\n')
    assert terminal.finish() == 1
    assert b"at=deployment-archive event=AfterInstall" in terminal.output


def test_without_a_terminal_the_shell_is_left_out_with_a_note(agentctl: Program, site: Site) -> None:
    site.script("AfterInstall", "exit 4")
    run = agentctl("run-local", "-l", site.folder, "--shell-on-failure")
    assert run.returncode == 1
    assert run.stderr == "note: --shell-on-failure has no effect without a terminal\n"


def test_logs_are_harmless_on_a_terminal_and_untouched_in_a_pipe(
    on_terminal: Callable[..., Terminal], agentctl: Program, site: Site
) -> None:
    site.script("AfterInstall", r"printf 'tab\there\n'")
    agentctl("run-local", "-l", site.folder)
    (row,) = agentctl.objects("list")
    log = Path(str(row["folder"])) / "logs" / "scripts.log"
    log.write_bytes(log.read_bytes() + b"\x1b[2J\xffend\n")
    terminal = on_terminal("logs", "last")
    assert terminal.finish() == 0
    assert b"\\xffend" in terminal.output
    assert b"\x1b[2J" not in terminal.output
    raw = subprocess.run(agentctl.argv("logs", "last"), env=agentctl.environ, capture_output=True, check=True)
    assert raw.stdout == log.read_bytes()
