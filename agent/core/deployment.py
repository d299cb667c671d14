"""One try at putting a revision on a deployment group, as everybody who orders one describes it."""

import re
from dataclasses import dataclass
from typing import NewType

from agent.compat import StrEnum
from agent.core.revision import Revision
from agent.errors import SpecificationError

DeploymentId = NewType("DeploymentId", str)
GroupId = NewType("GroupId", str)
"""A deployment group's identifier: for `run-local` the name given with --deployment-group."""

_TAKEN = frozenset({".deploy-agent", "deployment-instructions", "deployment-logs", "ongoing-deployment"})
"""What else stands in a deployment root, beside the groups' folders (agent.core.layout)."""

_PATH_COMPONENT = re.compile(r"[A-Za-z0-9._+=,@-]{1,200}")


class FileExistsBehavior(StrEnum):
    """What Install does with a file that is already at a destination and was not put there by this group."""

    DISALLOW = "DISALLOW"
    OVERWRITE = "OVERWRITE"
    RETAIN = "RETAIN"


class DeploymentCreator(StrEnum):
    """Who asked. Only the values that change behaviour here; every other is kept as text by the control source."""

    USER = "user"
    ROLLBACK = "codeDeployRollback"


class DeploymentType(StrEnum):
    """How the service replaces instances; it decides whose hook scripts a rollback runs."""

    IN_PLACE = "IN_PLACE"
    BLUE_GREEN = "BLUE_GREEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What the executor needs to know; made by a control source or by `run-local`, once.

    `file_exists_behavior` is the deployment option, None when none was given: the AppSpec's key wins over it.
    `all_events` lists every lifecycle event that may be asked for, None when nobody said.
    """

    deployment_id: DeploymentId
    group_id: GroupId
    group_name: str
    application: str
    revision: Revision
    creator: str = DeploymentCreator.USER
    deployment_type: DeploymentType = DeploymentType.IN_PLACE
    appspec_filename: str = "appspec.yml"
    file_exists_behavior: FileExistsBehavior = FileExistsBehavior.DISALLOW
    all_events: tuple[str, ...] | None = None

    @property
    def is_blue_green_rollback(self) -> bool:
        return self.creator == DeploymentCreator.ROLLBACK and self.deployment_type is DeploymentType.BLUE_GREEN


def parse_group_id(text: str) -> GroupId:
    """Return `text` as a group id, which becomes a folder name. Raises: SpecificationError."""
    if text in _TAKEN:
        raise SpecificationError(
            f"deployment group: {text!r} is taken by a folder of the deployment root", hint="choose another name"
        )
    if not _PATH_COMPONENT.fullmatch(text) or text in {".", ".."}:
        raise SpecificationError(
            f"deployment group {text!r} cannot be a folder name",
            hint="use 1 to 200 letters, digits and . _ + = , @ -",
        )
    return GroupId(text)
