"""What a server that is not ours, and checks every signature, makes of our requests."""

import hashlib
import os
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.aws.session import Anonymous, StaticKeys
from agent.core.revision import BundleType, S3Revision
from agent.core.secret import Secret
from agent.errors import BundleError, BundleNotFoundError, CredentialsError

ACCESS, SECRET = "AKIAEXAMPLE0000", "secret0000"

FETCH_IN_ANOTHER_TIME = """
import sys
from pathlib import Path
from agent.aws.session import AwsSettings, StaticKeys
from agent.core.revision import BundleType, S3Revision
from agent.core.secret import Secret
from agent.errors import AgentError
from agent.sources.fetch import FetchOptions, fetch
url, bucket, access, secret, into = sys.argv[1:]
keys = StaticKeys(access_key_id=access, secret_access_key=Secret(secret))
options = FetchOptions(aws=AwsSettings(credentials=keys, region="us-east-1", s3_endpoint_override=url))
try:
    fetch(S3Revision(bucket=bucket, key="shop.tar", bundle_type=BundleType.TAR), Path(into), options)
except AgentError as exc:
    print(type(exc).__name__, exc, exc.hint)
"""


@pytest.fixture
def strict_bucket(strict_url: str) -> Any:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=strict_url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
    )
    name = f"b{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    yield type("StrictBucket", (), {"url": strict_url, "name": name, "client": client})
    client.close()


def shop(bucket: Any, **more: Any) -> S3Revision:
    return S3Revision(bucket=bucket.name, key="a b+c/ü%41.tar", bundle_type=BundleType.TAR, **more)


def put(bucket: Any, body: bytes) -> Any:
    return bucket.client.put_object(Bucket=bucket.name, Key=shop(bucket).key, Body=body)


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_signed_requests_are_accepted_whole_and_in_parts(
    strict_bucket: Any, fetcher: Any, aws_at: Any, content: bytes, size: int
) -> None:
    etag = put(strict_bucket, content[:size])["ETag"]
    sha256 = hashlib.sha256(content[:size]).hexdigest()
    fetcher(shop(strict_bucket, etag=etag, sha256=sha256), aws=aws_at(strict_bucket.url))
    assert fetcher.into.read_bytes() == content[:size]


def test_an_object_uploaded_in_parts_is_fetched_whole(
    strict_bucket: Any, fetcher: Any, aws_at: Any, content: bytes
) -> None:
    client, key = strict_bucket.client, shop(strict_bucket).key
    whole = content + content + content[:100]
    about = {"Bucket": strict_bucket.name, "Key": key}
    upload = client.create_multipart_upload(**about)["UploadId"]
    parts = [
        {"PartNumber": n, "ETag": client.upload_part(**about, UploadId=upload, PartNumber=n, Body=body)["ETag"]}
        for n, body in enumerate((whole[: 5 << 20], whole[5 << 20 :]), 1)
    ]
    client.complete_multipart_upload(**about, UploadId=upload, MultipartUpload={"Parts": parts})
    fetched = fetcher(shop(strict_bucket), aws=aws_at(strict_bucket.url))
    assert fetcher.into.read_bytes() == whole
    assert str(fetched.etag).endswith("-2")


def test_the_named_version_is_fetched(strict_bucket: Any, fetcher: Any, aws_at: Any) -> None:
    strict_bucket.client.put_bucket_versioning(Bucket=strict_bucket.name, VersioningConfiguration={"Status": "Enabled"})
    old = put(strict_bucket, b"old")["VersionId"]
    put(strict_bucket, b"new")
    assert fetcher(shop(strict_bucket, version=old), aws=aws_at(strict_bucket.url)).version == old
    assert fetcher.into.read_bytes() == b"old"


def test_a_cut_is_continued_with_a_signed_range(
    strict_bucket: Any, fetcher: Any, aws_at: Any, content: bytes, fault: Any, fault_proxy_to: Any
) -> None:
    put(strict_bucket, content)
    proxy = fault_proxy_to(strict_bucket.url)
    proxy.faults = [fault.cut(150_000)] * 3
    fetcher(shop(strict_bucket), aws=aws_at(proxy.url))
    assert fetcher.into.read_bytes() == content


def test_an_object_overwritten_meanwhile_is_refused_by_the_server_itself(
    strict_bucket: Any, fetcher: Any, aws_at: Any, content: bytes, fault: Any, fault_proxy_to: Any
) -> None:
    put(strict_bucket, content)
    proxy = fault_proxy_to(strict_bucket.url)
    proxy.faults = [fault.cut(150_000, then=lambda: put(strict_bucket, content[::-1]))]
    with pytest.raises(BundleError, match="PreconditionFailed.*changed while it was fetched"):
        fetcher(shop(strict_bucket), aws=aws_at(proxy.url))


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        (StaticKeys(access_key_id=ACCESS, secret_access_key=Secret("wrong")), "SignatureDoesNotMatch"),
        (StaticKeys(access_key_id="AKIANOBODY", secret_access_key=Secret(SECRET)), "InvalidAccessKeyId"),
    ],
)
def test_wrong_keys_are_named(strict_bucket: Any, fetcher: Any, aws_at: Any, keys: StaticKeys, code: str) -> None:
    put(strict_bucket, b"x")
    with pytest.raises(CredentialsError, match=code) as caught:
        fetcher(shop(strict_bucket), aws=aws_at(strict_bucket.url, credentials=keys))
    assert caught.value.hint


def test_a_private_object_is_refused_without_keys(strict_bucket: Any, fetcher: Any, aws_at: Any) -> None:
    put(strict_bucket, b"x")
    with pytest.raises(BundleError, match="AccessDenied") as caught:
        fetcher(shop(strict_bucket), aws=aws_at(strict_bucket.url, credentials=Anonymous()))
    assert "s3:GetObject" in caught.value.hint


def test_what_is_not_there_is_named(strict_bucket: Any, fetcher: Any, aws_at: Any) -> None:
    with pytest.raises(BundleNotFoundError, match="NoSuchKey"):
        fetcher(shop(strict_bucket), aws=aws_at(strict_bucket.url))
    with pytest.raises(BundleNotFoundError, match="NoSuchBucket"):
        fetcher(replace(shop(strict_bucket), bucket="never-made"), aws=aws_at(strict_bucket.url))


def test_a_wrong_clock_is_named(strict_bucket: Any, tmp_path: Path) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        pytest.skip("needs the package libfaketime")
    done = subprocess.run(
        [sys.executable, "-c", FETCH_IN_ANOTHER_TIME, strict_bucket.url, strict_bucket.name, ACCESS, SECRET,
         str(tmp_path / "bundle.tar")],
        env={**os.environ, "LD_PRELOAD": str(library), "FAKETIME": "+2h", "DONT_FAKE_MONOTONIC": "1"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("CredentialsError"), done.stderr
    assert "RequestTimeTooSkewed" in done.stdout
    assert "this host's clock is wrong" in done.stdout
