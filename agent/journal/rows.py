"""Deployments, lifecycle events and hook scripts as rows: what the history commands show and recovery starts from."""

from dataclasses import dataclass

from agent.compat import StrEnum
from agent.core.deployment import DeploymentId, GroupId


class State(StrEnum):
    """Where a deployment or a lifecycle event stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Its process died: found and written by recovery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process that does some of the work; `started`, the kernel's start time, tells a reused pid apart.

    It counts from boot, so this holds within one boot. Whether a deployment is abandoned is told by its lock alone.
    """

    pid: int
    started: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRow:
    """One deployment. Times in seconds since the epoch; `folder` is the deployment's folder at the time."""

    seq: int
    deployment_id: DeploymentId
    group_id: GroupId
    group_name: str
    application: str
    revision: str
    folder: str
    state: State
    owner: Owner
    created_at: float
    ended_at: float | None
    bundle: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One lifecycle event of a deployment. `code` is the diagnostics code, None while it runs."""

    seq: int
    deployment_id: DeploymentId
    name: str
    state: State
    started_at: float
    duration_s: float | None
    code: int | None
    script: str
    message: str
    hint: str
    log_tail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRow:
    """One run of a hook script. `exit_code` is negative for a signal, None when it did not end by itself."""

    event_seq: int
    location: str
    runas: str | None
    timeout_s: int
    started_at: float
    duration_s: float | None
    exit_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenScript:
    """A hook script whose end is not on record; `owner` is the script's own process."""

    deployment_id: DeploymentId
    location: str
    owner: Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """What is remembered of a deployment group between deployments; None where nothing is known yet.

    Which revision is installed stands in the pointer files of the deployment root, where operators look for it.
    """

    last_good_deployment_id: DeploymentId | None = None
    taken_over_at: float | None = None
