"""Joins the journal and the host's steps into one install transaction: old tree or new tree, whatever happens.

The order is everything here. Intent is durable before the first hidden name appears; the steps are durable before the
first rename; renames are durable before old content may go. Before anything is taken back, that is written down too:
a journal write that failed may still have reached the disk.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence

from agent.core.deployment import DeploymentId, GroupId
from agent.core.install_steps import Change, FileChange, Step, StepKind, TempNames
from agent.core.progress import BytesDone, Listener, Work
from agent.core.staging_plan import InstallInput, plan_changes, plan_staging, plan_steps
from agent.errors import AgentFault, InstallError
from agent.host.staging import stage
from agent.host.steps import commit, discard_staged, finish, undo
from agent.journal.installs import InstallRow, Installs, InstallState
from agent.journal.journal import Journal

REPORT_BYTES = 1024 * 1024
TOKEN_BYTES = 6
_GONE = (Change.REMOVED, Change.FORGOTTEN)


def run_transaction(
    work: InstallInput, deployment_id: DeploymentId, group_id: GroupId, *, journal: Journal, listener: Listener
) -> tuple[str, ...]:
    """Carry out a plan wholly or not at all; returns warnings.

    Raises:
        InstallError: the host is as it was, unless the hint names `agentctl recover`.
        AgentFault: the journal cannot be written; nothing is taken back before it can.
    """
    installs = Installs(journal)
    names = TempNames(token=os.urandom(TOKEN_BYTES).hex())
    staging = plan_staging(work, names)
    row = installs.begin(deployment_id, group_id, names, staging.folders, at=time.time())
    steps: tuple[Step, ...] = ()
    try:
        staged = stage(staging, _Progress(work, listener).add)
        steps = plan_steps(work, staging, staged.inodes)
        changes = plan_changes(work, staged.digests)
        installs.begin_commit(row, steps, changes)
        commit(steps)
    except AgentFault:
        raise
    except BaseException as exc:
        roll_back(journal, row, steps, cause=exc)
        raise
    return complete(journal, row, steps, changes)


def roll_back(journal: Journal, row: InstallRow, steps: Sequence[Step], *, cause: BaseException | None = None) -> None:
    """Bring the old tree back and close the transaction as aborted.

    Raises:
        InstallError: it could not be brought back now; the journal says so and recovery tries again.
    """
    installs = Installs(journal)
    installs.begin_undo(row)
    try:
        undo(steps)
        discard_staged(row.names, installs.folders(row))
    except InstallError as exc:
        why = f" (undoing because of: {cause})" if cause is not None else ""
        hint = exc.hint if "agentctl recover" in exc.hint else f"{exc.hint}; then run `agentctl recover`"
        raise InstallError(f"the old files could not all be put back: {exc.message}{why}", hint=hint) from exc
    installs.end(row, InstallState.ABORTED, at=time.time())


def complete(
    journal: Journal, row: InstallRow, steps: Sequence[Step], changes: Sequence[FileChange]
) -> tuple[str, ...]:
    """After commit: record what is ours now and remove what is old; returns warnings."""
    gone = [change.path for change in changes if change.change in _GONE]
    Installs(journal).begin_finish(row, list(_present(changes)), gone)
    return finish_transaction(journal, row, steps)


def finish_transaction(journal: Journal, row: InstallRow, steps: Sequence[Step]) -> tuple[str, ...]:
    """Remove the old content and close the transaction; where that fails it stays open for the next run."""
    finished = finish(steps)
    warnings = (*finished.warnings, *_apply_label_rules(steps))
    if finished.is_complete:
        Installs(journal).end(row, InstallState.DONE, at=time.time(), gone=finished.pruned)
    return warnings


def _apply_label_rules(steps: Iterable[Step]) -> tuple[str, ...]:
    rules = [
        (step.path, step.new_attributes.context if step.new_attributes else None)
        for step in steps
        if step.kind is StepKind.LABEL_RULE
    ]
    if not rules:
        return ()
    from agent.host.selinux import set_label_rules  # few hosts have rules to set

    return set_label_rules(rules)


def _present(changes: Iterable[FileChange]) -> Iterator[tuple[FileChange, os.stat_result]]:
    """What is ours now and still there, with what identifies it. Renames have changed its ctime: look now."""
    for change in changes:
        if change.change not in _GONE:
            try:
                yield change, os.lstat(change.path)
            except (FileNotFoundError, NotADirectoryError):
                continue


class _Progress:
    """Adds up copied bytes and tells the listener now and then."""

    def __init__(self, work: InstallInput, listener: Listener) -> None:
        self._total = sum(file.size for file in work.plan.files)
        self._done = 0
        self._told = 0
        self._listener = listener

    def add(self, size: int) -> None:
        self._done += size
        if self._done - self._told >= REPORT_BYTES or self._done == self._total:
            self._told = self._done
            self._listener(BytesDone(work=Work.COPY, done=self._done, total=self._total))
