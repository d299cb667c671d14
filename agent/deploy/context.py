"""What every lifecycle event of a deployment needs beside the deployment itself; built once by whoever runs it."""

from dataclasses import dataclass, field
from threading import Event

from agent.core.appspec.model import AppSpec
from agent.core.deployment import Deployment
from agent.core.layout import DeploymentDir, Layout
from agent.core.lifecycle import AFTER_BLOCK_TRAFFIC, APPLICATION_STOP, BEFORE_BLOCK_TRAFFIC
from agent.core.progress import Listener, ignore_progress
from agent.core.retention import RetentionLimits
from agent.deploy.hooks import HookSettings
from agent.deploy.install import InstallRequest
from agent.errors import CancelledDeploymentError
from agent.host.archive import UnpackOptions
from agent.journal.journal import Journal
from agent.sources.fetch import FetchOptions

STOP_EVENTS = frozenset({BEFORE_BLOCK_TRAFFIC, AFTER_BLOCK_TRAFFIC, APPLICATION_STOP})
"""Events served by the previous revision; `ignore_stop_failures` keeps their failures from ending a deployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How deployments are run on this host, as configured."""

    layout: Layout
    hooks: HookSettings
    fetch: FetchOptions
    unpack: UnpackOptions = field(default_factory=UnpackOptions)
    retention: RetentionLimits = field(default_factory=RetentionLimits)
    ignore_stop_failures: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """This host as a deployment sees it. `stop` is set by whoever wants the deployment cancelled."""

    journal: Journal
    settings: RunSettings
    listener: Listener = ignore_progress
    stop: Event = field(default_factory=Event)

    def folder(self, deployment: Deployment) -> DeploymentDir:
        return self.settings.layout.deployment(deployment.group_id, deployment.deployment_id)

    def install_request(self, deployment: Deployment, folder: DeploymentDir, appspec: AppSpec) -> InstallRequest:
        """Return the order to install what lies unpacked in `folder`."""
        return InstallRequest(
            deployment=deployment,
            deployment_dir=folder,
            archive=folder.archive,
            appspec=appspec,
            layout=self.settings.layout,
            keep_special_bits=self.settings.unpack.keep_special_bits,
        )

    def check_stop(self) -> None:
        """Raises: CancelledDeploymentError when somebody asked for it."""
        if self.stop.is_set():
            raise CancelledDeploymentError(
                "stopped by the operator", hint="nothing half-done is left; run it again when ready"
            )
