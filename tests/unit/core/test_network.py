"""Which hosts are reached through the proxy."""

import pytest

from agent.core.network import ProxyRules, proxy_rules
from agent.core.secret import Secret


def rules(*no_proxy: str) -> ProxyRules:
    return ProxyRules(uri=Secret("http://proxy:3128"), no_proxy=no_proxy)


@pytest.mark.parametrize(
    ("rule", "host", "port"),
    [
        ("*", "anything.example", 443),
        ("corp.example", "corp.example", 443),
        ("corp.example", "git.corp.example", 443),
        (".corp.example", "git.corp.example", 443),
        ("*.corp.example", "git.corp.example", 443),
        ("corp.example:8443", "git.corp.example", 8443),
        ("10.0.0.0/8", "10.1.2.3", 443),
        ("10.1.2.3", "10.1.2.3", 443),
        ("10.1.2.3:9000", "10.1.2.3", 9000),
        ("fd00::/8", "[fd00::1]", 443),
        ("amazonaws.com", "S3.eu-west-1.amazonaws.com.", 443),
    ],
)
def test_a_host_that_no_proxy_names_is_reached_directly(rule: str, host: str, port: int) -> None:
    assert rules("other", rule).proxy_for(host, port) is None


@pytest.mark.parametrize(
    ("rule", "host"),
    [
        ("corp.example", "notcorp.example"),
        ("corp.example:8443", "corp.example"),
        ("10.0.0.0/8", "11.1.2.3"),
        ("10.0.0.0/8", "files.example"),
        (".", "files.example"),
    ],
)
def test_any_other_host_goes_through_the_proxy(rule: str, host: str) -> None:
    assert rules(rule).proxy_for(host) == "http://proxy:3128"


@pytest.mark.parametrize("host", ["169.254.169.254", "fd00:ec2::254", "localhost", "127.0.0.1"])
def test_metadata_and_this_host_never_go_through_the_proxy(host: str) -> None:
    assert rules().proxy_for(host, 80) is None


def test_the_configured_proxy_wins_over_the_environments() -> None:
    found = proxy_rules("http://mine:1", {"HTTPS_PROXY": "http://theirs:2", "NO_PROXY": "a.example, B.example"})
    assert found == ProxyRules(uri=Secret("http://mine:1"), no_proxy=("a.example", "b.example"))


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_without_one_the_environments_proxy_counts(name: str) -> None:
    assert proxy_rules(None, {name: "http://theirs:2"}).proxy_for("files.example") == "http://theirs:2"


def test_without_any_proxy_everything_is_direct() -> None:
    assert proxy_rules(None, {}).proxy_for("files.example") is None


def test_a_proxys_password_does_not_show() -> None:
    assert "hunter2" not in repr(proxy_rules("http://me:hunter2@proxy:1", {}))
