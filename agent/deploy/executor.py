"""Runs one lifecycle event of one deployment and records it. Neither knows nor cares who asked for it.

Whatever is wrong with the revision or the host ends the event with a code and a message; only a broken journal
(`AgentFault`) gets out.
"""

import dataclasses
import os
import time

from agent.core.deployment import Deployment
from agent.core.hook_script import FailedEvent
from agent.core.lifecycle import DOWNLOAD_BUNDLE, INSTALL, check_event_names
from agent.core.progress import EventEnded, EventStarted, Outcome, Warned
from agent.deploy.archive_appspec import read_appspec
from agent.deploy.context import Host
from agent.deploy.download import download_bundle
from agent.deploy.event_hooks import ScriptRecorder, run_event_hooks
from agent.deploy.install import install_revision
from agent.deploy.interrupted import check_unfinished
from agent.errors import (
    AgentError,
    AgentFault,
    CancelledDeploymentError,
    DeploymentError,
    DiagnosticsCode,
    HookCancelledError,
    HookError,
    HookFailedError,
)
from agent.host.lock import HostLock
from agent.journal.history import Ending, History
from agent.journal.installs import Installs
from agent.journal.rows import State

NO_SCRIPTS = "no scripts"
_OUTCOMES = {State.SUCCEEDED: Outcome.SUCCEEDED, State.FAILED: Outcome.FAILED, State.CANCELLED: Outcome.CANCELLED}


class Executor:
    """Runs the events of one deployment, one after the other; its caller holds `lock` on the deployment group."""

    def __init__(self, deployment: Deployment, host: Host, lock: HostLock) -> None:
        self._deployment = deployment
        self._host = host
        self._lock = lock
        self._history = History(host.journal)

    def run_event(self, event: str, *, failed: FailedEvent | None = None) -> Ending:
        """Run `event` and return how it ended, after that is recorded. Never runs a hook script again unasked.

        `failed` is what OnFailure's scripts are told of the event before.

        Raises:
            AgentFault: the journal cannot be written.
        """
        began = time.monotonic()
        event_seq = self._history.begin_event(self._deployment.deployment_id, event, at=time.time())
        recorder = ScriptRecorder(self._history, event_seq)
        self._host.listener(EventStarted(event=event))
        try:
            self._host.check_stop()
            note = self._dispatch(event, recorder, failed)
            ending = Ending(state=State.SUCCEEDED, code=DiagnosticsCode.SUCCESS, message=note)
        except AgentFault:
            raise
        except AgentError as exc:
            ending = _failed(exc)
        except OSError as exc:
            ending = _failed(_from_os_error(event, exc))
        duration_s = time.monotonic() - began
        ending = dataclasses.replace(ending, log_tail=recorder.tail.text())
        self._history.end_event(event_seq, ending, at=time.time(), duration_s=duration_s)
        skipped = event not in (DOWNLOAD_BUNDLE, INSTALL) and ending.message == NO_SCRIPTS
        outcome = Outcome.SKIPPED if skipped else _OUTCOMES[ending.state]
        self._host.listener(EventEnded(event=event, outcome=outcome, duration_s=duration_s, note=ending.message))
        return ending

    def has_scripts(self, event: str) -> bool:
        """Say whether the deployment's own revision, once unpacked and valid, has hook scripts for `event`."""
        try:
            appspec = read_appspec(self._host.folder(self._deployment).archive, self._deployment.appspec_filename)
        except DeploymentError:
            return False
        return appspec.appspec is not None and bool(appspec.appspec.scripts_for(event))

    def _dispatch(self, event: str, recorder: ScriptRecorder, failed: FailedEvent | None) -> str:
        if event == DOWNLOAD_BUNDLE:
            return download_bundle(self._deployment, self._host)
        if event == INSTALL:
            return self._install()
        scripts = run_event_hooks(self._deployment, event, self._host, recorder, failed)
        return f"{scripts} script{'s' if scripts > 1 else ''}" if scripts else NO_SCRIPTS

    def _install(self) -> str:
        folder = self._host.folder(self._deployment)
        appspec = read_appspec(folder.archive, self._deployment.appspec_filename).appspec
        assert appspec is not None
        if self._deployment.all_events is not None:
            check_event_names(appspec.hooks, self._deployment.all_events)
        destinations = [os.path.realpath(os.fsencode(entry.destination)) for entry in appspec.files]
        destinations += Installs(self._host.journal).recorded_tops(self._deployment.group_id)  # what may be removed
        self._lock.add_destinations(destinations)
        check_unfinished(self._host.journal, self._deployment.group_id, destinations)
        request = self._host.install_request(self._deployment, folder, appspec)
        result = install_revision(request, self._host.journal, self._host.listener)
        for warning in result.warnings:
            self._host.listener(Warned(message=warning))
        if not (result.written or result.removed):
            return f"nothing to do, {result.unchanged} unchanged"
        counts = {"written": result.written, "removed": result.removed, "unchanged": result.unchanged}
        if result.retained:
            counts["retained"] = result.retained
        return ", ".join(f"{count} {what}" for what, count in counts.items())


def _failed(exc: AgentError) -> Ending:
    cancelled = isinstance(exc, (HookCancelledError, CancelledDeploymentError))
    return Ending(
        state=State.CANCELLED if cancelled else State.FAILED,
        code=exc.diagnostics_code,
        message=exc.message,
        hint=exc.hint,
        script=exc.script if isinstance(exc, HookError) else "",
        exit_code=exc.exit_code if isinstance(exc, HookFailedError) else None,
    )


def _from_os_error(event: str, exc: OSError) -> DeploymentError:
    where = os.fsdecode(exc.filename) if isinstance(exc.filename, (str, bytes)) else event
    return DeploymentError(
        f"{where}: {exc.strerror or exc}",
        hint="check that the path may be used by this user and that the disk has room",
    )
