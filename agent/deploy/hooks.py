"""Runs the hook scripts of one lifecycle event, in order, up to the first that fails. Knows no journal and no service.

Which revision's scripts they are, and what a failure means for the deployment, is the caller's.
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from agent.core.appspec.model import HookScript
from agent.core.deployment import Deployment
from agent.core.diagnostics import LogTail
from agent.core.hook_script import (
    Account,
    BundleFacts,
    FailedEvent,
    Surroundings,
    build_environment,
    choose_identity,
    deployment_variables,
)
from agent.core.layout import DeploymentDir
from agent.core.progress import Listener
from agent.deploy.hook_recorder import HookRecorder
from agent.errors import HookFailedError, UnknownUserError
from agent.host.script import ScriptRequest, run_script
from agent.host.script_log import LogLimits, ScriptLog
from agent.host.users import UserIds, current_user, find_user


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
    log: LogLimits = field(default_factory=LogLimits)
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
    began = time.monotonic()
    held_open: list[str] = []
    with contextlib.closing(_make_recorder(request, listener, tail)) as recorder:
        if request.scripts:
            recorder.note(f"LifecycleEvent - {request.event}")
        for script in request.scripts:
            recorder.note(f"Script - {script.location}")
            result = run_script(prepare_script(request, script), recorder.observe(script), request.stop)
            held_open.extend(result.held_open)
    return HooksResult(
        scripts_run=len(request.scripts), duration_s=time.monotonic() - began, held_open=tuple(held_open)
    )


def prepare_script(request: HooksRequest, script: HookScript) -> ScriptRequest:
    """Return how `script` is started: identity, environment, limits.

    Raises:
        HookFailedError: it asks for a user that this host has not, or that we cannot become.
    """
    settings = request.settings
    own = current_user()
    variables = deployment_variables(request.deployment, request.event, request.facts, request.failed)
    carried = sorted({*variables, *settings.extra_env})
    identity = choose_identity(script, own_name=own.name, is_root=own.uid == 0, variables=carried)
    user = None if identity.user is None else _find_runas(identity.user, script)
    account = user or own
    surroundings = Surroundings(inherited=settings.inherited_env, passed=settings.pass_env, extra=settings.extra_env)
    return ScriptRequest(
        location=script.location,
        archive=request.archive,
        env=build_environment(
            surroundings, Account(name=account.name, home=account.home, shell=account.shell), variables
        ),
        timeout_s=script.timeout_s,
        user=user,
        prefix=identity.prefix,
        grace_s=settings.grace_s,
        drain_s=settings.drain_s,
        output_open_is_failure=settings.output_open_is_failure,
    )


def _find_runas(name: str, script: HookScript) -> UserIds:
    try:
        return find_user(name)
    except UnknownUserError as exc:
        raise HookFailedError(
            f"{script.location}: runas: {exc.message}", hint=exc.hint, script=script.location
        ) from exc


def _make_recorder(request: HooksRequest, listener: Listener, tail: LogTail) -> HookRecorder:
    settings = request.settings
    log = ScriptLog(
        request.folder.script_log,
        request.deployment.deployment_id,
        deployments_log=settings.deployments_log,
        limits=settings.log,
    )
    return HookRecorder(request.event, log, tail, listener)
