"""`agentctl show`: all that is known of one deployment."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from agent.cli.figures import duration_text, iso_time, size_text, time_text
from agent.cli.host_options import complete_deployment, find_deployment, load_place, open_journal, place_options
from agent.cli.list_deployments import STATE_STYLES, row_object
from agent.cli.liveness import as_it_is, event_as_it_is
from agent.cli.render_plain import exit_text
from agent.cli.revision_text import revision_text
from agent.cli.safe_text import printable, printable_line, printable_path
from agent.core.install_steps import Change, FileChange
from agent.core.layout import DeploymentDir
from agent.journal.history import History
from agent.journal.installs import Installs
from agent.journal.journal import Journal
from agent.journal.rows import DeploymentRow, EventRow, ScriptRow, State

_SIGNS = {
    Change.CREATED: "+",
    Change.REPLACED: "~",
    Change.ATTRIBUTES: "p",
    Change.KEPT: "=",
    Change.REMOVED: "-",
    Change.FORGOTTEN: "?",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One deployment with everything below it."""

    row: DeploymentRow
    events: tuple[tuple[EventRow, tuple[ScriptRow, ...]], ...]
    changes: tuple[FileChange, ...]

    @property
    def failed(self) -> EventRow | None:
        """The event that ended the deployment badly."""
        bad = (State.FAILED, State.CANCELLED, State.INTERRUPTED)
        return next((event for event, _ in self.events if event.state in bad), None)


@click.command("show")
@click.argument("deployment", metavar="ID", shell_complete=complete_deployment)
@click.option("--files", is_flag=True, help="Name every file that was changed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@place_options
def command(deployment: str, files: bool, as_json: bool, config_file: Path | None, root_dir: Path | None) -> None:
    """Show one deployment: timeline, scripts, files, and why it failed.

    ID is a deployment's id, an unambiguous beginning of one, or `last`.

    \b
    Examples:
      agentctl show last
      agentctl show d-4K7 --files
      agentctl show last --json | jq '.events[] | {name, duration_s}'
    """
    with open_journal(load_place(config_file, root_dir).layout) as journal:
        story = read_story(journal, find_deployment(journal, deployment))
    if as_json:
        click.echo(json.dumps(story_object(story, with_files=files)))
        return
    for line in story_lines(story, with_files=files):
        click.echo(line)


def read_story(journal: Journal, row: DeploymentRow) -> Story:
    """Return what the journal says of a deployment."""
    history = History(journal)
    row = as_it_is(row, journal)
    events = tuple(
        (event_as_it_is(event, row), history.scripts(event.seq)) for event in history.events(row.deployment_id)
    )
    return Story(row=row, events=events, changes=Installs(journal).changes(row.deployment_id))


def story_lines(story: Story, *, with_files: bool) -> Iterator[str]:
    """Yield a deployment as text."""
    yield from _head(story.row)
    yield ""
    yield "Timeline"
    for event, scripts in story.events:
        yield from _event_lines(event, scripts, since=story.row.created_at)
    if story.failed is not None:
        yield ""
        yield from _failure(story.failed)
    yield ""
    yield _counts(story.changes)
    if with_files:
        yield from (f"  {_SIGNS[change.change]} {printable_path(change.path)}" for change in story.changes)


def _head(row: DeploymentRow) -> Iterator[str]:
    folder = DeploymentDir(Path(row.folder))
    state = click.style(row.state, fg=STATE_STYLES[row.state])
    running = f" (pid {row.owner.pid})" if row.state is State.RUNNING else ""
    yield f"Deployment   {printable(row.deployment_id)}"
    yield f"State        {state}{running}"
    yield f"Application  {printable(row.application)}"
    yield f"Group        {printable(row.group_id)} ({printable(row.group_name)})"
    yield f"Revision     {printable(revision_text(row.revision))}"
    if row.bundle is not None:
        yield f"Bundle       {printable(_bundle_text(row.bundle))}"
    yield f"Started      {time_text(row.created_at)}"
    if row.ended_at is not None:
        yield f"Duration     {duration_text(row.ended_at - row.created_at)}"
    gone = "" if folder.path.is_dir() else " (deleted)"
    yield f"Folder       {printable_path(folder.path)}{gone}"


def _bundle_text(recorded: str) -> str:
    facts = json.loads(recorded)
    size = facts.pop("size_bytes", None)
    parts = [str(facts.pop("type", "")), *([] if size is None else [size_text(size)])]
    return ", ".join([*parts, *(f"{name} {value}" for name, value in facts.items() if value is not None)])


def _event_lines(event: EventRow, scripts: tuple[ScriptRow, ...], *, since: float) -> Iterator[str]:
    took = "" if event.duration_s is None else duration_text(event.duration_s)
    state = click.style(f"{event.state:11}", fg=STATE_STYLES[event.state])
    code = f"code {event.code}" if event.code else ""
    note = code if event.state is not State.SUCCEEDED else printable(event.message)
    yield f"  +{max(0.0, event.started_at - since):7.2f} s  {event.name:18}  {state}  {took:>12}  {note}".rstrip()
    for script in scripts:
        ended = "" if script.duration_s is None else f" after {duration_text(script.duration_s)}"
        how = "running" if script.duration_s is None and event.state is State.RUNNING else exit_text(script.exit_code)
        runas = f", as {printable(script.runas)}" if script.runas else ""
        yield f"{'':14}{printable(script.location)}: {how}{ended} (time limit {script.timeout_s} s{runas})"


def _failure(event: EventRow) -> Iterator[str]:
    first, *rest = map(printable, event.message.splitlines() or [""])
    yield f"{event.name} {event.state}: {first}"
    yield from (f"  {line}" for line in rest)
    yield from (f"hint: {printable(line)}" for line in event.hint.splitlines())
    yield from (f"  | {printable_line(line)}" for line in event.log_tail.splitlines())


def _counts(changes: tuple[FileChange, ...]) -> str:
    count = Counter(change.change for change in changes)
    named = ", ".join(f"{count[change]} {change}" for change in Change if count[change])
    return f"Files        {named or 'none changed'}"


def story_object(story: Story, *, with_files: bool) -> dict[str, object]:
    """Return a deployment for `--json`."""
    count = Counter(change.change for change in story.changes)
    files = [
        {"path": os.fsdecode(change.path), "change": change.change, "kind": change.kind} for change in story.changes
    ]
    return {
        **row_object(story.row),
        "events": [_event_object(event, scripts) for event, scripts in story.events],
        "file_counts": {str(change): count[change] for change in Change},
        **({"files": files} if with_files else {}),
    }


def _event_object(event: EventRow, scripts: tuple[ScriptRow, ...]) -> dict[str, object]:
    return {
        "name": event.name,
        "state": event.state,
        "started_at": iso_time(event.started_at),
        "duration_s": event.duration_s,
        "code": event.code,
        "script": event.script,
        "message": event.message,
        "hint": event.hint,
        "log_tail": event.log_tail,
        "scripts": [
            {
                "script": script.location,
                "runas": script.runas,
                "timeout_s": script.timeout_s,
                "started_at": iso_time(script.started_at),
                "duration_s": script.duration_s,
                "exit_code": script.exit_code,
            }
            for script in scripts
        ],
    }
