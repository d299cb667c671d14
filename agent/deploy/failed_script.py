"""How the hook script that ended a deployment was started: for a person who wants to try it by hand."""

from agent.core.deployment import Deployment
from agent.deploy.archive_appspec import read_appspec
from agent.deploy.context import Host
from agent.deploy.event_hooks import bundle_facts
from agent.deploy.hooks import HooksRequest, prepare_script
from agent.deploy.run import RunResult
from agent.deploy.selection import select_archive
from agent.errors import DeploymentError
from agent.host.script import ScriptRequest


def find_failed_script(deployment: Deployment, result: RunResult, host: Host) -> ScriptRequest | None:
    """Return the request that the failed script was run with, None when no script was to blame.

    Call it before anything else is deployed: it looks at the folders as the failed event saw them.
    """
    if not result.script:
        return None
    try:
        archive = select_archive(deployment, result.failed_event, host.settings.layout)
        appspec = None if archive is None else read_appspec(archive, deployment.appspec_filename).appspec
    except DeploymentError:
        return None  # it went with whatever deleted it; the deployment's own failure has been told
    if archive is None or appspec is None:
        return None
    request = HooksRequest(
        deployment=deployment,
        event=result.failed_event,
        archive=archive,
        scripts=appspec.scripts_for(result.failed_event),
        folder=host.folder(deployment),
        settings=host.settings.hooks,
        facts=bundle_facts(deployment, host),
    )
    return _prepare(request, result.script)


def _prepare(request: HooksRequest, location: str) -> ScriptRequest | None:
    script = next((script for script in request.scripts if script.location == location), None)
    try:
        return None if script is None else prepare_script(request, script)
    except DeploymentError:
        return None  # its user does not exist: nobody to be
