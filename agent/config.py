"""Reads the configuration file and the environment, once, into values. The only module that reads the environment.

The official agent's file is read as it is, leading-colon keys too; our own keys may stand in the same file. Every key
is documented in docs/configuration.md.
"""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from agent.aws.session import AwsSettings, credentials_from, region_from
from agent.core.layout import Layout
from agent.core.network import NetworkSettings, proxy_rules
from agent.core.retention import RetentionLimits
from agent.core.secret import Secret
from agent.deploy.context import RunSettings
from agent.deploy.hooks import HookSettings
from agent.errors import ConfigError
from agent.host.archive import UnpackOptions
from agent.host.script_log import LogLimits
from agent.sources.options import FetchLimits, FetchOptions

USUAL_PLACES = (
    Path("/etc/deploy-agent/agent.yml"),
    Path("/etc/codedeploy-agent/conf/codedeployagent.yml"),
)
ROOT_DIR = Path("/opt/codedeploy-agent/deployment-root")
USER_ROOT_DIR = Path("deploy-agent/deployment-root")
"""Below XDG_STATE_HOME: where a user without root's rights deploys unless a configuration says otherwise."""

ACCEPTED_UNUSED = frozenset({
    "pid_dir", "verbose", "wait_between_runs", "wait_after_error", "log_aws_wire",
    "enable_auth_policy", "deploy_control_endpoint", "on_premises_config_file", "ongoing_deployment_tracking",
    "kill_agent_max_wait_time_seconds", "http_read_timeout", "wait_after_throttle_error",
    "wait_after_connection_problem", "children", "wait_between_spawning_children", "max_runs_per_worker", "user",
    "group", "codedeploy_test_profile", "shared_dir", "instance_service_region", "instance_service_endpoint",
    "instance_service_port", "plugins", "log_dir", "enable_archive_reuse", "enable_command_port",
    "disable_core_dumps", "reject_path_traversal_in_bundle", "reject_symlink_permission_targets",
    "restrict_hook_env_to_allowlist", "strip_loader_env_in_hooks", "disable_powershell_profile_in_hooks",
    "ignore_ownership_in_bundle",
})  # fmt: skip
"""Keys of the official agents that say nothing to `agentctl`, or what it does anyway: no warning, no effect."""

NOT_OFFERED = frozenset({
    "reject_symlinks_in_bundle", "reject_unsafe_permissions_in_bundle", "reject_unconfined_selinux_in_bundle",
    "restrict_agent_dir_permissions", "restrict_log_dir_permissions",
})  # fmt: skip
"""Protections of the official agents that we do not have: whoever switches one on is told."""

_SIZE_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
               "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}  # fmt: skip

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The configuration of this host. `source` is the file it came from, None for the embedded defaults."""

    source: Path | None
    layout: Layout
    run: RunSettings
    warnings: tuple[str, ...] = ()


def load_config(file: Path | None, environ: Mapping[str, str]) -> Config:
    """Return the configuration in `file`, else of the first usual place that is there, else the embedded defaults.

    Raises:
        ConfigError: the file cannot be read, is not a mapping, or a key has an unusable value.
    """
    source = file or next((place for place in USUAL_PLACES if os.access(place, os.R_OK)), None)
    keys = _Keys(source, {} if source is None else _read(source))
    layout = Layout(_root_dir(keys, environ, is_explicit=file is not None))
    run = _run_settings(keys, layout, environ)
    return Config(source=source, layout=layout, run=run, warnings=keys.warnings())


def with_root_dir(config: Config, root_dir: Path) -> Config:
    """Return `config` for another deployment root, as given on the command line."""
    layout = Layout(root_dir.absolute())
    hooks = config.run.hooks
    if hooks.deployments_log is not None:
        below = hooks.deployments_log.relative_to(config.layout.root)
        hooks = replace(hooks, deployments_log=layout.root / below)
    return replace(config, layout=layout, run=replace(config.run, layout=layout, hooks=hooks))


def _read(file: Path) -> dict[str, object]:
    import yaml

    try:
        content: object = yaml.safe_load(file.read_bytes())
    except OSError as exc:
        raise ConfigError(f"{file}: {exc.strerror}", hint="name a readable file") from exc
    except (yaml.YAMLError, ValueError) as exc:
        raise ConfigError(f"{file}: not YAML: {exc}", hint="mend the line it names") from exc
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: not a mapping of keys", hint="write one `key: value` a line")
    return {str(key).removeprefix(":"): value for key, value in content.items()}


def _root_dir(keys: "_Keys", environ: Mapping[str, str], *, is_explicit: bool) -> Path:
    configured = keys.take("root_dir", _path, ROOT_DIR)
    if is_explicit or os.geteuid() == 0 or os.access(configured, os.W_OK):
        return configured
    state = Path(environ.get("XDG_STATE_HOME") or Path(environ.get("HOME") or "/tmp") / ".local/state")  # noqa: S108
    return state / USER_ROOT_DIR


def _run_settings(keys: "_Keys", layout: Layout, environ: Mapping[str, str]) -> RunSettings:
    program = keys.take("program_name", _text, "codedeploy-agent")
    logs_all = keys.take("enable_deployments_log", _boolean, default=True)
    defaults = HookSettings()
    return RunSettings(
        layout=layout,
        hooks=HookSettings(
            inherited_env=dict(environ),
            pass_env=keys.take("hook_pass_environment", _texts, ()),
            extra_env=keys.take("hook_environment", _variables, {}),
            grace_s=keys.take("hook_grace_seconds", _seconds, defaults.grace_s),
            drain_s=keys.take("hook_drain_seconds", _seconds, defaults.drain_s),
            output_open_is_failure=keys.take("fail_on_open_output", _boolean, default=False),
            log=LogLimits(
                max_bytes=keys.take("script_log_max_size", _size, defaults.log.max_bytes),
                files=keys.take("script_log_files", _positive, defaults.log.files),
            ),
            deployments_log=layout.deployments_log(program) if logs_all else None,
        ),
        fetch=_fetch_options(keys, environ),
        unpack=_unpack_options(keys),
        retention=RetentionLimits(
            max_revisions=keys.take("max_revisions", _positive, RetentionLimits().max_revisions),
            max_bytes=keys.take("max_revisions_size", _size, None),
            max_inodes=keys.take("max_revisions_inodes", _positive, None),
        ),
        ignore_stop_failures=keys.take("ignore_application_stop_failures", _boolean, default=False),
    )


def _fetch_options(keys: "_Keys", environ: Mapping[str, str]) -> FetchOptions:
    limits = FetchLimits()
    ca_bundle = keys.take("ca_bundle", _path, None) or _first_path(
        environ, "AWS_CA_BUNDLE", "AWS_SSL_CA_BUNDLE", "AWS_SSL_CA_DIRECTORY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"
    )
    return FetchOptions(
        aws=AwsSettings(
            credentials=keys.take(
                "credentials", lambda value: credentials_from(_text(value), environ), AwsSettings().credentials
            ),
            region=region_from(keys.take("region", _text, None), environ),
            s3_endpoint_override=keys.take("s3_endpoint_override", _text, None),
            use_fips=keys.take("use_fips_mode", _boolean, default=False),
            use_dualstack=keys.take("use_dualstack", _boolean, default=False),
            path_style=keys.take("s3_path_style", _boolean, None),
            allow_imds_v1=not keys.take("disable_imds_v1", _boolean, default=False),
        ),
        network=NetworkSettings(proxy=proxy_rules(keys.take("proxy_uri", _text, None), environ), ca_bundle=ca_bundle),
        github_token=_github_token(keys, environ),
        github_api=keys.take("github_api", _text, FetchOptions().github_api),
        netrc=keys.take("netrc_file", _path, None),
        limits=replace(limits, max_bytes=keys.take("bundle_max_size", _size, limits.max_bytes)),
    )


def _github_token(keys: "_Keys", environ: Mapping[str, str]) -> Secret | None:
    file = keys.take("github_token_file", _path, None)
    if file is not None:
        return read_token(file)
    token = environ.get("CODEDEPLOY_GITHUB_TOKEN") or environ.get("GITHUB_TOKEN")
    return Secret(token) if token else None


def read_token(file: Path) -> Secret:
    """Return the token that is the only line of `file`. Raises: ConfigError."""
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{file}: GitHub token not read: {exc}", hint="name a readable file with one line") from exc
    if not token or "\n" in token:
        raise ConfigError(f"{file}: not one line", hint="put the GitHub token, and nothing else, into the file")
    return Secret(token)


def _unpack_options(keys: "_Keys") -> UnpackOptions:
    defaults = UnpackOptions()
    return UnpackOptions(
        max_entries=keys.take("archive_max_entries", _positive, defaults.max_entries),
        max_bytes=keys.take("archive_max_extraction_size", _size, defaults.max_bytes),
        max_ratio=keys.take("archive_max_ratio", _positive, defaults.max_ratio),
        keep_special_bits=keys.take("keep_special_bits_in_bundle", _boolean, default=False),
        keep_outward_links=keys.take("keep_outward_links_in_bundle", _boolean, default=False),
        restore_ownership=keys.take("restore_ownership_in_bundle", _boolean, default=False),
    )


def _first_path(environ: Mapping[str, str], *names: str) -> Path | None:
    return next((Path(value) for name in names if (value := environ.get(name))), None)


@dataclass(slots=True)
class _Keys:
    """The file's keys; remembers which were asked for, so that the others can be named."""

    source: Path | None
    values: Mapping[str, object]
    _known: set[str] = field(default_factory=set)

    def take(self, key: str, read: Callable[[object], _T], default: _T) -> _T:
        """Return `key` as `read` understands it; `default` when it is absent, null or empty."""
        self._known.add(key)
        value = self.values.get(key)
        if value is None or value == "":
            return default
        try:
            return read(value)
        except ValueError as exc:
            raise ConfigError(
                f"{self.source}: {key}: {value!r} is not {exc}", hint="see docs/configuration.md"
            ) from exc

    def warnings(self) -> tuple[str, ...]:
        """Return one for every key that nobody knows, with the nearest one that somebody does, or that we lack."""
        known = self._known | ACCEPTED_UNUSED | NOT_OFFERED
        unknown = (self._unknown(key, known) for key in self.values if key not in known)
        lacking = (key for key in sorted(NOT_OFFERED) if self.values.get(key) is True)
        return (*unknown, *(f"{self.source}: {key}: this agent has no such protection" for key in lacking))

    def _unknown(self, key: str, known: set[str]) -> str:
        near = difflib.get_close_matches(key, known, n=1)
        return f"{self.source}: unknown key {key!r}" + (f", did you mean {near[0]!r}?" if near else "")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")  # noqa: TRY004 - one error type for every reader
    return value


def _path(value: object) -> Path:
    result = Path(_text(value))
    if not result.is_absolute():
        raise ValueError("an absolute path")
    return result


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004
    return value


def _positive(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a whole number from 1")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError("a number of seconds")
    return float(value)


def _size(value: object) -> int:
    """Bytes, or text like `4GB` (powers of 1000) and `4GiB` (of 1024)."""
    written = str(value).replace(" ", "")
    digits = written.rstrip("BbKkMmGgTtIi")
    unit = _SIZE_UNITS.get(written[len(digits) :].upper())
    if isinstance(value, bool) or not digits.isdecimal() or unit is None or int(digits) < 1:
        raise ValueError("a size like 500MB or 4GiB")
    return int(digits) * unit


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("a list of texts")  # noqa: TRY004
    return tuple(_text(item) for item in value)


def _variables(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, (str, int)) for item in value.values()):
        raise ValueError("a mapping of variable names to texts")
    return {_text(name): str(item) for name, item in value.items()}
