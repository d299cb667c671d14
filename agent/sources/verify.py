"""Digests of a file that is still growing, and what to say when one is not as promised."""

import hashlib
import os
from dataclasses import dataclass, field

from agent.errors import BundleError
from agent.sources.remote import Identity

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A digest in hex that the content must have, and who said so."""

    algorithm: str
    digest: str
    said_by: str


def promises(sha256: str | None, identity: Identity) -> tuple[Promise, ...]:
    """Return what the content must match: the operator's digest and the server's, MD5 only for want of a better."""
    found = []
    if sha256 is not None:
        found.append(Promise(algorithm="sha256", digest=sha256, said_by="the revision"))
    if identity.sha256 is not None:
        found.append(Promise(algorithm="sha256", digest=identity.sha256, said_by="the server"))
    if not found and identity.md5 is not None:
        found.append(Promise(algorithm="md5", digest=identity.md5, said_by="the server's ETag"))
    return tuple(found)


@dataclass(slots=True)
class Digests:
    """Follows a file from its start; `follow` may be called as often as more of it is there."""

    promises: tuple[Promise, ...]
    _at: int = 0
    _running: dict[str, "hashlib._Hash"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for promise in self.promises:
            if promise.algorithm not in self._running:
                self._running[promise.algorithm] = hashlib.new(promise.algorithm, usedforsecurity=False)

    def follow(self, fd: int, until: int) -> None:
        """Take in the bytes of `fd` up to `until`, which must all be there."""
        while self._running and self._at < until:
            data = os.pread(fd, min(_BLOCK, until - self._at), self._at)
            assert data, "a byte that was counted is not in the file"
            for running in self._running.values():
                running.update(data)
            self._at += len(data)

    def check(self, what: str) -> None:
        """Raises: BundleError: the content, now complete, is not what was promised."""
        for promise in self.promises:
            found = self._running[promise.algorithm].hexdigest()
            if found != promise.digest:
                raise BundleError(
                    f"{what}: {promise.algorithm} is {found}, but {promise.said_by} says {promise.digest}",
                    hint="damaged on its way, or not the one meant: try again, then compare where it was built",
                )

    @property
    def sha256(self) -> str | None:
        running = self._running.get("sha256")
        return None if running is None else running.hexdigest()
