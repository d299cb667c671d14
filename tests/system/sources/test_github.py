"""Bundles from GitHub, by a server of ours that answers as its API does."""

import io
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.core.deployment import Deployment, DeploymentId, GroupId
from agent.core.layout import Layout
from agent.core.network import ProxyRules
from agent.core.revision import BundleType, GitHubRevision
from agent.core.secret import Secret
from agent.deploy.context import Host, RunSettings
from agent.deploy.download import download_bundle
from agent.deploy.event_hooks import bundle_facts
from agent.deploy.hooks import HookSettings
from agent.errors import (
    BundleError,
    BundleNotFoundError,
    CredentialsError,
    RemoteError,
    SpecificationError,
    ThrottledError,
)
from agent.journal.history import History
from agent.journal.journal import Journal
from agent.journal.rows import Owner

TARBALL = "/repos/acme/shop/tarball/v1"


def commit(ref: str = "v1", bundle_type: BundleType = BundleType.TAR) -> GitHubRevision:
    return GitHubRevision(account="acme", repository="shop", commit=ref, bundle_type=bundle_type)


@pytest.fixture
def github(web_fetcher: Any, site: Any) -> Any:
    web_fetcher.options = replace(web_fetcher.options, github_api=site.url)
    return web_fetcher


def test_an_archive_is_fetched_through_the_redirect(site: Any, page: Any, github: Any, content: bytes) -> None:
    site.pages[TARBALL] = page(status=302, headers={"Location": "/codeload"})
    site.pages["/codeload"] = page(content, chunked=True, headers={"ETag": 'W/"e1"'})
    github(commit())
    assert github.into.read_bytes() == content


@pytest.mark.parametrize(
    ("ref", "bundle_type", "path"),
    [
        ("HEAD", BundleType.ZIP, "/repos/acme/shop/zipball/HEAD"),
        ("feature/x", BundleType.TAR, "/repos/acme/shop/tarball/feature/x"),
        ("a b#?", BundleType.TAR, "/repos/acme/shop/tarball/a%20b%23%3F"),
    ],
)
def test_the_address_follows_type_and_ref(
    site: Any, page: Any, github: Any, ref: str, bundle_type: BundleType, path: str
) -> None:
    site.pages[path] = page(b"here")
    github(commit(ref, bundle_type))
    assert site.requests[0][0] == path


def test_a_type_github_does_not_make_is_refused(github: Any) -> None:
    with pytest.raises(SpecificationError, match="GitHub makes no tgz archives") as caught:
        github(commit(bundle_type=BundleType.TGZ))
    assert "tar or zip" in caught.value.hint


def test_the_token_goes_to_the_api_and_not_to_the_redirects_host(site: Any, page: Any, github: Any) -> None:
    site.pages[TARBALL] = page(status=302, headers={"Location": f"https://127.0.0.1:{site.port}/codeload"})
    site.pages["/codeload"] = page(b"here")
    github(commit(), github_token=Secret("hunter2"))
    assert site.requests[0][1]["Authorization"] == "token hunter2"
    assert "Authorization" not in site.requests[1][1]


def test_without_a_token_none_is_sent(site: Any, page: Any, github: Any) -> None:
    site.pages[TARBALL] = page(b"here")
    github(commit())
    assert "Authorization" not in site.requests[0][1]


@pytest.mark.parametrize(
    ("token", "hint"),
    [(None, "a private repository needs a GitHub token"), (Secret("x"), "the token must be allowed to read")],
)
def test_a_404_is_final_and_hints_at_the_token(site: Any, github: Any, token: Secret | None, hint: str) -> None:
    with pytest.raises(BundleNotFoundError, match="GitHub acme/shop at v1: the server answered 404") as caught:
        github(commit(), github_token=token)
    assert hint in caught.value.hint
    assert len(site.requests) == 1


def test_a_wrong_token_is_final(site: Any, page: Any, github: Any) -> None:
    site.pages[TARBALL] = page(status=401)
    with pytest.raises(CredentialsError, match="401") as caught:
        github(commit(), github_token=Secret("hunter2"))
    assert "make a new one" in caught.value.hint
    assert "hunter2" not in caught.value.message


def test_a_403_without_rate_limit_is_final(site: Any, page: Any, github: Any) -> None:
    site.pages[TARBALL] = page(status=403, headers={"X-RateLimit-Remaining": "12"})
    with pytest.raises(BundleError, match="403") as caught:
        github(commit())
    assert "scopes" in caught.value.hint
    assert len(site.requests) == 1


@pytest.mark.parametrize("status", [403, 429])
def test_retry_after_is_honoured(site: Any, page: Any, github: Any, status: int) -> None:
    site.pages[TARBALL] = [page(status=status, headers={"Retry-After": "1"}), page(b"here")]
    before = time.monotonic()
    github(commit())
    assert time.monotonic() - before >= 1
    assert github.into.read_bytes() == b"here"


def test_a_used_up_limit_that_is_lifted_too_late_is_reported(site: Any, page: Any, github: Any) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 1800)}
    site.pages[TARBALL] = page(status=403, headers=headers)
    with pytest.raises(ThrottledError) as caught:
        github(commit())
    assert 1700 < (caught.value.retry_after_s or 0) <= 1800
    assert "use a GitHub token" in caught.value.hint
    assert len(site.requests) == 1


def test_a_failing_server_and_a_cut_archive_are_tried_again(site: Any, page: Any, github: Any, content: bytes) -> None:
    site.pages[TARBALL] = [page(status=502), page(content, chunked=True, send_at_most=100_000), page(content)]
    github(commit())
    assert github.into.read_bytes() == content


def test_a_server_that_is_never_there_is_reported(fetcher: Any) -> None:
    with pytest.raises(RemoteError, match="GitHub acme/shop at v1: no answer: Connection refused") as caught:
        fetcher(commit(), github_api="https://127.0.0.1:9")
    assert "proxy" in caught.value.hint


def test_the_proxy_is_used(site: Any, page: Any, github: Any, forward_proxy: Any) -> None:
    site.pages[TARBALL] = page(b"here")
    proxy = ProxyRules(uri=Secret(f"http://{forward_proxy.address}"))
    github(
        commit(),
        github_api=f"https://api.example:{site.port}",
        network=replace(github.options.network, proxy=proxy),
    )
    assert forward_proxy.asked == [f"api.example:{site.port}"]


def test_hook_scripts_are_told_the_commit_that_was_downloaded(
    site: Any, page: Any, github: Any, tmp_path: Path
) -> None:
    site.pages[TARBALL] = page(tarball(commit_id="0123456789abcdef0123456789abcdef01234567"))
    deployment = Deployment(
        deployment_id=DeploymentId("d-1"),
        group_id=GroupId("shop"),
        group_name="shop",
        application="shop",
        revision=commit("v1"),
    )
    settings = RunSettings(layout=Layout(tmp_path / "root"), hooks=HookSettings(), fetch=github.options)
    with Journal.open(tmp_path / "journal.db") as journal:
        host = Host(journal=journal, settings=settings)
        History(journal).begin_deployment(deployment, folder="", owner=Owner(pid=1, started=0), at=0)
        assert bundle_facts(deployment, host).commit is None
        download_bundle(deployment, host)
        assert bundle_facts(deployment, host).commit == "0123456789abcdef0123456789abcdef01234567"


def tarball(*, commit_id: str) -> bytes:
    """A bundle as GitHub makes one: the commit in a global header, everything below one folder."""
    made = io.BytesIO()
    appspec = b"version: 0.0\nos: linux\n"
    with tarfile.open(fileobj=made, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": commit_id}) as tar:
        member = tarfile.TarInfo("acme-shop-0123456/appspec.yml")
        member.size = len(appspec)
        tar.addfile(member, io.BytesIO(appspec))
    return made.getvalue()
