"""Completes or undoes install transactions that a dead process left open."""

from collections.abc import Callable

from agent.core.deployment import GroupId
from agent.journal.installs import InstallRow
from agent.journal.journal import Journal


def recover_installs(
    journal: Journal, *, group_id: GroupId | None = None, is_abandoned: Callable[[InstallRow], bool] = lambda _: True
) -> tuple[str, ...]:
    """Bring every open install transaction to an end; returns one line per transaction, for people.

    May be repeated; the second time there is nothing to do. The caller makes sure through its locks, or through
    `is_abandoned`, that no live process works on a transaction that is recovered here.

    Raises:
        InstallError: something foreign stands where an old file belongs; nothing of it was touched.
    """
    raise NotImplementedError
