"""How this host reaches others: proxy and its exceptions, trusted authorities, time limits. Opens no connection."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.core.secret import Secret

_LINK_LOCAL = ("169.254.169.254", "fd00:ec2::254", "localhost", "127.0.0.1", "::1")
"""Never through a proxy: instance metadata and this host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRules:
    """A proxy for everything but the hosts of `no_proxy` (in the forms NO_PROXY takes). No `uri`: no proxy."""

    uri: Secret | None = None
    no_proxy: tuple[str, ...] = ()

    def proxy_for(self, host: str, port: int = 443) -> str | None:
        """Return the proxy's address (it may hold a password) to reach `host` through, None to go straight."""
        host = host.lower().strip("[]").rstrip(".")
        if self.uri is None or host in _LINK_LOCAL or any(_covers(rule, host, port) for rule in self.no_proxy):
            return None
        return self.uri.reveal()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """`ca_bundle` is a PEM file, or a folder of `*.pem`/`*.crt`; it replaces the system's authorities."""

    proxy: ProxyRules = field(default_factory=ProxyRules)
    ca_bundle: Path | None = None
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0


def proxy_rules(proxy_uri: str | None, environ: Mapping[str, str]) -> ProxyRules:
    """Return the rules from the configured `proxy_uri`, else from HTTPS_PROXY/ALL_PROXY; NO_PROXY holds for both."""
    uri = proxy_uri or _first(environ, "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    listed = _first(environ, "no_proxy", "NO_PROXY") or ""
    rules = tuple(rule.strip().lower() for rule in listed.split(",") if rule.strip())
    return ProxyRules(uri=Secret(uri) if uri else None, no_proxy=rules)


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((value for name in names if (value := environ.get(name))), None)


def _covers(rule: str, host: str, port: int) -> bool:
    """Say whether one NO_PROXY entry (`*`, name, .suffix, *.suffix, address, network; maybe :port) names `host`."""
    if rule == "*":
        return True
    network = _network(rule)
    if network is not None:
        return _address_in(host, network)
    name, colon, rule_port = rule.rpartition(":")
    if colon and rule_port.isdigit():
        return int(rule_port) == port and _covers(name.strip("[]"), host, port)
    suffix = rule.removeprefix("*").removeprefix(".")
    return bool(suffix) and (host == suffix or host.endswith("." + suffix))


def _network(rule: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(rule.strip("[]"), strict=False)
    except ValueError:
        return None


def _address_in(host: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(host) in network
    except ValueError:
        return False
