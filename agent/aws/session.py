"""Who we are to AWS and where AWS is, as plain values. `agent.aws.client` turns them into clients.

Imports nothing of botocore, so that describing AWS costs a local deployment nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.core.secret import Secret
from agent.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceProfile:
    """Only the instance's own role, from the metadata service."""

    endpoint: str = "http://169.254.169.254"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticKeys:
    """Keys handed in: an on-premises IAM user, or those of an environment."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFile:
    """A credentials file that something else keeps rewriting; read again whenever it changes."""

    path: Path
    profile: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedProfile:
    """A profile of the user's `~/.aws` files, whatever it leads to (keys, a role, a process, SSO)."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialChain:
    """Whatever an AWS tool started by this user would find: environment, `~/.aws`, container, instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymous:
    """No credentials at all: public buckets."""


CredentialSource = InstanceProfile | StaticKeys | SessionFile | NamedProfile | CredentialChain | Anonymous


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """`region` None leaves it to the credentials' source (profile, metadata service), then to S3's own redirects.

    `s3_endpoint_override` wins over `use_fips` and `use_dualstack`, as in the official agent.
    `path_style` None lets the AWS rules decide; with an override, path style is the default.
    `allow_imds_v1` lets the metadata service be asked without a token when it gives none.
    """

    credentials: CredentialSource = field(default_factory=CredentialChain)
    region: str | None = None
    s3_endpoint_override: str | None = None
    use_fips: bool = False
    use_dualstack: bool = False
    path_style: bool | None = None
    allow_imds_v1: bool = True


def region_from(explicit: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the region to put into AwsSettings: the configured one, AWS_REGION, AWS_DEFAULT_REGION, else None."""
    return explicit or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None


def credentials_from(text: str, environ: Mapping[str, str]) -> CredentialSource:
    """Return the source that a configuration names: `chain`, `instance`, `environment`, `anonymous`, `profile:NAME` or
    `file:PATH` (absolute).

    Raises:
        ValueError: none of them.
        ConfigError: `environment` without keys in it.
    """
    match text.partition(":"):
        case ("chain", "", _):
            return CredentialChain()
        case ("instance", "", _):
            return InstanceProfile()
        case ("environment", "", _):
            return keys_from_environment(environ)
        case ("anonymous", "", _):
            return Anonymous()
        case ("profile", ":", name) if name:
            return NamedProfile(name=name)
        case ("file", ":", path) if path.startswith("/"):
            return SessionFile(path=Path(path))
        case _:
            raise ValueError("chain, instance, environment, anonymous, profile:NAME or file:/PATH")


def keys_from_environment(environ: Mapping[str, str]) -> StaticKeys:
    """Return the keys of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.

    Raises:
        ConfigError: one of the first two is missing.
    """
    missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environ.get(name)]
    if missing:
        raise ConfigError(
            f"credentials from the environment: {' and '.join(missing)} not set",
            hint="export the missing variable, or choose another source of credentials",
        )
    token = environ.get("AWS_SESSION_TOKEN")
    return StaticKeys(
        access_key_id=environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=Secret(environ["AWS_SECRET_ACCESS_KEY"]),
        session_token=Secret(token) if token else None,
    )
