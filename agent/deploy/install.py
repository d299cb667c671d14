"""Installs one revision: facts, plan, transaction. Knows the order; each part of the work is someone else's.

The caller holds the locks of the deployment group and of the destinations, and has let `recover_installs` finish
what an earlier process left.
"""

from dataclasses import dataclass
from pathlib import Path

from agent.core.appspec.model import AppSpec
from agent.core.deployment import Deployment, FileExistsBehavior
from agent.core.install_model import InstallPlan
from agent.core.layout import DeploymentDir, Layout
from agent.core.progress import Listener
from agent.journal.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallRequest:
    """One Install event. `archive` is the unpacked revision's root, absolute."""

    deployment: Deployment
    deployment_dir: DeploymentDir
    archive: Path
    appspec: AppSpec
    layout: Layout

    @property
    def file_exists_behavior(self) -> FileExistsBehavior:
        """The AppSpec's key wins over the deployment's option."""
        return self.appspec.file_exists_behavior or self.deployment.file_exists_behavior


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallResult:
    """What an Install did, in numbers of paths; `retained` are files RETAIN left alone."""

    written: int
    removed: int
    unchanged: int
    retained: int
    warnings: tuple[str, ...] = ()


def install_revision(request: InstallRequest, journal: Journal, listener: Listener) -> InstallResult:
    """Put a revision on this host, wholly or not at all.

    Raises:
        InstallError: the plan cannot be made or carried out; the host is as it was, unless the hint names
            `agentctl recover`.
        AgentFault: the journal cannot be written; recovery decides when it can be.
    """
    raise NotImplementedError


def plan_only(request: InstallRequest, journal: Journal) -> InstallPlan:
    """Return what `install_revision` would do now; changes nothing. Raises: InstallError."""
    raise NotImplementedError
