"""A running deployment on a terminal: every event with its duration, bars for bytes, the tail of the running script.

The only module that loads rich.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.cli.figures import duration_text, size_text
from agent.cli.render import Closing, Opening, closing_lines, opening_line
from agent.cli.render_plain import exit_text
from agent.cli.safe_text import printable, printable_line
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
from agent.journal.rows import State

TAIL_LINES = 10
TAIL_LINES_LEAST = 3
REFRESH_PER_S = 8
BAR_WIDTH = 40
_STYLES = {
    Outcome.SUCCEEDED: "green",
    Outcome.FAILED: "bold red",
    Outcome.CANCELLED: "yellow",
    Outcome.SKIPPED: "dim",
}
_MARKS = {Outcome.SUCCEEDED: "✓", Outcome.FAILED: "✗", Outcome.CANCELLED: "■", Outcome.SKIPPED: "·"}
_ASCII_MARKS = {Outcome.SUCCEEDED: "+", Outcome.FAILED: "x", Outcome.CANCELLED: "#", Outcome.SKIPPED: "."}
_SPINNER, _ASCII_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"


@dataclass(slots=True)
class _Line:
    """One event of the view."""

    name: str
    started: float | None = None
    ended: EventEnded | None = None


@dataclass(slots=True)
class _View:
    """What is to be seen at a moment."""

    lines: list[_Line] = field(default_factory=list)
    script: str = ""
    bytes_done: BytesDone | None = None
    tail: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))


class LiveRenderer:
    """Draws a few times a second, however fast things happen; what was drawn last stays on the screen."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._view = _View()
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._unicode = (stream.encoding or "").lower().startswith("utf")
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=REFRESH_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def begin(self, opening: Opening) -> None:
        self._view.lines = [_Line(name) for name in opening.events]
        self._tell(Text(opening_line(opening)))
        with _terminal_may_be_gone():
            self._live.start()

    def listen(self, progress: Progress) -> None:
        if isinstance(progress, Warned):
            hint = f" ({printable(progress.hint)})" if progress.hint else ""
            self._tell(Text(f"warning: {printable(progress.message)}{hint}", style="yellow"))
            return
        with self._lock:
            self._take(progress)

    def end(self, closing: Closing) -> None:
        with self._lock:
            self._view.bytes_done, self._view.script = None, ""
            if closing.result.state is State.SUCCEEDED:
                self._view.tail.clear()
        self.close()
        *lines, last = closing_lines(closing)
        for line in lines:
            self._tell(Text(line, overflow="fold"))
        self._tell(
            Text(last, style="bold green" if closing.result.state is State.SUCCEEDED else "bold red", overflow="fold")
        )

    def close(self) -> None:
        with _terminal_may_be_gone():
            self._live.stop()

    def _tell(self, text: Text) -> None:
        with _terminal_may_be_gone():
            self._console.print(text)

    def _take(self, progress: Progress) -> None:
        view = self._view
        match progress:
            case ScriptOutput(stream=stream, line=line):
                view.tail.append((stream, line))
            case EventStarted(event=event):
                line_of(view.lines, event).started = self._clock()
                view.tail.clear()
            case EventEnded(event=event):
                line_of(view.lines, event).ended = progress
                view.bytes_done, view.script = None, ""
            case ScriptStarted(location=location, timeout_s=timeout_s):
                view.script = f"{location}, time limit {timeout_s} s"
                view.tail.clear()
            case ScriptEnded(location=location, exit_code=exit_code):
                view.script = f"{location}, {exit_text(exit_code)}"
            case BytesDone():
                view.bytes_done = progress
            case _:
                pass

    def _draw(self) -> RenderableType:
        with self._lock:
            return Group(*self._parts())

    def _parts(self) -> Iterator[RenderableType]:
        view = self._view
        table = Table.grid(padding=(0, 2))
        for line in view.lines:
            table.add_row(*self._cells(line))
        yield table
        if view.bytes_done is not None:
            yield _bar(view.bytes_done)
        if view.script:
            yield Text(f"  {printable(view.script)}", style="bold", no_wrap=True, overflow="ellipsis")
        room = max(TAIL_LINES_LEAST, self._console.size.height - len(view.lines) - 4)
        for stream, text in list(view.tail)[-room:]:
            style = "yellow" if stream == "stderr" else "dim"
            yield Text(f"  | {printable_line(text).expandtabs()}", style=style, no_wrap=True, overflow="ellipsis")

    def _cells(self, line: _Line) -> tuple[Text, Text, Text, Text]:
        if line.ended is not None:
            outcome, style = line.ended.outcome, _STYLES[line.ended.outcome]
            mark = (_MARKS if self._unicode else _ASCII_MARKS)[outcome]
            took = "" if outcome is Outcome.SKIPPED else duration_text(line.ended.duration_s)
            first = line.ended.note.partition("\n")[0]  # the closing lines hold the rest
            note = Text(printable(first), style="dim", no_wrap=True, overflow="ellipsis")
            return Text(mark, style=style), Text(line.name, style=style), Text(took, justify="right"), note
        if line.started is not None:
            spinner = _SPINNER if self._unicode else _ASCII_SPINNER
            frame = spinner[int(self._clock() * REFRESH_PER_S) % len(spinner)]
            took = duration_text(self._clock() - line.started)
            return Text(frame, style="cyan"), Text(line.name, style="cyan"), Text(took, justify="right"), Text("")
        return Text(" "), Text(line.name, style="dim"), Text(""), Text("")


def line_of(lines: list[_Line], event: str) -> _Line:
    """Return the view's line of `event`, added at the end when nobody announced it (OnFailure)."""
    for line in lines:
        if line.name == event and line.ended is None:
            return line
    lines.append(_Line(event))
    return lines[-1]


def _bar(bytes_done: BytesDone) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    done = size_text(bytes_done.done)
    figures = done if bytes_done.total is None else f"{done} of {size_text(bytes_done.total)}"
    bar = ProgressBar(
        total=None if bytes_done.total is None else max(1, bytes_done.total),
        completed=bytes_done.done if bytes_done.total != 0 else 1,
        width=BAR_WIDTH,
        pulse=bytes_done.total is None,
    )
    grid.add_row(Text(f"  {bytes_done.work:8}"), bar, Text(figures))
    return grid


def _terminal_may_be_gone() -> contextlib.AbstractContextManager[None]:
    """A deployment goes on when the terminal it reports to has been closed."""
    return contextlib.suppress(OSError)
