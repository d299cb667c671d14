"""What Ctrl-C, SIGTERM and SIGHUP do to a deployment in the foreground: end it in order, and again: without patience.

The handlers only let the interpreter note the signal; a thread reads the note and acts, since `Event.set` in a handler
could meet the very lock that the interrupted `Event.wait` holds.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """While entered, calls `on_stop(first)` for each stopping signal; `received` is the first one's number.

    A signal that was ignored when the program started (nohup) stays ignored. Main thread only.
    """

    def __init__(self, on_stop: Callable[[bool], None]) -> None:
        self.received: int | None = None
        self._on_stop = on_stop
        self._old: dict[signal.Signals, object] = {}
        self._reader, self._writer = -1, -1
        self._thread = threading.Thread(target=self._watch, name="signals", daemon=True)

    def __enter__(self) -> "StopSignals":
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._old[number] = signal.signal(number, _note)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, old in self._old.items():
            signal.signal(number, old)  # type: ignore[arg-type]  # as it was given to us
        signal.set_wakeup_fd(-1)
        os.close(self._writer)
        self._thread.join()
        os.close(self._reader)

    def _watch(self) -> None:
        while number := os.read(self._reader, 1):
            if number[0] in STOPPING:
                is_first = self.received is None
                self.received = self.received or number[0]
                self._on_stop(is_first)


def kill_session(pid: int) -> None:
    """Kill the session that a hook script leads, if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def exit_status(number: int) -> int:
    """Return what a shell would see of a program that `number` ended."""
    return 128 + number


def _note(number: int, frame: FrameType | None) -> None:
    """Exist, so that the signal reaches the wake-up descriptor instead of ending the process."""
