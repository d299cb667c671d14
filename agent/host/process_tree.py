"""Ends a child together with everything it started: TERM, grace, KILL, until nothing of it is left.

The child was made the reaper of its orphans when it was started, so while it lives all that it started is below it,
whatever session or process group that moved to. Ending it begins by stopping the tree, which makes it stand still to
be counted, and by putting a fence round it that holds when the child itself is gone: a control group, or ourselves
as the reaper where there is none.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Protocol

from agent.host.cgroup import ControlGroup, make_control_group
from agent.host.process import PR_SET_CHILD_SUBREAPER, Child, load_prctl, open_pidfd
from agent.host.process_table import ProcessEntry, ProcessId, descendants, describe, read_entry, read_table

CAPTURE_LIMIT_S = 0.1
KILL_LIMIT_S = 0.4
_TICK_S = 0.01

Pause = Callable[[float], None]


class Fence(Protocol):
    """Knows which processes are of the tree, also after the child at its root is gone."""

    def take(self, pid: int) -> None:
        """Count a process, which stands still, among the tree."""

    def members(self) -> set[ProcessId]:
        """Return those of the tree that have not ended."""

    def kill(self) -> None:
        """Send SIGKILL to all of them by better means than one at a time, if there are any."""

    def lift(self) -> None:
        """Undo the fence."""


def end_tree(
    child: Child, grace_s: float, pause: Pause = time.sleep, *, use_control_group: bool = True
) -> tuple[str, ...]:
    """End `child` and all that it started; return descriptions of what could not be ended (other users' processes).

    Takes at most `grace_s` plus half a second. `pause` is called for each short wait, so that a caller can go on
    reading the output. The child is left for the caller to reap. One tree at a time, and nobody may start other
    children meanwhile: without a control group a new child of ours is taken for an orphan of the tree.
    """
    fence = (_make_group_fence(child) if use_control_group else None) or ReaperFence(child.pid)
    try:
        _capture(child, fence)
        _signal_all(fence.members(), signal.SIGTERM)
        _signal_all(fence.members(), signal.SIGCONT)
        _wait_until_gone(fence, grace_s, pause)
        deadline = time.monotonic() + KILL_LIMIT_S
        while (left := fence.members()) and time.monotonic() < deadline:
            fence.kill()
            _signal_all(left, signal.SIGKILL)
            pause(_TICK_S)
        return tuple(describe(process.pid) for process in sorted(left, key=lambda process: process.pid))
    finally:
        fence.lift()


def _make_group_fence(child: Child) -> Fence | None:
    group = make_control_group(f"hook-{os.getpid()}-{child.pid}-{time.monotonic_ns()}")
    if group is None:
        return None
    if group.add(child.pid):
        return GroupFence(group)
    group.remove()
    return None


def _capture(child: Child, fence: Fence) -> None:
    """Stop the whole tree and take it inside the fence.

    A process told to stop may be in the middle of a fork, so passes go on until one finds nobody new and everybody
    stopped: then there is nobody left who could have started another.
    """
    seen: set[ProcessId] = set()
    deadline = time.monotonic() + CAPTURE_LIMIT_S
    while time.monotonic() < deadline:
        table = read_table()
        tree = [table[pid] for pid in descendants(table, [child.pid])]
        fresh = [entry for entry in tree if entry.id not in seen]
        if not fresh and all(entry.is_still for entry in tree):
            return
        for entry in fresh:
            seen.add(entry.id)
            send_signal(entry.id, signal.SIGSTOP)
            fence.take(entry.id.pid)


def _wait_until_gone(fence: Fence, limit_s: float, pause: Pause) -> None:
    deadline = time.monotonic() + limit_s
    while fence.members() and (left_s := deadline - time.monotonic()) > 0:
        pause(min(_TICK_S, left_s))


def _signal_all(processes: set[ProcessId], number: signal.Signals) -> None:
    for process in processes:
        send_signal(process, number)


def send_signal(process: ProcessId, number: signal.Signals) -> None:
    """Signal exactly this process; one that has ended, or is not ours to signal, is passed over."""
    pidfd = open_pidfd(process.pid)
    try:
        entry = read_entry(process.pid)
        if entry is None or entry.id != process:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if pidfd is not None:
                signal.pidfd_send_signal(pidfd, number)
            else:
                os.kill(process.pid, number)
    finally:
        if pidfd is not None:
            os.close(pidfd)


class GroupFence:
    """A control group round the tree."""

    def __init__(self, group: ControlGroup) -> None:
        self._group = group
        self._outside: set[ProcessId] = set()

    def take(self, pid: int) -> None:
        """Put it inside; what may not be moved is remembered by itself."""
        if not self._group.add(pid) and (entry := read_entry(pid)) is not None:
            self._outside.add(entry.id)

    def members(self) -> set[ProcessId]:
        candidates = self._group.pids() | {process.pid for process in self._outside}
        entries = [entry for entry in map(read_entry, candidates) if entry is not None and not entry.is_dead]
        inside = self._group.pids()
        return {entry.id for entry in entries if entry.id.pid in inside or entry.id in self._outside}

    def kill(self) -> None:
        self._group.kill()

    def lift(self) -> None:
        self._group.remove()


class ReaperFence:
    """Ourselves as the reaper of the tree's orphans: a child of ours that is new belonged to it."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._tracked: set[ProcessId] = set()
        self._prctl = load_prctl()
        self._prctl(PR_SET_CHILD_SUBREAPER, 1)
        me = os.getpid()
        self._others = {entry.id for entry in read_table().values() if entry.parent == me and entry.id.pid != root}

    def take(self, pid: int) -> None:
        entry = read_entry(pid)
        if entry is not None:
            self._tracked.add(entry.id)

    def members(self) -> set[ProcessId]:
        table = read_table()
        adopted = [entry for entry in table.values() if entry.parent == os.getpid() and entry.id not in self._others]
        tracked = [entry for entry in table.values() if entry.id in self._tracked]
        tree = {table[pid].id for pid in descendants(table, [entry.id.pid for entry in (*adopted, *tracked)])}
        self._tracked |= tree
        self._reap(adopted)
        return {process for process in tree if not table[process.pid].is_dead}

    def _reap(self, adopted: list[ProcessEntry]) -> None:
        for entry in adopted:
            if entry.is_dead and entry.id.pid != self._root:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(entry.id.pid, os.WNOHANG)

    def kill(self) -> None:
        """Nothing better than one at a time."""

    def lift(self) -> None:
        self._prctl(PR_SET_CHILD_SUBREAPER, 0)
