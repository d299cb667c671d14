"""Bundles in S3: what to ask for, what the answer says the content is, and what is checked before a byte is moved."""

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from agent.aws.client import s3_client
from agent.core.revision import S3Revision
from agent.errors import BundleError
from agent.sources.options import FetchedBundle, FetchOptions, Watcher
from agent.sources.remote import Identity, Opened, TemporaryFault
from agent.sources.s3_errors import OTHER_REGION, Asked, explain
from agent.sources.transfer import transfer
from agent.sources.trust import trusted_authorities

_MD5 = re.compile(r"[0-9a-f]{32}")
_ETAG = re.compile(r'"[^"]*"')
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_NOT_MD5_STORAGE = "EXPRESS_ONEZONE"
_MD5_ENCRYPTIONS = {None, "AES256"}


def fetch_s3(revision: S3Revision, into: Path, options: FetchOptions, progress: Watcher | None) -> FetchedBundle:
    """Put the object at `into`. Raises: as `agent.sources.fetch.fetch`."""
    with trusted_authorities(options.network.ca_bundle) as ca:
        client = s3_client(
            options.aws, options.network, ca=ca, bucket=revision.bucket, connections=options.limits.parallel
        )
        try:
            return transfer(
                _S3Remote(client, revision, options), into, options, sha256=revision.sha256, progress=progress
            )
        finally:
            client.close()


@dataclass(slots=True)
class _S3Remote:
    """One object; every stretch after the first is asked for only if the object is still the same."""

    client: BaseClient
    revision: S3Revision
    options: FetchOptions

    @property
    def what(self) -> str:
        version = f" (version {self.revision.version})" if self.revision.version else ""
        return f"s3://{self.revision.bucket}/{self.revision.key}{version}"

    def open(self, start: int, end: int | None, seen: Identity | None) -> Opened:
        asked = Asked(what=self.what, aws=self.options.aws)
        try:
            answer = self.client.get_object(**self._request(start, end, seen))
        except (ClientError, BotoCoreError) as exc:
            raise explain(asked, exc) from exc
        except RecursionError:  # botocore asks for a bucket's region over and over if that is redirected as well
            raise BundleError(f"{self.what}: S3 redirects without saying where", hint=OTHER_REGION) from None
        with ExitStack() as undo:
            body = undo.enter_context(answer["Body"])  # urllib3's answer, which reads piece by piece
            opened_start, stop, size = _extent(answer, self.what, start)
            identity = _identity(answer, self.what, size)
            self._check_etag(identity)
            undo.pop_all()
        return Opened(body=body, start=opened_start, end=stop, identity=identity)

    def _request(self, start: int, end: int | None, seen: Identity | None) -> dict[str, str]:
        request = {"Bucket": self.revision.bucket, "Key": self.revision.key}
        if self.revision.version:
            request["VersionId"] = self.revision.version
        if seen is None or seen.validator is None:
            request["ChecksumMode"] = "ENABLED"
            return request
        request["IfMatch"] = seen.validator
        request["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        return request

    def _check_etag(self, identity: Identity) -> None:
        wanted = self.revision.etag
        if wanted and wanted.replace('"', "") != identity.etag:
            raise BundleError(
                f"{self.what}: its ETag is {identity.etag!r}, but the revision says {wanted!r}",
                hint="the object was overwritten after the revision was made: name the new ETag, or the old version id",
            )


def _extent(answer: Mapping[str, object], what: str, start: int) -> tuple[int, int, int]:
    """Return first byte, end and whole size of what the answer holds."""
    found, length = answer.get("ContentRange"), answer.get("ContentLength")
    if found is None and start == 0 and isinstance(length, int):
        return 0, length, length
    match = _CONTENT_RANGE.fullmatch(str(found))
    if match is None or int(match[1]) != start:
        raise _garbled(what, f"asked for the bytes from {start}, the server sent {found!r} and length {length!r}")
    return start, int(match[2]) + 1, int(match[3])


def _identity(answer: Mapping[str, object], what: str, size: int) -> Identity:
    quoted = answer.get("ETag")
    if not _ETAG.fullmatch(str(quoted)):
        raise _garbled(what, f"the ETag {quoted!r} is none")
    etag = str(quoted).replace('"', "")
    version = answer.get("VersionId")
    return Identity(
        size_bytes=size,
        validator=str(quoted),
        in_parts=True,
        etag=etag,
        version=None if version in {None, "null"} else str(version),
        md5=etag if _MD5.fullmatch(etag) and _is_md5(answer) else None,
        sha256=_whole_sha256(answer.get("ChecksumSHA256")),
    )


def _is_md5(answer: Mapping[str, object]) -> bool:
    """An ETag is the content's MD5 unless keys of KMS or of the customer, or directory buckets, come into it."""
    return (
        answer.get("ServerSideEncryption") in _MD5_ENCRYPTIONS
        and "SSECustomerAlgorithm" not in answer
        and answer.get("StorageClass") != _NOT_MD5_STORAGE
    )


def _whole_sha256(checksum: object) -> str | None:
    """Return it in hex; a checksum of parts' checksums (`...-3`) says nothing about the whole."""
    try:
        digest = base64.b64decode(str(checksum), validate=True) if checksum else b""
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == 32 else None


def _garbled(what: str, problem: str) -> TemporaryFault:
    """An answer cut short inside its headers looks like this, and so does a server that is not S3."""
    return TemporaryFault(
        BundleError(
            f"{what}: {problem}",
            hint="something between this host and S3 alters answers: see proxy and endpoint override",
        )
    )
