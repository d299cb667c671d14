"""Completes or undoes install transactions that a dead process left open."""

from collections.abc import Callable

from agent.core.deployment import GroupId
from agent.deploy.transaction import complete, finish_transaction, roll_back
from agent.errors import InstallError
from agent.host.steps import commit
from agent.journal.installs import InstallRow, Installs, InstallState
from agent.journal.journal import Journal


def recover_installs(
    journal: Journal, *, group_id: GroupId | None = None, is_abandoned: Callable[[InstallRow], bool] = lambda _: True
) -> tuple[str, ...]:
    """Bring every open install transaction to an end; returns lines for people, what was done and what is left.

    May be repeated; the second time there is nothing to do. The caller makes sure through its locks, or through
    `is_abandoned`, that no live process works on a transaction that is recovered here.

    Raises:
        InstallError: something foreign stands where an old file belongs, or the disk fails; nothing of it was lost.
    """
    lines: list[str] = []
    for row in Installs(journal).unfinished():
        if (group_id is None or row.group_id == group_id) and is_abandoned(row):
            lines += _recover(journal, row)
    return tuple(lines)


def _recover(journal: Journal, row: InstallRow) -> tuple[str, ...]:
    what = f"Install of {row.deployment_id} (deployment group {row.group_id!r})"
    steps = Installs(journal).steps(row)
    if row.state is InstallState.COMMITTING:
        return _roll_forward(journal, row, what)
    if row.state is InstallState.FINISHING:
        return (f"{what}: interrupted, completed", *finish_transaction(journal, row, steps))
    roll_back(journal, row, steps)
    return (f"{what}: interrupted, undone",)


def _roll_forward(journal: Journal, row: InstallRow, what: str) -> tuple[str, ...]:
    installs = Installs(journal)
    steps = installs.steps(row)
    try:
        commit(steps, resuming=True)
    except InstallError as exc:
        roll_back(journal, row, steps, cause=exc)
        return (f"{what}: interrupted, undone, since it could not be completed: {exc.message}",)
    return (f"{what}: interrupted, completed", *complete(journal, row, steps, installs.changes(row.deployment_id)))
