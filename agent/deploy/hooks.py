"""Runs the hook scripts of one lifecycle event, in order, up to the first that fails. Knows no journal and no service.

Which revision's scripts they are, and what a failure means for the deployment, is the caller's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from agent.core.appspec.model import HookScript
from agent.core.deployment import Deployment
from agent.core.diagnostics import LogTail
from agent.core.hook_script import BundleFacts, FailedEvent
from agent.core.layout import DeploymentDir
from agent.core.progress import Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings:
    """How hook scripts are run on this host. `inherited_env` is the agent's own environment, of which little is taken.

    `pass_env` are name patterns of what else a script may see of it, `extra_env` is set as it stands; neither can
    replace a deployment's own variables. `deployments_log` is the log of all deployments, None for none.
    """

    inherited_env: Mapping[str, str] = field(default_factory=dict)
    pass_env: tuple[str, ...] = ()
    extra_env: Mapping[str, str] = field(default_factory=dict)
    grace_s: float = 5.0
    drain_s: float = 0.5
    output_open_is_failure: bool = False
    log_max_bytes: int = 64 * 1024 * 1024
    log_files: int = 8
    deployments_log: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HooksRequest:
    """One lifecycle event to run. `archive` holds the scripts; logs go to `folder`, always the current deployment's."""

    deployment: Deployment
    event: str
    archive: Path
    scripts: tuple[HookScript, ...]
    folder: DeploymentDir
    settings: HookSettings = field(default_factory=HookSettings)
    facts: BundleFacts = field(default_factory=BundleFacts)
    failed: FailedEvent | None = None
    stop: Event = field(default_factory=Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class HooksResult:
    """What a successful event did. `held_open` names processes that still held a script's output when it ended."""

    scripts_run: int
    duration_s: float
    held_open: tuple[str, ...] = ()


def run_hooks(request: HooksRequest, listener: Listener, tail: LogTail) -> HooksResult:
    """Run the scripts in order; `tail` holds the end of the script log afterwards, on success and on failure.

    Raises:
        HookError: of the first script that did not succeed; later ones do not run.
    """
    raise NotImplementedError
