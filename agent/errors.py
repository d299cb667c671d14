"""Every error the agent raises on purpose, and what each means for a deployment and for an exit status.

`message` says what failed and where; `hint` says how to mend it. Nobody matches on either: classes carry data.
"""

from enum import IntEnum
from typing import ClassVar


class DiagnosticsCode(IntEnum):
    """`error_code` of a host command's diagnostics (docs/hooks.md). 0 to 7 are the service's own contract."""

    SUCCESS = 0
    SCRIPT_MISSING = 1
    SCRIPT_NOT_EXECUTABLE = 2
    SCRIPT_TIMED_OUT = 3
    SCRIPT_FAILED = 4
    UNKNOWN_ERROR = 5
    OUTPUTS_LEFT_OPEN = 6
    FAILED_AFTER_RESTART = 7


class AgentError(Exception):
    """Root of all. `exit_status` is what `agentctl` leaves with; `diagnostics_code` is what the service is told."""

    exit_status: ClassVar[int] = 1
    diagnostics_code: ClassVar[DiagnosticsCode] = DiagnosticsCode.UNKNOWN_ERROR

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(AgentError):
    """The configuration or the command line is wrong; the operator mends it."""

    exit_status: ClassVar[int] = 2


class DeploymentError(AgentError):
    """This deployment fails; the agent carries on."""


class SpecificationError(DeploymentError):
    """A deployment was described in a way that cannot be carried out (identifiers, revision, events)."""


class AppSpecError(DeploymentError):
    """The AppSpec file cannot be used. Single problems are `agent.core.appspec` values; this carries their summary."""


class BundleError(DeploymentError):
    """A bundle cannot be fetched, verified or unpacked."""


class BundleNotFoundError(BundleError):
    """The place named holds no bundle: final, trying again cannot help."""


class InstallError(DeploymentError):
    """The install plan cannot be made or carried out. `problems`: one line for each thing in the way, when known."""

    def __init__(self, message: str, *, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class DestinationExistsError(InstallError):
    """Files are already there and `file_exists_behavior` is DISALLOW."""


class PermissionsError(InstallError):
    """An entry of the AppSpec's `permissions` cannot be applied."""


class DestinationLockedError(DeploymentError):
    """Another deployment holds this deployment group or an overlapping destination."""


class HookError(DeploymentError):
    """A hook script did not succeed. `script` is its location as the AppSpec writes it."""

    def __init__(self, message: str, *, hint: str = "", script: str = "") -> None:
        super().__init__(message, hint=hint)
        self.script = script


class HookMissingError(HookError):
    """The AppSpec names a script that is not in the archive."""

    diagnostics_code = DiagnosticsCode.SCRIPT_MISSING


class HookNotExecutableError(HookError):
    """The script lacks the execute bit and it could not be added."""

    diagnostics_code = DiagnosticsCode.SCRIPT_NOT_EXECUTABLE


class HookTimeoutError(HookError):
    """The script did not end within its time limit; its whole process tree was ended."""

    diagnostics_code = DiagnosticsCode.SCRIPT_TIMED_OUT


class HookFailedError(HookError):
    """The script ended badly or could not be started. `exit_code` is None when it never started or died of a signal."""

    diagnostics_code = DiagnosticsCode.SCRIPT_FAILED

    def __init__(self, message: str, *, hint: str = "", script: str = "", exit_code: int | None = None) -> None:
        super().__init__(message, hint=hint, script=script)
        self.exit_code = exit_code


class HookOutputOpenError(HookError):
    """The script ended but something it started still holds its output, and the configuration calls that a failure."""

    diagnostics_code = DiagnosticsCode.OUTPUTS_LEFT_OPEN


class HookCancelledError(HookError):
    """An operator stopped the script; its whole process tree was ended."""

    diagnostics_code = DiagnosticsCode.SCRIPT_FAILED


class CancelledDeploymentError(DeploymentError):
    """An operator stopped the deployment between or inside our own steps."""


class UnknownUserError(DeploymentError):
    """A user named by a revision has no account on this host."""


class ToolError(DeploymentError):
    """A helper program of the system is missing, cannot be started or did not end in time."""


class RemoteError(AgentError):
    """Something on the network did not answer as it should; trying again later may help."""


class ThrottledError(RemoteError):
    """Asked to slow down. `retry_after_s` is the server's wish, in seconds, None when it named none."""

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class CredentialsError(RemoteError):
    """No usable AWS credentials, or the service refused them."""


class AgentFault(AgentError):  # noqa: N818 - a fault is ours, not an error of the deployment
    """We cannot trust our own ground (broken journal, full state disk): stop."""

    exit_status: ClassVar[int] = 70  # EX_SOFTWARE, sysexits.h
