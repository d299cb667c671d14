"""Bundles from web servers: trust, checks, continuing, redirects, proxies."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.core.network import ProxyRules
from agent.core.revision import BundleType, HttpsRevision
from agent.core.secret import Secret
from agent.errors import BundleError, BundleNotFoundError, ConfigError, RemoteError, ThrottledError


def bundle(url: str, sha256: str | None = None) -> HttpsRevision:
    return HttpsRevision(url=url, bundle_type=BundleType.TAR, sha256=sha256)


def test_a_file_arrives_whole(site: Any, page: Any, web_fetcher: Any, content: bytes) -> None:
    site.pages["/a.tar"] = page(content, headers={"ETag": '"e1"'})
    fetched = web_fetcher(bundle(f"{site.url}/a.tar"))
    assert web_fetcher.into.read_bytes() == content
    assert fetched.etag == "e1"
    assert web_fetcher.progress[-1] == (len(content), len(content))


def test_a_chunked_answer_arrives_whole(site: Any, page: Any, web_fetcher: Any, content: bytes) -> None:
    site.pages["/a.tar"] = page(content, chunked=True)
    web_fetcher(bundle(f"{site.url}/a.tar"))
    assert web_fetcher.into.read_bytes() == content


def test_a_right_sha256_passes(site: Any, page: Any, web_fetcher: Any, content: bytes) -> None:
    site.pages["/a.tar"] = page(content)
    sha256 = hashlib.sha256(content).hexdigest()
    assert web_fetcher(bundle(f"{site.url}/a.tar", sha256)).sha256 == sha256


def test_another_sha256_fails(site: Any, page: Any, web_fetcher: Any) -> None:
    site.pages["/a.tar"] = page(b"x")
    with pytest.raises(BundleError, match="sha256 is .*, but the revision says 000"):
        web_fetcher(bundle(f"{site.url}/a.tar", "0" * 64))


def test_a_cut_file_with_a_strong_etag_is_continued(site: Any, page: Any, web_fetcher: Any, content: bytes) -> None:
    site.pages["/a.tar"] = page(content, headers={"ETag": '"e1"'}, send_at_most=1_000_000)
    web_fetcher(bundle(f"{site.url}/a.tar"))
    assert web_fetcher.into.read_bytes() == content
    assert site.requests[1][1]["Range"] == f"bytes=1000000-{len(content) - 1}"
    assert site.requests[1][1]["If-Range"] == '"e1"'


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"e1"'}], ids=["no etag", "weak etag"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with length", "chunked"])
def test_a_cut_file_that_cannot_be_continued_is_fetched_anew(
    site: Any, page: Any, web_fetcher: Any, content: bytes, headers: dict[str, str], chunked: bool
) -> None:
    site.pages["/a.tar"] = page(content, headers=headers, chunked=chunked, send_at_most=1_000_000)
    web_fetcher(bundle(f"{site.url}/a.tar"))
    assert web_fetcher.into.read_bytes() == content
    assert "Range" not in site.requests[1][1]


def test_a_server_without_ranges_is_asked_for_the_whole_again(
    site: Any, page: Any, web_fetcher: Any, content: bytes
) -> None:
    site.pages["/a.tar"] = page(content, headers={"ETag": '"e1"'}, ranges=False, send_at_most=1_000_000)
    web_fetcher(bundle(f"{site.url}/a.tar"))
    assert web_fetcher.into.read_bytes() == content


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_a_file_that_changes_after_a_cut_is_fetched_anew(
    site: Any, page: Any, web_fetcher: Any, content: bytes, size: int
) -> None:
    first = page(content, headers={"ETag": '"e1"'}, send_at_most=1_000_000)
    site.pages["/a.tar"] = [first, page(content[:size][::-1], headers={"ETag": '"e2"'})]
    fetched = web_fetcher(bundle(f"{site.url}/a.tar"))
    assert web_fetcher.into.read_bytes() == content[:size][::-1]
    assert fetched.etag == "e2"


def test_a_missing_file_is_final(site: Any, web_fetcher: Any) -> None:
    with pytest.raises(BundleNotFoundError, match="/gone: the server answered 404") as caught:
        web_fetcher(bundle(f"{site.url}/gone"))
    assert "check the address" in caught.value.hint
    assert len(site.requests) == 1


def test_a_refusal_hints_at_netrc(site: Any, page: Any, web_fetcher: Any) -> None:
    site.pages["/a.tar"] = page(status=401)
    with pytest.raises(BundleError, match="401") as caught:
        web_fetcher(bundle(f"{site.url}/a.tar"))
    assert "netrc" in caught.value.hint


def test_a_server_that_fails_for_a_while_is_tried_again(site: Any, page: Any, web_fetcher: Any) -> None:
    site.pages["/a.tar"] = [page(status=500), page(status=503, headers={"Retry-After": "0"}), page(b"here")]
    web_fetcher(bundle(f"{site.url}/a.tar"))
    assert web_fetcher.into.read_bytes() == b"here"


def test_a_server_that_keeps_failing_is_reported(site: Any, page: Any, web_fetcher: Any) -> None:
    site.pages["/a.tar"] = page(status=502)
    with pytest.raises(RemoteError, match="502"):
        web_fetcher(bundle(f"{site.url}/a.tar"))
    assert len(site.requests) == 4


def test_a_wait_that_is_too_long_is_reported_instead(site: Any, page: Any, web_fetcher: Any) -> None:
    site.pages["/a.tar"] = page(status=429, headers={"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"})
    with pytest.raises(ThrottledError) as caught:
        web_fetcher(bundle(f"{site.url}/a.tar"))
    assert (caught.value.retry_after_s or 0) > 1e8


def test_an_unknown_authority_is_reported_with_the_mend(site: Any, fetcher: Any) -> None:
    with pytest.raises(RemoteError, match="certificate is not trusted") as caught:
        fetcher(bundle(f"{site.url}/a.tar"))
    assert "CA bundle" in caught.value.hint


def test_a_folder_of_authorities_works(site: Any, page: Any, web_fetcher: Any, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    folder.mkdir()
    (folder / "ours.crt").write_bytes(site.ca.read_bytes())
    (folder / "README").write_text("no certificate")
    site.pages["/a.tar"] = page(b"here")
    web_fetcher(bundle(f"{site.url}/a.tar"), network=replace(web_fetcher.options.network, ca_bundle=folder))
    assert web_fetcher.into.read_bytes() == b"here"


@pytest.mark.parametrize(("name", "problem"), [("gone", "No such file"), (".", "holds no certificate")])
def test_a_useless_ca_bundle_is_a_matter_of_configuration(
    fetcher: Any, tmp_path: Path, name: str, problem: str
) -> None:
    network = replace(fetcher.options.network, ca_bundle=tmp_path / name)
    with pytest.raises(ConfigError, match=problem):
        fetcher(bundle("https://localhost/a.tar"), network=network)


def test_redirects_are_followed(site: Any, page: Any, web_fetcher: Any) -> None:
    site.pages["/a.tar"] = page(status=302, headers={"Location": "/b.tar"})
    site.pages["/b.tar"] = page(b"here")
    web_fetcher(bundle(f"{site.url}/a.tar"))
    assert web_fetcher.into.read_bytes() == b"here"


def test_a_redirect_to_plain_http_is_refused(site: Any, page: Any, web_fetcher: Any) -> None:
    site.pages["/a.tar"] = page(status=302, headers={"Location": "http://localhost/b.tar"})
    with pytest.raises(BundleError, match="redirects to an address that is not https"):
        web_fetcher(bundle(f"{site.url}/a.tar"))


def test_endless_redirects_end(site: Any, page: Any, web_fetcher: Any) -> None:
    site.pages["/a.tar"] = page(status=302, headers={"Location": "/a.tar"})
    with pytest.raises(BundleError, match="more than 5 redirects"):
        web_fetcher(bundle(f"{site.url}/a.tar"))


def test_a_signature_in_the_query_is_sent_but_never_shown(site: Any, web_fetcher: Any) -> None:
    with pytest.raises(BundleNotFoundError) as caught:
        web_fetcher(bundle(f"{site.url}/a.tar?sig=hunter2"))
    assert site.requests[0][0] == "/a.tar?sig=hunter2"
    assert "hunter2" not in caught.value.message


def test_an_unreachable_server_is_reported_without_the_query(fetcher: Any) -> None:
    with pytest.raises(RemoteError, match="no answer: Connection refused") as caught:
        fetcher(bundle("https://127.0.0.1:9/a.tar?sig=hunter2"))
    assert "hunter2" not in caught.value.message


def test_a_netrc_login_is_sent_to_its_host_only(site: Any, page: Any, web_fetcher: Any, tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine localhost login me password hunter2\n")
    file.chmod(0o600)
    site.pages["/a.tar"] = page(status=302, headers={"Location": f"https://127.0.0.1:{site.port}/b.tar"})
    site.pages["/b.tar"] = page(b"here")
    web_fetcher(bundle(f"{site.url}/a.tar"), netrc=file)
    assert site.requests[0][1]["Authorization"].startswith("Basic ")
    assert "Authorization" not in site.requests[1][1]


def test_content_encoding_is_left_as_it_is(site: Any, page: Any, web_fetcher: Any) -> None:
    site.pages["/a.tar"] = page(b"\x1f\x8bnot really", headers={"Content-Encoding": "gzip"})
    web_fetcher(bundle(f"{site.url}/a.tar"))
    assert web_fetcher.into.read_bytes() == b"\x1f\x8bnot really"


def test_the_proxy_is_used_with_its_password(site: Any, page: Any, web_fetcher: Any, forward_proxy: Any) -> None:
    site.pages["/a.tar"] = page(b"here")
    proxy = ProxyRules(uri=Secret(f"http://me:hunter2@{forward_proxy.address}"))
    web_fetcher(
        bundle(f"https://files.example:{site.port}/a.tar"),
        network=replace(web_fetcher.options.network, proxy=proxy),
    )
    assert forward_proxy.asked == [f"files.example:{site.port}"]
    assert forward_proxy.logins == ["Basic bWU6aHVudGVyMg=="]


def test_no_proxy_holds_for_each_host_of_a_redirect(site: Any, page: Any, web_fetcher: Any, forward_proxy: Any) -> None:
    site.pages["/a.tar"] = page(status=302, headers={"Location": f"{site.url}/b.tar"})
    site.pages["/b.tar"] = page(b"here")
    proxy = ProxyRules(uri=Secret(f"http://{forward_proxy.address}"), no_proxy=("localhost",))
    web_fetcher(
        bundle(f"https://files.example:{site.port}/a.tar"),
        network=replace(web_fetcher.options.network, proxy=proxy),
    )
    assert forward_proxy.asked == [f"files.example:{site.port}"]
