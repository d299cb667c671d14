"""Where everything lies below the deployment root. The only module that knows; computes names, touches nothing.

The official agent's layout is kept, so that tools which read it keep working (docs/compatibility.md, "On disk");
what is ours alone lies under `STATE_DIR`.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from agent.core.deployment import DeploymentId, GroupId

STATE_DIR = ".deploy-agent"


@dataclass(frozen=True, slots=True)
class DeploymentDir:
    """The folder of one deployment."""

    path: Path

    @property
    def deployment_root(self) -> Path:
        """The root it lies below: two levels up, or above `STATE_DIR` when it is a dry run's."""
        inside = [parent for parent in self.path.parents if parent.name == STATE_DIR]
        return inside[0].parent if inside else self.path.parent.parent

    @property
    def archive(self) -> Path:
        """The unpacked revision; its root holds the AppSpec."""
        return self.path / "deployment-archive"

    @property
    def archive_temp(self) -> Path:
        """The archive while it is being unpacked; renamed to `archive` when whole."""
        return self.path / "deployment-archive-temp"

    @property
    def bundle(self) -> Path:
        """The fetched bundle; this name whatever its type."""
        return self.path / "bundle.tar"

    @property
    def logs(self) -> Path:
        """What belongs to this deployment's log."""
        return self.path / "logs"

    @property
    def script_log(self) -> Path:
        """The newest part of the hook scripts' log."""
        return self.logs / "scripts.log"


def pointer_content(folder: DeploymentDir) -> bytes:
    """What a pointer file says when it names `folder`."""
    return os.fsencode(folder.path) + b"\n"


@dataclass(frozen=True, slots=True)
class Layout:
    """Names below one deployment root (`root_dir` in the configuration)."""

    root: Path

    def group(self, group_id: GroupId) -> Path:
        """The folder of a group's deployments."""
        return self.root / group_id

    def deployment(self, group_id: GroupId, deployment_id: DeploymentId) -> DeploymentDir:
        """The folder of one deployment."""
        return DeploymentDir(self.group(group_id) / deployment_id)

    @property
    def instructions(self) -> Path:
        """Pointer files and what Install did, for every group."""
        return self.root / "deployment-instructions"

    def install_instructions(self, group_id: GroupId) -> Path:
        """What the last Install did, written for people and tools; never read back."""
        return self.instructions / f"{group_id}-install.json"

    def cleanup(self, group_id: GroupId) -> Path:
        """The official agent's undo list: kept up to date for it, read only at take-over."""
        return self.instructions / f"{group_id}-cleanup"

    def last_successful_install(self, group_id: GroupId) -> Path:
        """Pointer file: absolute path of the deployment folder whose files are installed."""
        return self.instructions / f"{group_id}_last_successful_install"

    def most_recent_install(self, group_id: GroupId) -> Path:
        """Pointer file: absolute path of the deployment folder unpacked last."""
        return self.instructions / f"{group_id}_most_recent_install"

    def deployments_log(self, program_name: str) -> Path:
        """The log of all deployments of this root."""
        return self.root / "deployment-logs" / f"{program_name}-deployments.log"

    @property
    def state(self) -> Path:
        """What this agent alone keeps."""
        return self.root / STATE_DIR

    @property
    def journal(self) -> Path:
        """The journal, one for the whole root."""
        return self.state / "journal.db"

    @property
    def locks(self) -> Path:
        """One file for each running deployment."""
        return self.state / "locks"
