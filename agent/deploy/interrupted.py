"""Finds what a dead process left on this host, and brings it to an end: install transactions first, then the records.

A deployment group whose lock is held is somebody's live work and is left alone.
"""

import os
import time
from collections.abc import Iterator, Sequence

from agent.core.deployment import DeploymentId, GroupId
from agent.core.layout import Layout
from agent.deploy.recovery import recover_installs
from agent.errors import DestinationLockedError, DiagnosticsCode
from agent.host.lock import HostLock, overlap
from agent.host.process_table import is_alive
from agent.journal.history import Ending, History
from agent.journal.installs import Installs
from agent.journal.journal import Journal
from agent.journal.rows import DeploymentRow, State


def recover_host(journal: Journal, layout: Layout) -> tuple[str, ...]:
    """Bring every abandoned deployment of this host to an end; returns one line for each thing done, for people.

    May be repeated, and run beside live deployments: a second run finds nothing.

    Raises:
        InstallError: an install can be neither completed nor undone; the message says what stands in the way.
        AgentFault: the journal cannot be written.
    """
    return tuple(line for group_id in _groups(journal) for line in _recover_group(journal, layout, group_id))


def check_orphans(journal: Journal, group_id: GroupId) -> None:
    """Refuse to begin while a hook script of an interrupted deployment still runs: two of them would get in each
    other's way.

    Raises:
        DestinationLockedError: one does.
    """
    for script in History(journal).scripts_without_end(group_id):
        pid = script.owner.pid
        if is_alive(pid, script.owner.started):
            raise DestinationLockedError(
                f"hook script {script.location!r} of deployment {script.deployment_id}, which was interrupted, still"
                f" runs (pid {pid})",
                hint=f"wait for its end, or end it and what it started with `kill -- -{pid}`; then deploy again",
            )


def check_unfinished(journal: Journal, group_id: GroupId, destinations: Sequence[bytes]) -> None:
    """Refuse destinations where an Install of another group is half done: recovery will change them yet.

    Raises:
        DestinationLockedError: there is one.
    """
    installs = Installs(journal)
    for row in installs.unfinished():
        if row.group_id == group_id:
            continue
        paths = [step.path for step in installs.steps(row)]
        for destination in destinations:
            if any(overlap(destination, path) for path in paths):
                raise DestinationLockedError(
                    f"destination {os.fsdecode(destination)!r}: Install of {row.deployment_id} (deployment group"
                    f" {row.group_id!r}) is not finished there",
                    hint="run `agentctl recover`, then deploy again",
                )


def _groups(journal: Journal) -> list[GroupId]:
    open_installs = [row.group_id for row in Installs(journal).unfinished()]
    open_deployments = [row.group_id for row in History(journal).unfinished()]
    return list(dict.fromkeys((*open_installs, *open_deployments)))


def _recover_group(journal: Journal, layout: Layout, group_id: GroupId) -> Iterator[str]:
    lock = HostLock(layout.locks, DeploymentId(f"recovery-of-{group_id}"), group_id)
    try:
        lock.acquire()
    except DestinationLockedError:
        return
    try:
        yield from recover_installs(journal, group_id=group_id)
        history = History(journal)
        for row in history.unfinished():
            if row.group_id == group_id:
                yield _close(history, row)
    finally:
        lock.release()


def _close(history: History, row: DeploymentRow) -> str:
    running = [event.name for event in history.events(row.deployment_id) if event.state is State.RUNNING]
    where = f" in {running[-1]}" if running else ""
    ending = Ending(
        state=State.INTERRUPTED,
        code=DiagnosticsCode.FAILED_AFTER_RESTART,
        message=f"Failed: its process (pid {row.owner.pid}) died{where}",
        hint="run the deployment again; no script was run a second time",
    )
    history.close_interrupted(row, ending, at=time.time())
    return f"deployment {row.deployment_id} of group {row.group_id}: interrupted{where}, recorded as failed"
