"""Turns `agent.aws.session` values into botocore clients. Imported only by what talks to AWS: it costs 35 MB.

For every source of credentials but the chain and a named profile, nothing of the environment or of `~/.aws` counts.
"""

import os
from urllib.parse import urlsplit

import botocore.session
from botocore import UNSIGNED
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import CredentialResolver
from botocore.exceptions import BotoCoreError

from agent.aws.credentials import instance_region, provider_for
from agent.aws.session import (
    Anonymous,
    AwsSettings,
    CredentialChain,
    InstanceProfile,
    NamedProfile,
    SessionFile,
    StaticKeys,
)
from agent.core.network import NetworkSettings
from agent.errors import ConfigError
from agent.version import __version__

_ISOLATED = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""Session variables without the environment's names: nothing found there may change who we are."""

_FALLBACK_REGION = "us-east-1"
"""Where S3 is asked first when nobody named a region; it answers with the bucket's own."""


def s3_client(
    settings: AwsSettings, network: NetworkSettings, *, ca: str | bool, bucket: str = "", connections: int = 1
) -> BaseClient:
    """Return an S3 client that neither retries nor waits by itself. `ca` as `verify=` takes it.

    Raises:
        ConfigError: a profile that does not exist, an endpoint or a combination of options that cannot be.
    """
    try:
        session = _session(settings)
        region = settings.region or _found_region(settings, session) or _FALLBACK_REGION
        make = _Maker(session, settings, region, ca)
        if network.proxy.uri is None:
            return make.client(network, connections, None)
        straight = make.client(network, connections, None)
        proxy = _proxy_for(straight, network, bucket)
        return straight if proxy is None else make.client(network, connections, proxy)
    except (BotoCoreError, ValueError) as exc:
        raise ConfigError(
            f"AWS settings: {exc}", hint="check region, endpoint override, profile, FIPS and dual stack"
        ) from exc


class _Maker:
    """Builds the same client with and without a proxy."""

    def __init__(self, session: botocore.session.Session, settings: AwsSettings, region: str, ca: str | bool) -> None:
        self._session = session
        self._settings = settings
        self._region = region
        self._ca = ca

    def client(self, network: NetworkSettings, connections: int, proxy: str | None) -> BaseClient:
        override = self._settings.s3_endpoint_override
        config = Config(
            signature_version=UNSIGNED if isinstance(self._settings.credentials, Anonymous) else None,
            connect_timeout=network.connect_timeout_s,
            read_timeout=network.read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": 1},
            proxies={"http": proxy, "https": proxy} if proxy else {},
            max_pool_connections=connections,
            s3={"addressing_style": _addressing(self._settings)},
            use_fips_endpoint=self._settings.use_fips and not override,
            use_dualstack_endpoint=self._settings.use_dualstack and not override,
            ignore_configured_endpoint_urls=not _is_users_own(self._settings),
            response_checksum_validation="when_required",
            user_agent_extra=f"deploy-agent/{__version__}",
        )
        client: BaseClient = self._session.create_client(
            "s3", region_name=self._region, endpoint_url=override, verify=self._ca, config=config
        )
        return client


def _session(settings: AwsSettings) -> botocore.session.Session:
    source = settings.credentials
    match source:
        case CredentialChain() | Anonymous():
            return _without_v1(botocore.session.Session(), settings)
        case NamedProfile(name=name):
            return _without_v1(botocore.session.Session(profile=name), settings)
        case InstanceProfile() | StaticKeys() | SessionFile():
            session = botocore.session.Session(session_vars=_ISOLATED)
            session.register_component(
                "credential_provider", CredentialResolver([provider_for(source, allow_imds_v1=settings.allow_imds_v1)])
            )
            return session


def _without_v1(session: botocore.session.Session, settings: AwsSettings) -> botocore.session.Session:
    if not settings.allow_imds_v1:
        session.set_config_variable("ec2_metadata_v1_disabled", True)
    return session


def _found_region(settings: AwsSettings, session: botocore.session.Session) -> str | None:
    """Ask whoever gave the credentials: the user's profile, or the metadata service for an instance's role."""
    source = settings.credentials
    if isinstance(source, InstanceProfile):
        return instance_region(source, allow_imds_v1=settings.allow_imds_v1)
    if not _is_users_own(settings):
        return None
    found: str | None = session.get_config_variable("region")
    if found is None and getattr(session.get_credentials(), "method", "") == "iam-role":
        return instance_region(InstanceProfile(), allow_imds_v1=settings.allow_imds_v1)
    return found


def _is_users_own(settings: AwsSettings) -> bool:
    """Say whether the user's `~/.aws` files and environment are meant to count."""
    return isinstance(settings.credentials, CredentialChain | NamedProfile)


def _addressing(settings: AwsSettings) -> str:
    if settings.path_style is None:
        return "path" if settings.s3_endpoint_override else "auto"
    return "path" if settings.path_style else "virtual"


def _proxy_for(client: BaseClient, network: NetworkSettings, bucket: str) -> str | None:
    """NO_PROXY counts whether it names the service's host or the bucket's."""
    url = urlsplit(client.meta.endpoint_url)
    host, port = url.hostname or "", url.port or (80 if url.scheme == "http" else 443)
    proxy = network.proxy.proxy_for(host, port)
    return proxy if proxy and bucket and network.proxy.proxy_for(f"{bucket}.{host}", port) else None
