"""Runs a whole deployment in this process: locks, recovery, the events in order, OnFailure, retention."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.core.deployment import Deployment
from agent.core.hook_script import FailedEvent
from agent.core.lifecycle import ON_FAILURE
from agent.core.progress import Warned
from agent.deploy.context import STOP_EVENTS, Host, RunSettings
from agent.deploy.executor import Executor
from agent.deploy.interrupted import check_orphans, recover_host
from agent.deploy.recovery import recover_installs
from agent.deploy.retention import prune_revisions
from agent.errors import DiagnosticsCode, InstallError
from agent.host.lock import HostLock
from agent.host.process_table import started_s
from agent.journal.history import Ending, History
from agent.journal.rows import Owner, State

__all__ = ["Host", "RunResult", "RunSettings", "run_deployment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a deployment ended. The fields after `folder` tell of the event that failed and are empty on success."""

    state: State
    folder: Path
    failed_event: str = ""
    code: DiagnosticsCode = DiagnosticsCode.SUCCESS
    message: str = ""
    hint: str = ""
    script: str = ""


def run_deployment(deployment: Deployment, events: Sequence[str], host: Host) -> RunResult:
    """Run `events` in order and return how it ended; the first failure ends the deployment, after OnFailure.

    What an earlier process left half-done on this host is recovered first.

    Raises:
        DestinationLockedError: another process works on the deployment group, or an orphaned script of it runs on.
        InstallError: what an earlier process left of this group can be neither completed nor undone.
        AgentFault: the journal cannot be used.
    """
    _recover_others(host)
    lock = HostLock(host.settings.layout.locks, deployment.deployment_id, deployment.group_id)
    lock.acquire()
    try:
        # Whoever held the group a moment ago may have been killed since.
        for line in recover_installs(host.journal, group_id=deployment.group_id):
            host.listener(Warned(message=f"recovered: {line}"))
        check_orphans(host.journal, deployment.group_id)
        history = History(host.journal)
        owner = Owner(pid=os.getpid(), started=started_s(os.getpid()) or 0.0)
        folder = host.folder(deployment).path
        history.begin_deployment(deployment, folder=str(folder), owner=owner, at=time.time())
        result = _run_events(Executor(deployment, host, lock), events, host, folder)
        history.end_deployment(deployment.deployment_id, result.state, at=time.time())
        prune_revisions(
            host.settings.layout,
            deployment.group_id,
            host.journal,
            limits=host.settings.retention,
            listener=host.listener,
        )
    finally:
        lock.release()
    return result


def _recover_others(host: Host) -> None:
    """Recover what can be; what cannot is in the way of its own group and of those that share its destinations."""
    try:
        lines = recover_host(host.journal, host.settings.layout)
    except InstallError as exc:
        host.listener(Warned(message=exc.message, hint=exc.hint))
    else:
        for line in lines:
            host.listener(Warned(message=f"recovered: {line}"))


def _run_events(executor: Executor, events: Sequence[str], host: Host, folder: Path) -> RunResult:
    for event in events:
        ending = executor.run_event(event)
        if ending.state is State.SUCCEEDED:
            continue
        if ending.state is State.FAILED and event in STOP_EVENTS and host.settings.ignore_stop_failures:
            host.listener(Warned(message=f"{event} failed and is ignored: {ending.message}", hint=ending.hint))
            continue
        if ending.state is State.FAILED:
            _run_on_failure(executor, event, ending, host)
        return RunResult(
            state=ending.state,
            folder=folder,
            failed_event=event,
            code=DiagnosticsCode(ending.code),
            message=ending.message,
            hint=ending.hint,
            script=ending.script,
        )
    return RunResult(state=State.SUCCEEDED, folder=folder)


def _run_on_failure(executor: Executor, event: str, ending: Ending, host: Host) -> None:
    """Run the revision's OnFailure scripts, if it has any; what becomes of them changes nothing about the outcome."""
    failed = FailedEvent(
        event=event,
        code=DiagnosticsCode(ending.code),
        message=ending.message,
        script=ending.script,
        exit_code=ending.exit_code,
    )
    if not executor.has_scripts(ON_FAILURE):
        return
    after = executor.run_event(ON_FAILURE, failed=failed)
    if after.state is not State.SUCCEEDED:
        host.listener(Warned(message=f"{ON_FAILURE} did not succeed either: {after.message}", hint=after.hint))
