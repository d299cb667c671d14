"""Runs one Install in a child that strace kills, or whose system calls it makes fail, and judges what is left.

The child is forked from a process that has everything imported, so that only system calls of the Install itself are
counted: strace attaches to it while it waits.
"""

import json
import os
import re
import signal
import subprocess
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent.core.install_steps import TEMP_PREFIX
from agent.errors import AgentError, AgentFault
from tests.crash.scenario import Scratch, Snapshot

CHANGING = (
    "openat", "write", "pwrite64", "copy_file_range", "ftruncate", "fallocate", "mkdir", "mkdirat", "rmdir", "unlink",
    "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "chmod", "fchmod",
    "fchmodat", "chown", "fchown", "lchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr", "removexattr",
    "fremovexattr", "utimensat", "fsync", "fdatasync", "syncfs", "sync",
)  # fmt: skip
"""System calls that change files, and openat, which makes them."""

WAIT_S = 60.0
OK, FAILED_CLEANLY, FAULT, CRASHED = 0, 3, 4, 5

KILL = "signal=SIGKILL"
EIO = "error=EIO"
ENOSPC = "error=ENOSPC"
NO_EXCHANGE = "renameat2:error=EINVAL"
"""What a file system without renameat2's flags answers, every time."""


@dataclass(frozen=True, slots=True)
class Point:
    """One injection: what happens at the `number`-th `call`, with `others` in force as well."""

    call: str
    number: int
    what: str
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join((f"{self.what} at {self.call} number {self.number}", *self.others))

    @property
    def options(self) -> list[str]:
        return injections(f"{self.call}:{self.what}:when={self.number}", *self.others)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the child ended: its exit code, -9 when it was killed, and what it reported."""

    code: int
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Trees:
    """The only two results there may be."""

    old: Snapshot
    new: Snapshot


def injections(*expressions: str) -> list[str]:
    """Options for strace that inject all of these."""
    calls = ",".join(expression.partition(":")[0] for expression in expressions)
    return ["-e", f"trace={calls}", *(option for item in expressions for option in ("-e", f"inject={item}"))]


def reference_trees(scratch: Scratch) -> Trees:
    """The two trees, from an Install that nothing disturbs."""
    scratch.prepare()
    old = scratch.snapshot()
    scratch.install("d-new", "new")
    new = scratch.snapshot()
    assert old != new
    assert not debris(scratch)
    return Trees(old=old, new=new)


def install(scratch: Scratch, options: list[str]) -> Ended:
    """Install the new revision in a child under strace."""
    return run_traced(new_revision(scratch), options)


def new_revision(scratch: Scratch) -> Callable[[], object]:
    """The Install that is disturbed, ready to be run in a child."""
    return partial(scratch.install, "d-new", "new", scratch.digests("new"))


def try_point(scratch: Scratch, trees: Trees, point: Point) -> None:
    """Disturb an Install from a fresh old tree at one point and judge the outcome. Raises: AssertionError."""
    scratch.prepare()
    ended = install(scratch, point.options)
    if point.what == KILL:
        assert ended.code == -signal.SIGKILL, f"{point}: {ended}"
    judge(scratch, trees, ended, str(point))


def try_recovery_point(scratch: Scratch, trees: Trees, first: Point, second: Point) -> None:
    """Kill an Install at one point and its recovery at another, then judge. Raises: AssertionError."""
    scratch.prepare()
    install(scratch, first.options)
    run_traced(scratch.recover, second.options)
    judge_recovery(scratch, trees, f"{first}, then recovery with {second}")


def judge(scratch: Scratch, trees: Trees, ended: Ended, where: str) -> None:
    """Hold what is on the disk after an Install that was disturbed against the promise."""
    assert ended.code in (OK, FAILED_CLEANLY, FAULT, -signal.SIGKILL), f"{where}: {ended.message}"
    if ended.code in (FAILED_CLEANLY, FAULT):
        assert ended.message and ended.hint, f"{where}: {ended}"
    if ended.code == FAILED_CLEANLY and "agentctl recover" not in ended.hint:
        assert_same(scratch.snapshot(), trees.old, f"{where}: after a clean failure ({ended.message})")
    judge_recovery(scratch, trees, where, must_be_new=ended.code == OK)


def judge_recovery(scratch: Scratch, trees: Trees, where: str, *, must_be_new: bool = False) -> None:
    """Recover: the tree is old or new; again: nothing changes; install again: the tree is new."""
    recovered = run_forked(scratch.recover)
    assert recovered.code == OK, f"{where}: recovery: {recovered.message}"
    found = scratch.snapshot()
    if must_be_new or found != trees.old:
        assert_same(found, trees.new, f"{where}: after recovery, neither old nor new")
    again = run_forked(scratch.recover)
    assert again.code == OK, f"{where}: second recovery: {again.message}"
    assert_same(scratch.snapshot(), found, f"{where}: after a second recovery")
    installed = run_forked(lambda: scratch.install("d-again", "new"))
    assert installed.code == OK, f"{where}: next Install: {installed.message}"
    assert_same(_site(scratch.snapshot()), _site(trees.new), f"{where}: after the next Install")


def _site(snapshot: Snapshot) -> Snapshot:
    """Without the deployment root, which names the deployment."""
    return {path: what for path, what in snapshot.items() if not path.startswith(b"root/")}


def debris(scratch: Scratch) -> list[bytes]:
    """Hidden names of ours that are left anywhere."""
    return [path for path in scratch.snapshot() if os.path.basename(path).startswith(TEMP_PREFIX)]


def assert_same(found: Snapshot, wanted: Snapshot, where: str) -> None:
    if found != wanted:
        lines = [
            f"  {path!r}: {found.get(path)!r:.200} instead of {wanted.get(path)!r:.200}"
            for path in sorted(found.keys() | wanted.keys())
            if found.get(path) != wanted.get(path)
        ]
        raise AssertionError(f"{where}:\n" + "\n".join(lines))


def calls_of(action: Callable[[], object], trace: Path, *others: str) -> list[tuple[str, bool]]:
    """The changing system calls of `action`, in order, each with whether it was made to fail."""
    options = [option for item in others for option in ("-e", f"inject={item}")]
    ended = run_traced(action, ["-o", str(trace), "-e", f"trace={','.join(CHANGING)}", *options])
    assert ended.code in (OK, FAILED_CLEANLY), ended
    lines = trace.read_text(errors="replace").splitlines()
    found = ((re.match(r"(?:\d+\s+)?(\w+)\(", line), "(INJECTED)" in line) for line in lines)
    return [(match[1], injected) for match, injected in found if match]


def points(calls: list[tuple[str, bool]], what: str, *others: str, after: int = 0) -> Iterator[Point]:
    """A point for each of the calls, those at the first `after` places left out."""
    seen: Counter[str] = Counter()
    for place, (call, injected) in enumerate(calls):
        seen[call] += 1
        if place >= after and not (injected or call in {other.partition(":")[0] for other in others}):
            yield Point(call, seen[call], what, others)


def run_traced(action: Callable[[], object], options: list[str]) -> Ended:
    """Run `action` in a child under strace with these options."""
    child, report = _fork(action, stopped=True)
    _wait_for_state(child, "T")
    output = [] if "-o" in options else ["-o", "/dev/null"]
    with subprocess.Popen(
        ["strace", "-f", "-q", "-qq", *output, *options, "-p", str(child)], stderr=subprocess.PIPE
    ) as tracer:
        _wait_until_traced(child, tracer)
        os.kill(child, signal.SIGCONT)
        return _reap(child, report)


def run_forked(action: Callable[[], object]) -> Ended:
    """Run `action` in a child, undisturbed."""
    return _reap(*_fork(action, stopped=False))


def _fork(action: Callable[[], object], *, stopped: bool) -> tuple[int, int]:
    """Start a child that runs `action`; returns its pid and where its report can be read."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        if stopped:
            os.kill(os.getpid(), signal.SIGSTOP)
        _act_and_exit(action, writing)
    os.close(writing)
    return child, reading


def _act_and_exit(action: Callable[[], object], report: int) -> None:
    """The child's life. Its report goes out by `writev`, which no injection touches."""
    code, message, hint = OK, "", ""
    try:
        action()
    except AgentFault as exc:
        code, message, hint = FAULT, exc.message, exc.hint
    except AgentError as exc:
        code, message, hint = FAILED_CLEANLY, exc.message, exc.hint
    except BaseException:  # noqa: BLE001 - whatever it is, the judge wants to see it
        code, message = CRASHED, traceback.format_exc()[-8000:]
    os.writev(report, [json.dumps([message, hint]).encode()])
    os._exit(code)


def _reap(child: int, report: int) -> Ended:
    with open(report, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    message, hint = json.loads(text) if text else ("", "")
    return Ended(os.waitstatus_to_exitcode(status), message, hint)


def _wait_for_state(pid: int, state: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not _status(pid)["State"].startswith(state):
        assert time.monotonic() < deadline, f"process {pid} never came to state {state}"
        time.sleep(0.0005)


def _wait_until_traced(pid: int, tracer: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + WAIT_S
    while _status(pid)["TracerPid"] == "0":
        if tracer.poll() is not None or time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            said = tracer.stderr.read() if tracer.stderr else b""
            raise AssertionError(f"strace cannot attach: {said.decode()}")
        time.sleep(0.0005)


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
