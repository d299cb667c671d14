"""`agentctl list`: the deployments of this host, newest first."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from agent.cli.figures import duration_text, iso_time, time_text
from agent.cli.host_options import complete_group, has_journal, load_place, open_journal, place_options
from agent.cli.liveness import as_it_is
from agent.cli.revision_text import revision_text
from agent.cli.safe_text import printable, printable_path
from agent.journal.history import History
from agent.journal.rows import DeploymentRow, State

STATE_STYLES = {
    State.RUNNING: "cyan",
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.CANCELLED: "yellow",
    State.INTERRUPTED: "red",
}
_HEADINGS = ("ID", "GROUP", "APPLICATION", "STATE", "WHEN", "DURATION", "REVISION")
_STATE_COLUMN = _HEADINGS.index("STATE")


@click.command("list")
@click.option("-g", "--group", metavar="ID", shell_complete=complete_group, help="Only this deployment group.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many deployments."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each deployment.")
@place_options
def command(group: str | None, limit: int, as_json: bool, config_file: Path | None, root_dir: Path | None) -> None:
    """List the deployments of this host, newest first.

    \b
    Examples:
      agentctl list
      agentctl list --group blog --limit 5
      agentctl list --json | jq -r 'select(.state == "failed") | .deployment_id'
    """
    from agent.core.deployment import parse_group_id

    group_id = None if group is None else parse_group_id(group)
    layout = load_place(config_file, root_dir).layout
    if not has_journal(layout):
        click.echo(f"note: nothing was deployed below {printable_path(layout.root)} yet", err=True)
        return
    with open_journal(layout) as journal:
        rows = [as_it_is(row, journal) for row in History(journal).deployments(group_id=group_id, limit=limit)]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row_object(row)))
        return
    for line in table([_HEADINGS, *map(_cells, rows)], [row.state for row in rows]):
        click.echo(line)


def row_object(row: DeploymentRow) -> dict[str, object]:
    """Return a deployment for `--json`."""
    return {
        "deployment_id": row.deployment_id,
        "deployment_group": row.group_id,
        "deployment_group_name": row.group_name,
        "application": row.application,
        "state": row.state,
        "started_at": iso_time(row.created_at),
        "ended_at": None if row.ended_at is None else iso_time(row.ended_at),
        "duration_s": None if row.ended_at is None else round(row.ended_at - row.created_at, 3),
        "revision": json.loads(row.revision),
        "bundle": None if row.bundle is None else json.loads(row.bundle),
        "folder": row.folder,
    }


def table(rows: Sequence[Sequence[str]], states: Sequence[State]) -> list[str]:
    """Return rows as aligned lines, the state column of all but the first in its colour; the last column is free."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for number, row in enumerate(rows):
        cells = [f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)]
        if number:
            cells[_STATE_COLUMN] = click.style(cells[_STATE_COLUMN], fg=STATE_STYLES[states[number - 1]])
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return lines


def _cells(row: DeploymentRow) -> tuple[str, ...]:
    took = "" if row.ended_at is None else duration_text(row.ended_at - row.created_at)
    texts = (row.deployment_id, row.group_id, row.application, row.state, time_text(row.created_at), took,
             revision_text(row.revision))  # fmt: skip
    return tuple(map(printable, texts))
