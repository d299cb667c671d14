"""Runs the hook scripts that one lifecycle event asks for: whose, which, and what of them is recorded."""

import json
import time

from agent.core.deployment import Deployment
from agent.core.diagnostics import LogTail
from agent.core.hook_script import BundleFacts, FailedEvent
from agent.core.lifecycle import NEVER_RUN_AS_HOOKS
from agent.core.progress import Progress, ScriptEnded, ScriptStarted
from agent.deploy.archive_appspec import read_appspec
from agent.deploy.context import Host
from agent.deploy.hooks import HooksRequest, run_hooks
from agent.deploy.selection import select_archive
from agent.host.process_table import started_s
from agent.journal.history import History


class ScriptRecorder:
    """Writes the scripts of one event into the journal as they start and end, and keeps the end of their output."""

    def __init__(self, history: History, event_seq: int) -> None:
        self.event_seq = event_seq
        self.tail = LogTail()
        self._history = history
        self._script_seq = 0

    def watch(self, progress: Progress) -> None:
        """Take note of what the script runner tells its listener."""
        match progress:
            case ScriptStarted(pid=pid):
                self._script_seq = self._history.begin_script(
                    self.event_seq, progress, at=time.time(), pid_started=started_s(pid)
                )
            case ScriptEnded(exit_code=exit_code, duration_s=duration_s):
                self._history.end_script(self._script_seq, exit_code=exit_code, duration_s=duration_s)
            case _:
                pass


def run_event_hooks(
    deployment: Deployment, event: str, host: Host, recorder: ScriptRecorder, failed: FailedEvent | None
) -> int:
    """Run the scripts of `event`, first failure ends it; returns how many there were.

    Raises:
        HookError: a script did not succeed.
        AppSpecError, DeploymentError: the revision whose scripts they are cannot be used.
    """
    archive = select_archive(deployment, event, host.settings.layout)
    if archive is None or event in NEVER_RUN_AS_HOOKS:
        return 0
    appspec = read_appspec(archive, deployment.appspec_filename).appspec
    assert appspec is not None
    scripts = appspec.scripts_for(event)
    if not scripts:
        return 0

    def listen(progress: Progress) -> None:
        recorder.watch(progress)
        host.listener(progress)

    request = HooksRequest(
        deployment=deployment,
        event=event,
        archive=archive,
        scripts=scripts,
        folder=host.folder(deployment),
        settings=host.settings.hooks,
        facts=bundle_facts(deployment, host),
        failed=failed,
        stop=host.stop,
    )
    return run_hooks(request, listen, recorder.tail).scripts_run


def bundle_facts(deployment: Deployment, host: Host) -> BundleFacts:
    """What was observed of the bundle when this deployment fetched it; nothing before that."""
    row = History(host.journal).deployment(deployment.deployment_id)
    known = json.loads(row.bundle) if row is not None and row.bundle else {}
    return BundleFacts(etag=known.get("etag"), version=known.get("version"), commit=known.get("commit"))
