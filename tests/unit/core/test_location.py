"""How an operator's location becomes a revision."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.location import parse_location
from agent.core.revision import (
    BundleType,
    GitHubRevision,
    HttpsRevision,
    LocalDirectoryRevision,
    LocalFileRevision,
    Revision,
    S3Revision,
)
from agent.errors import SpecificationError

CWD = Path("/srv/work")
SHA = "ab" * 32


def s3(key: str, **more: str) -> S3Revision:
    return S3Revision(bucket="builds", key=key, bundle_type=BundleType.ZIP, **more)


def github(commit: str, bundle_type: BundleType = BundleType.ZIP) -> GitHubRevision:
    return GitHubRevision(account="acme", repository="shop", commit=commit, bundle_type=bundle_type)


def web(url: str, sha256: str | None = None) -> HttpsRevision:
    return HttpsRevision(url=url, bundle_type=BundleType.ZIP, sha256=sha256)


ACCEPTED: list[tuple[str, str, Revision]] = [
    (".", "directory", LocalDirectoryRevision(path=CWD)),
    ("site", "directory", LocalDirectoryRevision(path=CWD / "site")),
    ("/opt/site", "directory", LocalDirectoryRevision(path=Path("/opt/site"))),
    ("a b.tgz", "tgz", LocalFileRevision(path=CWD / "a b.tgz", bundle_type=BundleType.TGZ)),
    ("file:///opt/a%20b.zip", "zip", LocalFileRevision(path=Path("/opt/a b.zip"), bundle_type=BundleType.ZIP)),
    ("s3://builds/shop.zip", "zip", s3("shop.zip")),
    ("s3://builds/a/b/shop.zip?versionId=v1&etag=%22e1%22", "zip", s3("a/b/shop.zip", version="v1", etag="e1")),
    ('s3://builds/shop.zip?etag="e1"', "zip", s3("shop.zip", etag="e1")),
    (f"s3://builds/shop.zip?sha256={SHA.upper()}", "zip", s3("shop.zip", sha256=SHA)),
    ("s3://builds/a%2Fb c+d.zip", "zip", s3("a%2Fb c+d.zip")),
    ("s3://builds/what?.zip?", "zip", s3("what?.zip")),
    ("s3://builds/shop.zip?versionId=&etag=", "zip", s3("shop.zip")),
    (
        "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/shop.zip",
        "zip",
        S3Revision(
            bucket="arn:aws:s3:eu-west-1:123456789012:accesspoint/mine", key="shop.zip", bundle_type=BundleType.ZIP
        ),
    ),
    ("https://github.com/acme/shop", "directory", github("HEAD")),
    ("https://github.com/acme/shop/", "tgz", github("HEAD")),
    ("https://www.github.com/acme/shop.git", "tar", github("HEAD", BundleType.TAR)),
    ("https://github.com/acme/shop/tree/feature/x", "zip", github("feature/x")),
    ("https://github.com/acme/shop/commit/0a1b2c", "tar", github("0a1b2c", BundleType.TAR)),
    ("https://api.github.com/repos/acme/shop/tarball/v1.2", "directory", github("v1.2", BundleType.TAR)),
    ("https://api.github.com/repos/acme/shop/zipball/feature/x", "directory", github("feature/x")),
    ("https://api.github.com/repos/acme/shop/zipball", "directory", github("HEAD")),
    (
        "https://github.com/acme/shop/releases/download/v1/shop.zip",
        "zip",
        web("https://github.com/acme/shop/releases/download/v1/shop.zip"),
    ),
    ("https://files.example/shop.zip?token=x", "zip", web("https://files.example/shop.zip?token=x")),
    (f"HTTPS://files.example:8443/s#sha256={SHA}", "zip", web("https://files.example:8443/s", SHA)),
]

REFUSED = [
    ("x", "rar", "--type 'rar' is not a bundle type", "tar, tgz, zip"),
    ("", "directory", "is empty", "give a path"),
    ("a\0b", "directory", "NUL", "give a path"),
    ("http://files.example/a.zip", "zip", "plain http", "use https://"),
    ("ftp://files.example/a.zip", "zip", "unknown scheme 'ftp'", "give a path"),
    ("https://files.example/a\nb", "zip", "control characters", "give a path"),
    ("https://[::1/a.zip", "zip", "not a valid URL", "give a path"),
    ("https://files.example:99999/a.zip", "zip", "not a valid URL", "give a path"),
    ("https:///a.zip", "zip", "not a valid URL", "name a host"),
    ("https://files.example/a b.zip", "zip", "not a valid URL", "%20"),
    ("https://files.example/a.tar.gz", "directory", "--type directory cannot be meant", "add --type tgz"),
    ("s3://builds/a.zip", "directory", "--type directory cannot be meant", "add --type zip"),
    ("https://files.example/a.zip#md5=1", "zip", "unknown part #md5", "#sha256="),
    ("https://files.example/a.zip#sha256=12", "zip", "not 64 hexadecimal digits", "sha256sum"),
    ("s3://builds", "zip", "names no bucket and key", "s3://BUCKET/KEY"),
    ("s3://builds/", "zip", "names no bucket and key", "s3://BUCKET/KEY"),
    ("s3://b/k.zip", "zip", "names no bucket and key", "s3://BUCKET/KEY"),
    ("s3://builds/a.zip?version=1", "zip", "unknown or repeated parameter 'version'", "one more '?'"),
    ("s3://builds/a.zip?etag=1&etag=2", "zip", "unknown or repeated parameter 'etag'", "known: versionId"),
    ("https://github.com/acme", "zip", "not a repository of GitHub", "/tree/REF"),
    ("https://github.com/acme/shop/pull/7", "zip", "not a repository of GitHub", "/tree/REF"),
    ("https://api.github.com/acme/shop/tarball/x", "zip", "not a repository of GitHub", "/tree/REF"),
    ("https://github.com/../shop", "zip", "impossible repository name", "browser"),
    ("file://elsewhere/a.zip", "zip", "does not name a file of this host", "file:///"),
]


@pytest.mark.parametrize(("text", "bundle_type", "expected"), ACCEPTED)
def test_a_location_becomes_its_revision(text: str, bundle_type: str, expected: Revision) -> None:
    assert parse_location(text, bundle_type, cwd=CWD) == expected


@pytest.mark.parametrize(("text", "bundle_type", "problem", "hint"), REFUSED)
def test_a_refused_location_says_why_and_how_to_mend_it(text: str, bundle_type: str, problem: str, hint: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        parse_location(text, bundle_type, cwd=CWD)
    assert problem in caught.value.message
    assert hint in caught.value.hint


def test_a_password_in_a_location_is_refused_and_not_repeated() -> None:
    with pytest.raises(SpecificationError) as caught:
        parse_location("https://me:hunter2@files.example/a.zip", "zip", cwd=CWD)
    assert "hunter2" not in caught.value.message + caught.value.hint
    assert "netrc" in caught.value.hint


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(["", "s3://", "https://", "https://github.com/", "https://api.github.com/repos/", "file://"]),
    st.text(),
    st.sampled_from([*BundleType]),
)
def test_any_text_is_a_revision_or_a_specification_error(start: str, rest: str, kind: str) -> None:
    try:
        parse_location(start + rest, kind, cwd=CWD)
    except SpecificationError as exc:
        assert exc.hint
