"""What shows a running deployment to whoever started it: the choice between the three ways, and what each must do."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from agent.cli.figures import duration_text
from agent.cli.safe_text import printable, printable_path
from agent.core.deployment import Deployment
from agent.core.layout import DeploymentDir
from agent.core.progress import Progress
from agent.journal.rows import State

if TYPE_CHECKING:
    from agent.deploy.run import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is known before the first event."""

    deployment: Deployment
    folder: DeploymentDir
    events: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What is known after the last event. `script` is the path of the hook script to blame, None when none is."""

    result: "RunResult"
    duration_s: float
    script: Path | None = None


class Renderer(Protocol):
    """`listen` may be called from any thread. `close` gives the terminal back; it may be called again."""

    def begin(self, opening: Opening) -> None: ...

    def listen(self, progress: Progress) -> None: ...

    def end(self, closing: Closing) -> None: ...

    def close(self) -> None: ...


def choose_renderer(stream: TextIO, *, as_json: bool, plain: bool) -> Renderer:
    """Return the way to show a deployment on `stream`: live on a terminal, unless plain lines are asked for."""
    if as_json:
        from agent.cli.render_json import JsonRenderer

        return JsonRenderer(stream)
    if plain or not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        from agent.cli.render_plain import PlainRenderer

        return PlainRenderer(stream)
    from agent.cli.render_live import LiveRenderer

    return LiveRenderer(stream)


def opening_line(opening: Opening) -> str:
    """Name the deployment and the folder it works in."""
    return f"Deployment {opening.deployment.deployment_id} in folder {printable_path(opening.folder.path)}"


def closing_lines(closing: Closing) -> list[str]:
    """Say how it ended, where the scripts' output is, and on failure why and what to do."""
    result = closing.result
    folder = DeploymentDir(result.folder)
    log = f"Output of the scripts: {printable_path(folder.script_log)}"
    took = duration_text(closing.duration_s)
    if result.state is State.SUCCEEDED:
        return [log, f"The AppSpec is valid; deployment {folder.path.name} succeeded in {took}"]
    first, *rest = map(printable, result.message.splitlines() or [""])
    lines = [f"{result.failed_event} {result.state}: {first}", *(f"  {line}" for line in rest)]
    lines += [f"hint: {printable(line)}" for line in result.hint.splitlines()]
    if closing.script is not None:
        lines.append(f"Failed script: {printable_path(closing.script)}")
    return [*lines, log, f"Deployment {folder.path.name} {result.state} after {took}"]
