"""Bundles from S3: what is fetched, what is checked, and what each refusal says."""

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.aws.session import Anonymous, AwsSettings, SessionFile
from agent.core.network import NetworkSettings, ProxyRules
from agent.core.revision import BundleType, S3Revision
from agent.core.secret import Secret
from agent.errors import (
    AgentError,
    BundleError,
    BundleNotFoundError,
    CancelledDeploymentError,
    ConfigError,
    CredentialsError,
    RemoteError,
    ThrottledError,
)
from agent.sources.fetch import FetchLimits


def revision(bucket: Any, key: str = "shop.tar", **more: Any) -> S3Revision:
    return S3Revision(bucket=bucket.name, key=key, bundle_type=BundleType.TAR, **more)


def error_xml(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>told so</Message></Error>".encode()


@pytest.mark.parametrize("size", [0, 1, 512 << 10, (512 << 10) + 1, 3 << 20], ids="{} bytes".format)
def test_an_object_of_any_size_arrives_whole(bucket: Any, fetcher: Any, aws_at: Any, content: bytes, size: int) -> None:
    put = bucket.put("shop.tar", content[:size])
    fetched = fetcher(revision(bucket), aws=aws_at(bucket.url))
    assert fetcher.into.read_bytes() == content[:size]
    assert fetched.etag == put["ETag"].strip('"')
    assert fetcher.progress[-1] == (size, size)


def test_an_object_in_parts_is_asked_for_in_ranges_of_the_same_etag(
    bucket: Any, fetcher: Any, aws_at: Any, content: bytes, fault_proxy_to: Any
) -> None:
    put = bucket.put("shop.tar", content)
    proxy = fault_proxy_to(bucket.url)
    fetcher(revision(bucket), aws=aws_at(proxy.url))
    ranged = [head for head in proxy.requests if b"\r\nRange: bytes=" in head]
    assert len(ranged) == 12
    assert all(f"If-Match: {put['ETag']}".encode() in head for head in ranged)


def test_the_named_version_is_fetched_and_reported(bucket: Any, fetcher: Any, aws_at: Any) -> None:
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    old = bucket.put("shop.tar", b"old")["VersionId"]
    new = bucket.put("shop.tar", b"new")["VersionId"]
    assert fetcher(revision(bucket, version=old), aws=aws_at(bucket.url)).version == old
    assert fetcher.into.read_bytes() == b"old"
    assert fetcher(revision(bucket), aws=aws_at(bucket.url)).version == new


def test_a_right_etag_and_sha256_pass(bucket: Any, fetcher: Any, aws_at: Any, content: bytes) -> None:
    etag = bucket.put("shop.tar", content)["ETag"]
    sha256 = hashlib.sha256(content).hexdigest()
    fetched = fetcher(revision(bucket, etag=etag, sha256=sha256), aws=aws_at(bucket.url))
    assert fetched.sha256 == sha256


def test_another_etag_fails_before_anything_is_fetched(bucket: Any, fetcher: Any, aws_at: Any) -> None:
    etag = bucket.put("shop.tar", b"new")["ETag"].strip('"')
    with pytest.raises(BundleError, match=f"its ETag is '{etag}', but the revision says 'old'") as caught:
        fetcher(revision(bucket, etag="old"), aws=aws_at(bucket.url))
    assert "overwritten" in caught.value.hint
    assert fetcher.progress == []


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_another_sha256_fails(bucket: Any, fetcher: Any, aws_at: Any, content: bytes, size: int) -> None:
    bucket.put("shop.tar", content[:size])
    with pytest.raises(BundleError, match="sha256 is .*, but the revision says 000"):
        fetcher(revision(bucket, sha256="0" * 64), aws=aws_at(bucket.url))


def test_a_failed_fetch_leaves_the_former_bundle_alone(bucket: Any, fetcher: Any, aws_at: Any) -> None:
    fetcher.into.write_bytes(b"former")
    with pytest.raises(BundleNotFoundError):
        fetcher(revision(bucket), aws=aws_at(bucket.url))
    assert fetcher.into.read_bytes() == b"former"


def test_the_bundle_is_private(bucket: Any, fetcher: Any, aws_at: Any) -> None:
    bucket.put("shop.tar", b"x")
    fetcher(revision(bucket), aws=aws_at(bucket.url))
    assert fetcher.into.stat().st_mode & 0o777 == 0o600


def test_what_is_not_there_is_final(bucket: Any, fetcher: Any, aws_at: Any, fault_proxy_to: Any) -> None:
    proxy = fault_proxy_to(bucket.url)
    with pytest.raises(BundleNotFoundError, match=f"s3://{bucket.name}/gone: S3 answered NoSuchKey") as caught:
        fetcher(revision(bucket, "gone"), aws=aws_at(proxy.url))
    assert "case-sensitive" in caught.value.hint
    assert len(proxy.requests) == 1


def test_a_missing_bucket_is_named(bucket: Any, fetcher: Any, aws_at: Any) -> None:
    wanted = S3Revision(bucket="never-made", key="k", bundle_type=BundleType.TAR)
    with pytest.raises(BundleNotFoundError, match="NoSuchBucket") as caught:
        fetcher(wanted, aws=aws_at(bucket.url))
    assert "bucket's name" in caught.value.hint


def test_a_missing_version_is_named(bucket: Any, fetcher: Any, aws_at: Any) -> None:
    bucket.put("shop.tar", b"x")
    with pytest.raises(BundleNotFoundError, match="NoSuchVersion") as caught:
        fetcher(revision(bucket, version="nope"), aws=aws_at(bucket.url))
    assert "list-object-versions" in caught.value.hint


def test_too_large_an_object_is_refused_before_it_is_fetched(bucket: Any, fetcher: Any, aws_at: Any) -> None:
    bucket.put("shop.tar", bytes(1000))
    with pytest.raises(BundleError, match="has 1000 bytes or more, the limit is 999") as caught:
        fetcher(revision(bucket), aws=aws_at(bucket.url), limits=FetchLimits(max_bytes=999))
    assert "limit on bytes" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "status", "kind", "hint"),
    [
        ("AccessDenied", 403, BundleError, "s3:GetObject"),
        ("InvalidAccessKeyId", 403, CredentialsError, "does not exist"),
        ("SignatureDoesNotMatch", 403, CredentialsError, "secret key"),
        ("RequestTimeTooSkewed", 403, CredentialsError, "clock is wrong"),
        ("ExpiredToken", 400, CredentialsError, "renews"),
        ("InvalidObjectState", 403, BundleError, "Glacier"),
        ("AuthorizationHeaderMalformed", 400, BundleError, "another region"),
        ("KMS.DisabledException", 400, BundleError, "disabled"),
        ("SlowDown", 503, ThrottledError, "try again"),
        ("InternalError", 500, RemoteError, "try again"),
        ("MethodNotAllowed", 405, BundleNotFoundError, "delete marker"),
        ("SomethingNew", 400, BundleError, "API reference"),
    ],
)
def test_s3s_own_code_reaches_the_operator(
    bucket: Any, fetcher: Any, aws_at: Any, fault: Any, fault_proxy_to: Any,
    code: str, status: int, kind: type[AgentError], hint: str,
) -> None:  # fmt: skip
    proxy = fault_proxy_to(bucket.url)
    proxy.always = fault.answer(status, error_xml(code))
    with pytest.raises(AgentError, match=f"S3 answered {code}: told so") as caught:
        fetcher(revision(bucket), aws=aws_at(proxy.url))
    assert type(caught.value) is kind
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("headers", "problem"),
    [({"x-amz-bucket-region": "eu-west-3"}, "PermanentRedirect"), ({}, "redirects without saying where")],
)
def test_a_bucket_elsewhere_that_cannot_be_followed_is_reported(
    bucket: Any, fetcher: Any, aws_at: Any, fault: Any, fault_proxy_to: Any, headers: dict[str, str], problem: str
) -> None:
    proxy = fault_proxy_to(bucket.url)
    proxy.always = fault.answer(301, error_xml("PermanentRedirect"), headers)
    with pytest.raises(BundleError, match=problem) as caught:
        fetcher(revision(bucket), aws=aws_at(proxy.url))
    assert "another region" in caught.value.hint


def test_a_bucket_in_another_region_is_asked_there(
    bucket: Any, fetcher: Any, aws_at: Any, fault: Any, fault_proxy_to: Any
) -> None:
    bucket.put("shop.tar", b"here")
    proxy = fault_proxy_to(bucket.url)
    proxy.faults = [fault.answer(301, error_xml("PermanentRedirect"), {"x-amz-bucket-region": "eu-west-3"})]
    fetcher(revision(bucket), aws=aws_at(proxy.url, region=None))
    assert b"/us-east-1/s3/" in proxy.requests[0]
    assert b"/eu-west-3/s3/" in proxy.requests[1]


def test_being_asked_to_slow_down_is_waited_out(
    bucket: Any, fetcher: Any, aws_at: Any, fault: Any, fault_proxy_to: Any
) -> None:
    bucket.put("shop.tar", b"here")
    proxy = fault_proxy_to(bucket.url)
    proxy.faults = [fault.answer(503, error_xml("SlowDown"), {"Retry-After": "0"})] * 3
    fetcher(revision(bucket), aws=aws_at(proxy.url))
    assert fetcher.into.read_bytes() == b"here"


def test_a_wait_that_is_too_long_is_reported_instead(
    bucket: Any, fetcher: Any, aws_at: Any, fault: Any, fault_proxy_to: Any
) -> None:
    proxy = fault_proxy_to(bucket.url)
    proxy.always = fault.answer(503, error_xml("SlowDown"), {"Retry-After": "3600"})
    with pytest.raises(ThrottledError) as caught:
        fetcher(revision(bucket), aws=aws_at(proxy.url))
    assert caught.value.retry_after_s == 3600


def test_a_session_file_is_read_again_when_its_token_is_refused(
    bucket: Any, fetcher: Any, aws_at: Any, fault: Any, fault_proxy_to: Any, tmp_path: Path
) -> None:
    bucket.put("shop.tar", b"here")
    file = tmp_path / "session"
    proxy = fault_proxy_to(bucket.url)
    keys = "[default]\naws_access_key_id = {0}\naws_secret_access_key = s\naws_session_token = t\n"
    file.write_text(keys.format("OLDKEY"))

    proxy.faults = [
        fault.answer(400, error_xml("ExpiredToken"), then=lambda: file.write_text(keys.format("RENEWEDKEY")))
    ]
    fetcher(revision(bucket), aws=aws_at(proxy.url, credentials=SessionFile(path=file)))
    assert b"OLDKEY" in proxy.requests[0]
    assert b"RENEWEDKEY" in proxy.requests[1]


def test_a_missing_session_file_is_named(bucket: Any, fetcher: Any, aws_at: Any, tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"credentials file '.*session': No such file") as caught:
        fetcher(revision(bucket), aws=aws_at(bucket.url, credentials=SessionFile(path=tmp_path / "session")))
    assert "renews the session" in caught.value.hint


def test_anonymous_requests_are_not_signed(
    bucket: Any, fetcher: Any, aws_at: Any, fault: Any, fault_proxy_to: Any
) -> None:
    proxy = fault_proxy_to(bucket.url)
    proxy.always = fault.answer(403, error_xml("AccessDenied"))
    with pytest.raises(BundleError):
        fetcher(revision(bucket), aws=aws_at(proxy.url, credentials=Anonymous()))
    assert b"Authorization" not in proxy.requests[0]


def test_nothing_of_the_environment_counts_with_keys_of_our_own(
    bucket: Any, fetcher: Any, aws_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_PROFILE": "nobody",
        "AWS_ACCESS_KEY_ID": "wrong",
        "AWS_SECRET_ACCESS_KEY": "wrong",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    bucket.put("shop.tar", b"here")
    fetcher(revision(bucket), aws=aws_at(bucket.url))
    assert fetcher.into.read_bytes() == b"here"


def test_the_proxy_is_used(bucket: Any, fetcher: Any, forward_proxy: Any) -> None:
    network = NetworkSettings(proxy=ProxyRules(uri=Secret(f"http://{forward_proxy.address}")), read_timeout_s=2)
    aws = AwsSettings(credentials=Anonymous(), s3_endpoint_override="http://s3.example")
    with pytest.raises(BundleError, match="418"):
        fetcher(revision(bucket), aws=aws, network=network)
    assert forward_proxy.asked == [f"http://s3.example/{bucket.name}/shop.tar"]


def test_no_proxy_is_respected(bucket: Any, fetcher: Any, aws_at: Any, forward_proxy: Any) -> None:
    bucket.put("shop.tar", b"here")
    proxy = ProxyRules(uri=Secret(f"http://{forward_proxy.address}"), no_proxy=("127.0.0.0/8",))
    fetcher(revision(bucket), aws=aws_at(bucket.url), network=NetworkSettings(proxy=proxy))
    assert forward_proxy.asked == []


def test_an_unknown_profile_is_a_matter_of_configuration(bucket: Any, fetcher: Any, aws_at: Any) -> None:
    with pytest.raises(ConfigError, match="nosuch"):
        from agent.aws.session import NamedProfile

        fetcher(revision(bucket), aws=aws_at(bucket.url, credentials=NamedProfile(name="nosuch")))


def test_a_stop_ends_a_fetch(
    bucket: Any, fetcher: Any, aws_at: Any, content: bytes, fault: Any, fault_proxy_to: Any
) -> None:
    bucket.put("shop.tar", content)
    proxy = fault_proxy_to(bucket.url)
    stop = threading.Event()
    proxy.always = fault.cut(100_000, then=stop.set)
    with pytest.raises(CancelledDeploymentError, match="was stopped"):
        fetcher(revision(bucket), aws=aws_at(proxy.url), stop=stop)


def test_an_unreachable_fips_endpoint_hints_at_the_region(bucket: Any, fetcher: Any) -> None:
    network = NetworkSettings(proxy=ProxyRules(uri=Secret("http://127.0.0.1:9")), connect_timeout_s=1)
    aws = AwsSettings(credentials=Anonymous(), region="eu-west-1", use_fips=True)
    with pytest.raises(RemoteError, match="cannot reach S3: Connection refused") as caught:
        fetcher(revision(bucket), aws=aws, network=network)
    assert "FIPS" in caught.value.hint
