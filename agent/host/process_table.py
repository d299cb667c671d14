"""What the kernel says about processes: parent, session, state, start time, and who holds a pipe. Changes nothing.

A process is named by its pid and its start time together; a pid alone may already be somebody else's.
"""

import contextlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_SHOWN_CHARACTERS = 160
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_STOPPED_OR_DEAD = frozenset("TtZX")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process of this boot. `started_ticks` counts clock ticks since boot."""

    pid: int
    started_ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEntry:
    """One row of the process table."""

    id: ProcessId
    parent: int
    state: str

    @property
    def is_dead(self) -> bool:
        """True for a zombie: it runs no more and only waits to be reaped."""
        return self.state in "ZX"

    @property
    def is_still(self) -> bool:
        """True when it can start no process at this moment."""
        return self.state in _STOPPED_OR_DEAD


def read_entry(pid: int) -> ProcessEntry | None:
    """Return the row of `pid`, None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # a program's name may hold spaces and parentheses
    return ProcessEntry(id=ProcessId(pid, int(fields[19])), parent=int(fields[1]), state=fields[0].decode())


def started_s(pid: int) -> float | None:
    """Return when `pid` was started, in seconds since boot, None when there is no such process."""
    entry = read_entry(pid)
    return None if entry is None else entry.id.started_ticks / _TICKS_PER_SECOND


def is_alive(pid: int, started: float) -> bool:
    """Say whether `pid` is still the process that was started `started` seconds after boot, and runs."""
    entry = read_entry(pid)
    return entry is not None and not entry.is_dead and entry.id.started_ticks / _TICKS_PER_SECOND == started


def read_table() -> dict[int, ProcessEntry]:
    """Return every process this user may see, by pid."""
    entries = (read_entry(int(name)) for name in os.listdir("/proc") if name.isdecimal())
    return {entry.id.pid: entry for entry in entries if entry is not None}


def descendants(table: dict[int, ProcessEntry], roots: Collection[int]) -> set[int]:
    """Return `roots` that are in `table` and everything below them."""
    children: dict[int, list[int]] = {}
    for pid, entry in table.items():
        children.setdefault(entry.parent, []).append(pid)
    found: set[int] = set()
    pending = [pid for pid in roots if pid in table]
    while pending:
        pid = pending.pop()
        if pid not in found:
            found.add(pid)
            pending.extend(children.get(pid, ()))
    return found


def describe(pid: int) -> str:
    """Return `pid 4711 (nginx -g daemon)` for people; what cannot be read is left out."""
    command = b""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        command = file.read(4 * _SHOWN_CHARACTERS)
    text = command.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    shown = "".join(character if character.isprintable() else "?" for character in text[:_SHOWN_CHARACTERS])
    return f"pid {pid} ({shown})" if shown else f"pid {pid}"


def pipe_writers(pipes: Collection[int]) -> tuple[int, ...]:
    """Return the pids, other than our own, that hold the write end of one of `pipes` (open descriptors of ours)."""
    names = {f"pipe:[{os.fstat(pipe).st_ino}]" for pipe in pipes}
    pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())
    return tuple(pid for pid in sorted(pids) if pid != os.getpid() and any(_held_for_writing(pid, names)))


def _held_for_writing(pid: int, names: Collection[str]) -> Iterator[bool]:
    """Yield True for each descriptor of `pid` that is a write end; nothing for a process we may not look into."""
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            path = f"/proc/{pid}/fd/{descriptor}"
            if os.readlink(path) in names and os.lstat(path).st_mode & 0o200:  # the link's mode is how it was opened
                yield True
