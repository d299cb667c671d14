"""Whose archive serves a lifecycle event: the deployment's own, or that of an earlier revision."""

from pathlib import Path

from agent.core.deployment import Deployment
from agent.core.layout import DeploymentDir, Layout
from agent.core.lifecycle import RevisionChoice, revision_for
from agent.deploy.retention import read_pointer
from agent.errors import DeploymentError


def select_archive(deployment: Deployment, event: str, layout: Layout) -> Path | None:
    """Return the archive whose AppSpec and hook scripts serve `event`; None when no revision was there before.

    An earlier revision serves only while the deployment's own archive is not unpacked.

    Raises:
        DeploymentError: the earlier revision's archive has been deleted.
    """
    own = layout.deployment(deployment.group_id, deployment.deployment_id).archive
    choice = revision_for(event, blue_green_rollback=deployment.is_blue_green_rollback)
    if choice is RevisionChoice.CURRENT or own.is_dir():
        return own
    if choice is RevisionChoice.LAST_SUCCESSFUL:
        pointer = layout.last_successful_install(deployment.group_id)
    else:
        pointer = layout.most_recent_install(deployment.group_id)
    folder = read_pointer(pointer)
    if folder is None:
        return None
    archive = DeploymentDir(folder).archive
    if not archive.is_dir():
        raise DeploymentError(
            f"{event}: its scripts are those of the revision in {folder}, which is gone",
            hint=f"put the folder back, or delete {pointer} to deploy as if for the first time",
        )
    return archive
