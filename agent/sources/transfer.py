"""Brings a remote's whole content into a file: in one stream or in parallel parts, verified, then renamed.

Knows nothing of S3 or HTTP beyond `Remote`. The bytes lie under a temporary name until they are whole and verified.
"""

import os
import threading
import time
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.errors import BundleError
from agent.host.durable import fsync_dir
from agent.sources.options import FetchedBundle, FetchOptions, Watcher
from agent.sources.remote import Identity, Opened, Remote
from agent.sources.stream import Download, Span
from agent.sources.verify import Digests, promises

_LOOK_S = 0.05
"""How often the waiting thread reports progress, takes in digests and looks at `stop`."""

_LEAVE_S = 2.0
"""How long to wait for threads that were told to leave; they are stuck in a read with a limit of its own."""


def transfer(
    remote: Remote, into: Path, options: FetchOptions, *, sha256: str | None = None, progress: Watcher | None = None
) -> FetchedBundle:
    """Put the remote's content at `into`, whole, verified and durable, or leave nothing.

    Raises: as `agent.sources.fetch.fetch`.
    """
    part = into.with_name(into.name + ".part")
    try:
        part.unlink(missing_ok=True)
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fetched = _Transfer(remote, fd, part, options, progress or _watch_nothing).run(sha256)
            os.fsync(fd)
        finally:
            os.close(fd)
        _publish(part, into)
    except OSError as exc:
        raise BundleError(
            f"{remote.what}: cannot write {str(into)!r}: {exc.strerror}",
            hint="make room on that file system, or see why its folder cannot be written",
        ) from exc
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return replace(fetched, path=into)


@dataclass(slots=True)
class _Transfer:
    """One run into an open, empty file."""

    remote: Remote
    fd: int
    part: Path
    options: FetchOptions
    progress: Watcher

    def run(self, sha256: str | None) -> FetchedBundle:
        download = self._download(self.options.stop)
        opened, identity = download.open_first()
        with closing(opened.body):
            size, identity, digests = self._bring(download, opened, identity, sha256)
        digests.follow(self.fd, size)
        digests.check(self.remote.what)
        return FetchedBundle(
            path=self.part, size_bytes=size, sha256=digests.sha256, etag=identity.etag, version=identity.version
        )

    def _bring(
        self, download: Download, opened: Opened, identity: Identity, sha256: str | None
    ) -> tuple[int, Identity, Digests]:
        """Bring all bytes into the file; large ones are digested on the way."""
        size = identity.size_bytes
        if size is not None:
            _check_room(self.remote.what, self.part, size)
        if size is not None and identity.in_parts and size > 2 * self.options.limits.part_bytes:
            digests = Digests(promises(sha256, identity))
            _Parts(self, identity, size, digests).run(opened)
            return size, identity, digests
        size, identity = self._pull_whole(download, opened, identity)
        return size, identity, Digests(promises(sha256, identity))

    def _pull_whole(self, download: Download, opened: Opened, identity: Identity) -> tuple[int, Identity]:
        span = Span(at=0, end=identity.size_bytes)
        download.pull(span, opened, self.fd, lambda: self.progress(download.done, span.end))
        os.ftruncate(self.fd, span.at)  # a restart may have found shorter content
        self.progress(span.at, span.at)
        return span.at, download.identity or identity

    def _download(self, halt: threading.Event) -> Download:
        limits = self.options.limits
        return Download(
            remote=self.remote, limits=limits, halt=halt, deadline=time.monotonic() + limits.total_timeout_s
        )


@dataclass(slots=True)
class _Parts:
    """Several connections at once. The calling thread moves no bytes: it reports, digests and listens to `stop`."""

    whole: _Transfer
    identity: Identity
    size: int
    digests: Digests
    download: Download = field(init=False)
    spans: list[Span] = field(init=False)
    _waiting: deque[Span] = field(init=False)
    _error: BaseException | None = None

    def __post_init__(self) -> None:
        step = self.whole.options.limits.part_bytes
        self.spans = [Span(at=at, end=min(at + step, self.size)) for at in range(0, self.size, step)]
        self._waiting = deque(self.spans)
        self.download = self.whole._download(threading.Event())  # noqa: SLF001 - two halves of one thing
        self.download.identity = self.identity

    def run(self, first: Opened) -> None:
        count = min(self.whole.options.limits.parallel, len(self.spans))
        starts = [(self._waiting.popleft(), first), *[(self._waiting.popleft(), None) for _ in range(count - 1)]]
        threads = [threading.Thread(target=self._work, args=start, daemon=True) for start in starts]
        for thread in threads:
            thread.start()
        try:
            self._watch(threads)
        finally:
            self.download.halt.set()
            for thread in threads:
                thread.join(_LEAVE_S)
        if self._error is not None:
            raise self._error
        self.whole.progress(self.size, self.size)

    def _watch(self, threads: list[threading.Thread]) -> None:
        while self._error is None and any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(_LOOK_S / len(threads))
            self.whole.progress(self.download.done, self.size)
            self.digests.follow(self.whole.fd, self._prefix())
            if self.whole.options.stop.is_set():
                self.download.halt.set()

    def _prefix(self) -> int:
        """Return how many bytes from the start are there without a hole."""
        return next((span.at for span in self.spans if span.at != span.end), self.size)

    def _work(self, span: Span, opened: Opened | None) -> None:
        """Move spans until none is left. Has a descriptor of its own: the caller may close its one first."""
        try:
            fd = os.open(self.whole.part, os.O_WRONLY | os.O_CLOEXEC)
            try:
                self.download.pull(span, opened, fd, _watch_no_piece)
                while (following := self._take()) is not None:
                    self.download.pull(following, None, fd, _watch_no_piece)
            finally:
                os.close(fd)
        except BaseException as exc:  # noqa: BLE001 - top of a thread: the calling thread raises it
            self._error = self._error or exc
            self.download.halt.set()

    def _take(self) -> Span | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None


def _watch_nothing(_done: int, _total: int | None) -> None:
    pass


def _watch_no_piece() -> None:
    pass


def _check_room(what: str, part: Path, size: int) -> None:
    """Fail before the first byte rather than after the last that fits."""
    found = os.statvfs(part)
    free = found.f_bavail * found.f_frsize
    if size > free:
        raise BundleError(
            f"{what}: has {size} bytes, but {str(part.parent)!r} has room for {free}",
            hint="make room on that file system, or point root_dir to a larger one",
        )


def _publish(part: Path, into: Path) -> None:
    part.replace(into)
    fsync_dir(into.parent)
