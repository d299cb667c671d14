"""Passes on what happens while hook scripts run: to the script log, to the tail for diagnostics, to the listener."""

import time
from collections.abc import Callable

from agent.core.appspec.model import HookScript
from agent.core.diagnostics import LogTail
from agent.core.progress import Listener, ScriptEnded, ScriptOutput, ScriptStarted, Warned
from agent.host.script import Observer
from agent.host.script_log import ScriptLog

SHOWN_PER_WINDOW = 1000
WINDOW_S = 0.1
SHOWN_OF_THE_REST = 20


class HookRecorder:
    """Everything goes to the log and the tail. The listener gets every line, but of a flood only what can be shown."""

    def __init__(self, event: str, log: ScriptLog, tail: LogTail, listener: Listener) -> None:
        self._event = event
        self._log = log
        self._tail = tail
        self._listener = listener

    def note(self, line: str) -> None:
        """Write a heading of our own."""
        self._write("", f"{line}\n")

    def observe(self, script: HookScript) -> Observer:
        """Return what `run_script` tells about `script`."""
        event, location, listener = self._event, script.location, self._listener
        display = LineDisplay(listener)

        def ended(exit_code: int | None, duration_s: float) -> None:
            display.flush()
            listener(ScriptEnded(event=event, location=location, exit_code=exit_code, duration_s=duration_s))

        def output(stream: str, lines: str) -> None:
            self._write(f"[{stream}]", lines)
            display.show(stream, lines)

        return Observer(
            started=lambda pid: listener(
                ScriptStarted(event=event, location=location, pid=pid, timeout_s=script.timeout_s, runas=script.runas)
            ),
            output=output,
            warned=lambda message, hint: listener(Warned(message=message, hint=hint)),
            ended=ended,
        )

    def _write(self, tag: str, lines: str) -> None:
        self._log.write(tag, lines)
        self._tail.add(tag, lines)
        for problem in self._log.take_problems():
            self._listener(Warned(message=problem, hint="the deployment goes on; mend that path for the next one"))

    def close(self) -> None:
        self._log.close()


class LineDisplay:
    """Gives a listener the lines of one script, at most `SHOWN_PER_WINDOW` in each short stretch of time.

    What is beyond that is counted, and its last lines are kept for when there is room again or the script has ended.
    """

    def __init__(self, listener: Listener, clock: Callable[[], float] = time.monotonic) -> None:
        self._listener = listener
        self._clock = clock
        self._window_ends = 0.0
        self._room = 0
        self._left_out = 0
        self._rest = ("", "")

    def show(self, stream: str, lines: str) -> None:
        """Take in whole lines."""
        now = self._clock()
        if now >= self._window_ends:
            self._window_ends, self._room = now + WINDOW_S, SHOWN_PER_WINDOW
            self.flush()
        count = lines.count("\n")
        if count <= self._room and not self._left_out:
            self._room -= count
            self._tell(stream, lines)
        else:
            self._left_out += count
            self._rest = (stream, lines)

    def flush(self) -> None:
        """Say how much was left out, if anything was, and show the end of it."""
        if not self._left_out:
            return
        stream, lines = self._rest
        kept = lines.split("\n")[-SHOWN_OF_THE_REST - 1 :]
        missing = self._left_out - len(kept) + 1
        self._left_out = 0
        if missing:
            self._tell(stream, f"({missing} lines left out here; the script log has them)\n")
        self._tell(stream, "\n".join(kept))

    def _tell(self, stream: str, lines: str) -> None:
        for line in lines[:-1].split("\n"):
            self._listener(ScriptOutput(stream=stream, line=line))
