"""How a hook script is started: its environment variables, whose identity it takes on, its argument list.

The variables and rules are documented in docs/hooks.md. Starts nothing and looks nothing up.
"""

import fnmatch
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.core.appspec.model import HookScript
from agent.core.deployment import Deployment
from agent.core.revision import GitHubRevision, HttpsRevision, S3Revision
from agent.errors import DiagnosticsCode, HookFailedError

STANDARD_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
INHERITED = ("PATH", "LANG", "LANGUAGE", "LC_*", "TZ")
"""All that a hook script sees of the agent's own environment, as name patterns."""

CREDENTIALS = (
    "AWS_ACCESS_KEY*", "AWS_SECRET*", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL*",
    "AWS_SHARED_CREDENTIALS*", "AWS_WEB_IDENTITY*", "AWS_CONTAINER_*", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE", "GITHUB_TOKEN", "*_GITHUB_TOKEN",
)  # fmt: skip
"""Never handed on from the agent's environment, whatever `pass_env` says."""

MESSAGE_LIMIT = 4096
_NO_LOGIN_SHELLS = ("", "/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """What was observed when the bundle was fetched; None where unknown, then what the deployment asked for is used."""

    etag: str | None = None
    version: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEvent:
    """Why an `OnFailure` event runs. `script` is empty when no hook script was to blame."""

    event: str
    code: DiagnosticsCode
    message: str
    script: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose environment a script gets, as the host's user database has it."""

    name: str
    home: str
    shell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a script's environment comes from beside the deployment.

    `inherited` is the agent's whole environment, of which little is taken; `passed` are name patterns of what else to
    take; `extra` is set as it stands. A deployment's own variables win over all of them.
    """

    inherited: Mapping[str, str]
    passed: tuple[str, ...] = ()
    extra: Mapping[str, str]


def deployment_variables(
    deployment: Deployment, event: str, facts: BundleFacts, failed: FailedEvent | None = None
) -> dict[str, str]:
    """Return the variables that tell a script which deployment and lifecycle event it serves."""
    variables: dict[str, str | None] = {
        "LIFECYCLE_EVENT": event,
        "DEPLOYMENT_ID": deployment.deployment_id,
        "APPLICATION_NAME": deployment.application,
        "DEPLOYMENT_GROUP_NAME": deployment.group_name,
        "DEPLOYMENT_GROUP_ID": deployment.group_id,
        **_bundle_variables(deployment, facts),
        **({} if failed is None else _failure_variables(failed)),
    }
    return {name: _settable(value) for name, value in variables.items() if value is not None}


def _bundle_variables(deployment: Deployment, facts: BundleFacts) -> dict[str, str | None]:
    match deployment.revision:
        case S3Revision() as s3:
            return {
                "BUNDLE_BUCKET": s3.bucket,
                "BUNDLE_KEY": s3.key,
                "BUNDLE_VERSION": facts.version or s3.version,
                "BUNDLE_ETAG": facts.etag or s3.etag,
            }
        case GitHubRevision() as github:
            return {"BUNDLE_COMMIT": facts.commit or github.commit}
        case HttpsRevision():
            return {"BUNDLE_ETAG": facts.etag}
        case _:
            return {}


def _failure_variables(failed: FailedEvent) -> dict[str, str | None]:
    return {
        "FAILED_LIFECYCLE_EVENT": failed.event,
        "FAILED_SCRIPT": failed.script,
        "FAILED_ERROR_CODE": str(int(failed.code)),
        "FAILED_EXIT_CODE": None if failed.exit_code is None else str(failed.exit_code),
        "FAILED_MESSAGE": failed.message[:MESSAGE_LIMIT],
    }


def build_environment(surroundings: Surroundings, account: Account, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a script: a short list, nothing by accident, no credentials of the agent."""
    inherited = surroundings.inherited
    passed = _select(inherited, surroundings.passed)
    environment = {
        **_select(inherited, INHERITED),
        "PATH": _complete_path(inherited.get("PATH", "")),
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": "/bin/sh" if account.shell in _NO_LOGIN_SHELLS else account.shell,
        **{name: value for name, value in passed.items() if not _matches(name, CREDENTIALS)},
        **surroundings.extra,
        **variables,
    }
    return {name: _settable(value) for name, value in environment.items()}


def _complete_path(path: str) -> str:
    """Return `path` with the standard folders it lacks at its end; relative ones, which follow the cwd, left out."""
    folders = [folder for folder in path.split(":") if folder.startswith("/")]
    return ":".join([*folders, *(folder for folder in STANDARD_PATH if folder not in folders)])


def _select(environment: Mapping[str, str], patterns: Iterable[str]) -> dict[str, str]:
    patterns = tuple(patterns)
    return {name: value for name, value in environment.items() if _matches(name, patterns)}


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _settable(value: str) -> str:
    """Return `value` as the kernel can take it: no NUL, no lone surrogate but for undecodable bytes."""
    value = value.replace("\0", "")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return value.encode(errors="replace").decode()
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose ids a script takes on and what stands before its path. `user` None keeps the agent's own ids."""

    user: str | None
    prefix: tuple[str, ...] = ()


def choose_identity(script: HookScript, *, own_name: str, is_root: bool, variables: Iterable[str] = ()) -> Identity:
    """Say how `script` comes to run as the user it asks for.

    Root needs no `sudo`: the ids are set in the child, which asks for no login shell. Another user goes through
    `sudo -n` where the AppSpec says `sudo`, carrying the named `variables` along.

    Raises:
        HookFailedError: another user is asked for, and we are neither root nor told to use sudo.
    """
    if is_root:
        return Identity(user=script.runas)
    if script.sudo:
        as_user = () if script.runas is None else ("-u", script.runas)
        keep = f"--preserve-env={','.join(variables)}"
        return Identity(user=None, prefix=("sudo", "-n", *as_user, keep, "--"))
    if script.runas in {None, own_name}:
        return Identity(user=None)
    raise HookFailedError(
        f"{script.location}: runas {script.runas!r} needs root, and the agent runs as {own_name!r}",
        hint=f"run the agent as root, remove runas, or add sudo: true and let {own_name} use sudo without a password",
        script=script.location,
    )
