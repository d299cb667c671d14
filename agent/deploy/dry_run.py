"""What a deployment would do, found out without doing it: the plan of its Install and the scripts it would run.

The bundle is fetched and unpacked below the state folder and deleted again. Hook scripts do not run, so what they
would change on the host before Install is not in the plan.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from agent.core.appspec.model import Problem
from agent.core.deployment import Deployment
from agent.core.install_model import InstallPlan
from agent.core.layout import DeploymentDir
from agent.core.lifecycle import OWN_EVENTS, RevisionChoice, check_event_names, revision_for
from agent.core.revision import LocalDirectoryRevision
from agent.deploy.archive_appspec import read_appspec
from agent.deploy.bundle import open_bundle
from agent.deploy.context import Host
from agent.deploy.install import plan_only
from agent.deploy.selection import select_archive
from agent.sources.fetch import fetch


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedScript:
    """A hook script that would run; `archive` is the folder it comes from, an earlier revision's maybe."""

    event: str
    location: str
    archive: Path
    runas: str | None
    timeout_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a deployment would do. `problems` are the AppSpec's warnings."""

    plan: InstallPlan
    scripts: tuple[PlannedScript, ...]
    problems: tuple[Problem, ...]


def plan_deployment(deployment: Deployment, events: Sequence[str], host: Host) -> DryRun:
    """Return what running `events` would do; the host is left as it is.

    Raises:
        DeploymentError, RemoteError: the deployment would fail for this reason.
    """
    with planned_deployment(deployment, events, host) as dry_run:
        return dry_run


@contextmanager
def planned_deployment(deployment: Deployment, events: Sequence[str], host: Host) -> Iterator[DryRun]:
    """Give what `plan_deployment` returns while the sources of the plan's files can still be read."""
    folder = DeploymentDir(host.settings.layout.state / "dry-run" / deployment.deployment_id)
    try:
        yield _plan(deployment, events, host, folder)
    finally:
        shutil.rmtree(folder.path, ignore_errors=True)


def plan_archive(deployment: Deployment, folder: DeploymentDir, host: Host) -> DryRun:
    """Return what installing the archive that lies in `folder` again would do. Raises: DeploymentError."""
    parsed = read_appspec(folder.archive, deployment.appspec_filename)
    assert parsed.appspec is not None
    plan = plan_only(host.install_request(deployment, folder, parsed.appspec), host.journal)
    return DryRun(plan=plan, scripts=(), problems=parsed.problems)


def _plan(deployment: Deployment, events: Sequence[str], host: Host, folder: DeploymentDir) -> DryRun:
    folder.path.mkdir(mode=0o700, parents=True)
    if not isinstance(deployment.revision, LocalDirectoryRevision):
        fetch(deployment.revision, folder.bundle, replace(host.settings.fetch, stop=host.stop))
    open_bundle(
        deployment.revision,
        folder,
        options=replace(host.settings.unpack, appspec_filename=deployment.appspec_filename),
    )
    parsed = read_appspec(folder.archive, deployment.appspec_filename)
    assert parsed.appspec is not None
    if deployment.all_events is not None:
        check_event_names(parsed.appspec.hooks, deployment.all_events)
    plan = plan_only(host.install_request(deployment, folder, parsed.appspec), host.journal)
    scripts = tuple(_scripts(deployment, events, host, folder.archive))
    return DryRun(plan=plan, scripts=scripts, problems=parsed.problems)


def _scripts(deployment: Deployment, events: Sequence[str], host: Host, own: Path) -> Iterator[PlannedScript]:
    for event in events:
        if event in OWN_EVENTS:
            continue
        choice = revision_for(event, blue_green_rollback=deployment.is_blue_green_rollback)
        is_own = choice is RevisionChoice.CURRENT
        archive = own if is_own else select_archive(deployment, event, host.settings.layout)
        if archive is None:
            continue
        appspec = read_appspec(archive, deployment.appspec_filename).appspec
        assert appspec is not None
        for script in appspec.scripts_for(event):
            yield PlannedScript(
                event=event,
                location=script.location,
                archive=archive,
                runas=script.runas,
                timeout_s=script.timeout_s,
            )
