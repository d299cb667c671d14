"""The two pipes that carry a hook script's output, read in one loop and in bounded memory."""

import contextlib
import fcntl
import os
import selectors
import time
from collections.abc import Callable

from agent.core.script_output import LINE_LIMIT_BYTES, LineSplitter
from agent.host.process import leave_draining
from agent.host.process_table import pipe_writers

STREAMS = ("stdout", "stderr")
PIPE_BYTES = 1024 * 1024
"""A large pipe lets the script run ahead while we are busy. The kernel may grant less."""

Sink = Callable[[str, str], None]
"""Takes a stream's name and whole lines of text, each with its line end."""


class OutputPipes:
    """Standard output and standard error of one script. Pipes, as most programs expect; see docs/decisions."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._selector = selectors.DefaultSelector()
        self._splitters = {name: LineSplitter() for name in STREAMS}
        self._read_ends: dict[str, int] = {}
        self._pidfd: int | None = None
        self.write_ends: dict[str, int] = {}
        for name in STREAMS:
            self._read_ends[name], self.write_ends[name] = os.pipe2(os.O_CLOEXEC)
            with contextlib.suppress(OSError):  # the user's share of pipe memory is used up
                fcntl.fcntl(self._read_ends[name], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            os.set_blocking(self._read_ends[name], False)
            self._selector.register(self._read_ends[name], selectors.EVENT_READ, name)

    def give_to(self, uid: int) -> None:
        """Let a script of that user open its output by name, as `echo oops > /dev/stderr` does."""
        for fd in self.write_ends.values():
            os.fchown(fd, uid, -1)

    def close_write_ends(self) -> None:
        """Keep none of them ourselves, so that the end of output can be seen. May be repeated."""
        while self.write_ends:
            os.close(self.write_ends.popitem()[1])

    def watch(self, pidfd: int | None) -> None:
        """Make `pump` return when this child has ended; None: watch none."""
        if self._pidfd is not None:
            self._selector.unregister(self._pidfd)
        if pidfd is not None:
            self._selector.register(pidfd, selectors.EVENT_READ, None)
        self._pidfd = pidfd

    def pump(self, timeout_s: float) -> None:
        """Wait at most that long for output and pass on some of what there is."""
        for key, _ in self._selector.select(timeout_s):
            if key.data is not None:
                self._read(key.data)

    def _read(self, name: str) -> int:
        """Pass on one piece of a stream; return its size, 0 when there is none now or ever."""
        try:
            chunk = os.read(self._read_ends[name], LINE_LIMIT_BYTES)
        except BlockingIOError:
            return 0
        if not chunk:
            self._close_stream(name)
            return 0
        self._pass_on(name, self._splitters[name].feed(chunk))
        return len(chunk)

    def _pass_on(self, name: str, lines: str) -> None:
        if lines:
            self._sink(name, lines)

    def _close_stream(self, name: str) -> None:
        fd = self._read_ends.pop(name)
        self._selector.unregister(fd)
        os.close(fd)

    def finish(self, drain_s: float) -> bool:
        """Take in all that was written up to now, and what comes within `drain_s`; return whether both streams ended.

        Nothing written before the call is lost, however little `drain_s` is.
        """
        self.watch(None)
        deadline = time.monotonic() + drain_s
        while self._read_ends and (left_s := deadline - time.monotonic()) > 0:
            self.pump(left_s)
        for name in tuple(self._read_ends):
            self._read_what_is_there(name)
        for name, splitter in self._splitters.items():
            self._pass_on(name, splitter.flush())
        return not self._read_ends

    def _read_what_is_there(self, name: str) -> None:
        """Empty the pipe once: an endless writer is not followed any further."""
        left = fcntl.fcntl(self._read_ends[name], fcntl.F_GETPIPE_SZ)
        while left >= 0 and (size := self._read(name)):  # at 0 once more: to see the end of a pipe that was full
            left -= size

    def holders(self) -> tuple[int, ...]:
        """Return the pids, other than ours, that still hold a stream and that we are allowed to see."""
        return pipe_writers(tuple(self._read_ends.values()))

    def leave_to_drain(self) -> None:
        """Hand each stream that is still held to a process that reads and discards it.

        Raises:
            OSError: no such process could be started.
        """
        for fd in self._read_ends.values():
            os.set_blocking(fd, True)
            leave_draining(fd)

    def close(self) -> None:
        """Close everything; a stream that is still held breaks unless it was left to drain."""
        self.close_write_ends()
        for name in tuple(self._read_ends):
            self._close_stream(name)
        self._selector.close()
