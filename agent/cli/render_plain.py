"""A running deployment as plain lines: for logs, pipes and dumb terminals."""

from typing import TextIO

from agent.cli.figures import duration_text
from agent.cli.output import Output
from agent.cli.render import Closing, Opening, closing_lines, opening_line
from agent.cli.safe_text import printable, printable_line
from agent.compat import assert_never
from agent.core.lifecycle import OWN_EVENTS
from agent.core.progress import (
    BytesDone,
    EventEnded,
    EventStarted,
    Outcome,
    Progress,
    ScriptEnded,
    ScriptOutput,
    ScriptStarted,
    Warned,
)

NAME_WIDTH = 18
_PREFIX = {"stdout": "    | ", "stderr": "    ! "}


class PlainRenderer:
    """One line for each thing that happens; an event without scripts says so in one line, not two."""

    def __init__(self, stream: TextIO) -> None:
        self._output = Output(stream)
        self._event = ""

    def begin(self, opening: Opening) -> None:
        self._output.line(opening_line(opening))
        self._output.flush()

    def listen(self, progress: Progress) -> None:
        match progress:
            case ScriptOutput(stream=stream, line=line):
                self._output.line(f"{_PREFIX.get(stream, '    ')}{printable_line(line)}")
            case EventStarted(event=event):
                self._event = event
                if event in OWN_EVENTS:
                    self._say("started")
            case ScriptStarted(location=location, timeout_s=timeout_s):
                self._say(f"{printable(location)} started, time limit {timeout_s} s")
            case ScriptEnded(location=location, exit_code=exit_code, duration_s=duration_s):
                self._say(f"{printable(location)} {exit_text(exit_code)} after {duration_text(duration_s)}")
            case EventEnded():
                self._say(event_text(progress))
            case Warned(message=message, hint=hint):
                self._output.line(f"warning: {printable(message)}{f' ({printable(hint)})' if hint else ''}")
            case BytesDone():
                pass
            case _:
                assert_never(progress)

    def end(self, closing: Closing) -> None:
        for line in closing_lines(closing):
            self._output.line(line)

    def close(self) -> None:
        self._output.close()

    def _say(self, text: str) -> None:
        self._output.line(f"{self._event:{NAME_WIDTH}}  {text}")


def event_text(ended: EventEnded) -> str:
    """Say how an event ended, and its note; the reason of a failure stands in the closing lines."""
    if ended.outcome is Outcome.SKIPPED:
        return f"{ended.outcome}, {printable(ended.note)}"
    text = f"{ended.outcome} in {duration_text(ended.duration_s)}"
    has_note = ended.note and ended.outcome is Outcome.SUCCEEDED
    return f"{text}, {printable(ended.note)}" if has_note else text


def exit_text(exit_code: int | None) -> str:
    """Return `exit 0`, `killed by signal 9` or `did not start or end by itself`."""
    if exit_code is None:
        return "did not end by itself"
    return f"killed by {signal_name(-exit_code)}" if exit_code < 0 else f"exit {exit_code}"


def signal_name(number: int) -> str:
    """Return `SIGTERM` for 15; a number without a name as it is."""
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
