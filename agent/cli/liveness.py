"""Whether the process that the journal has down for a deployment still lives; a killed one could not say so."""

from dataclasses import replace

from agent.host.process_table import is_alive
from agent.journal.history import History
from agent.journal.journal import Journal
from agent.journal.rows import DeploymentRow, EventRow, State


def is_running(row: DeploymentRow) -> bool:
    """Say whether a live process works on the deployment."""
    return row.state is State.RUNNING and is_alive(row.owner.pid, row.owner.started)


def as_it_is(row: DeploymentRow, journal: Journal) -> DeploymentRow:
    """Return `row` as recovery will close it: interrupted, when its process died in it."""
    if row.state is not State.RUNNING or is_running(row):
        return row
    # It may have ended properly since the row was read.
    now = History(journal).deployment(row.deployment_id) or row
    return replace(now, state=State.INTERRUPTED) if now.state is State.RUNNING else now


def event_as_it_is(event: EventRow, row: DeploymentRow) -> EventRow:
    """Return an event of `row`, which is as it is, likewise."""
    if event.state is not State.RUNNING or row.state is State.RUNNING:
        return event
    return replace(
        event,
        state=State.INTERRUPTED,
        message=f"its process (pid {row.owner.pid}) died",
        hint="`agentctl recover`, or the next deployment, brings it to an end",
    )
