"""Moves one stretch of a remote's bytes into an open file, opening it again where it broke off.

Bounded: tries in a row without progress, time in all, bytes in all, and how slowly it may drip.
"""

import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from http.client import HTTPException

from urllib3.exceptions import HTTPError

from agent.errors import BundleError, CancelledDeploymentError, RemoteError
from agent.sources.options import FetchLimits
from agent.sources.remote import Body, Identity, Opened, Remote, TemporaryFault, broken, reason

_CHUNK = 256 << 10
_FORGIVEN_AFTER = 1 << 20
"""A try that moved this many bytes is progress: the count of failures begins anew."""


@dataclass(slots=True)
class Span:
    """Bytes `at` to `end` are still to come; `end` None: until the stream ends."""

    at: int
    end: int | None


@dataclass(slots=True)
class Download:
    """One transfer. Its spans are moved by one thread each; what they share is guarded by `_lock`.

    `halt` ends it early. `identity` is what the first answer said the content is, None before it.
    """

    remote: Remote
    limits: FetchLimits
    halt: threading.Event
    deadline: float
    identity: Identity | None = None
    done: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open_first(self) -> tuple[Opened, Identity]:
        """Open the content at its start, which settles what it is."""
        failures = 0
        self._check()
        while True:
            try:
                opened = self._begun(self._open(Span(at=0, end=None)))
                return opened, opened.identity
            except TemporaryFault as fault:
                failures += 1
                self._pause(failures, fault)

    def _begun(self, opened: Opened) -> Opened:
        """Wait for the first piece: it proves that the headers are whole, which the HTTP library does not check."""
        try:
            piece = b"" if opened.identity.size_bytes == 0 else self._read(opened.body, Span(at=0, end=None))
            if not piece and opened.identity.size_bytes != 0:
                raise broken(self.remote.what, "the connection ended early", at=0)
        except BaseException:
            opened.body.close()
            self.identity = None
            raise
        return replace(opened, body=_Begun(piece, opened.body))

    def pull(self, span: Span, opened: Opened | None, fd: int, watch: Callable[[], None]) -> None:
        """Move `span` into `fd`; `opened` is an answer that is already there. `watch` is called after every piece.

        Raises:
            AgentError: tries or time are used up, the content changed, or it was stopped.
        """
        failures, mark = 0, span.at
        while True:
            try:
                opened = opened or self._open(span)
                self._copy(span, opened, fd, watch)
                return
            except TemporaryFault as fault:
                opened = None
                failures = 1 if span.at - mark >= _FORGIVEN_AFTER else failures + 1
                self._pause(failures, fault)
                mark = span.at

    def _open(self, span: Span) -> Opened:
        """Ask for the span, and begin the whole anew where nothing is there yet or the server cannot continue."""
        seen = self.identity
        if seen is not None and (seen.validator is None or (span.at == 0 and span.end == seen.size_bytes)):
            self._restart(span)
        opened = self.remote.open(span.at, span.end, self.identity)
        try:
            self._check_size(opened.identity.size_bytes or 0)
        except BundleError:
            opened.body.close()
            raise
        if opened.start != span.at:
            self._restart(span)
        if self.identity is None:
            self.identity = opened.identity
            span.end = opened.identity.size_bytes
        return opened

    def _restart(self, span: Span) -> None:
        self._count(-span.at)
        self.identity, span.at, span.end = None, 0, None

    def _pause(self, failures: int, fault: TemporaryFault) -> None:
        delay = self.limits.backoff.delay_s(failures, random.random(), fault.asked_s)
        if delay is None or time.monotonic() + delay > self.deadline:
            raise fault.final
        self.halt.wait(delay)
        self._check()

    def _copy(self, span: Span, opened: Opened, fd: int, watch: Callable[[], None]) -> None:
        pace = _Pace(self.limits, span.at)
        with closing(opened.body) as body:
            while span.end is None or span.at < span.end:
                data = self._read(body, span)
                if not data:
                    break
                _write_all(fd, data, span.at)
                span.at += len(data)
                self._count(len(data))
                self._check()
                watch()
                if pace.is_stalled(span.at):
                    raise broken(self.remote.what, "it only drips", at=span.at)
            if span.end is not None and span.at < span.end:
                raise broken(self.remote.what, "the connection ended early", at=span.at)
            if opened.end == span.end:
                self._read(body, span)  # end of answer: gives the connection back for the next one

    def _read(self, body: Body, span: Span) -> bytes:
        room = _CHUNK if span.end is None else min(_CHUNK, span.end - span.at) or 1
        try:
            return body.read1(room)
        except (OSError, HTTPException, HTTPError, ValueError) as exc:
            raise broken(self.remote.what, reason(exc), at=span.at) from exc

    def _count(self, more: int) -> None:
        with self._lock:
            self.done += more
            done = self.done
        self._check_size(done)

    def _check(self) -> None:
        if self.halt.is_set():
            raise CancelledDeploymentError(
                f"{self.remote.what}: the download was stopped", hint="run it again when ready"
            )
        if time.monotonic() > self.deadline:
            raise RemoteError(
                f"{self.remote.what}: not complete after {self.limits.total_timeout_s:.0f} s",
                hint="look at the bandwidth to the source, or raise the time limit of downloads",
            )

    def _check_size(self, size: int) -> None:
        if size > self.limits.max_bytes:
            raise BundleError(
                f"{self.remote.what}: has {size} bytes or more, the limit is {self.limits.max_bytes}",
                hint="make the bundle smaller, or raise the limit on bytes per download",
            )


class _Begun:
    """A body of which one piece was read already."""

    def __init__(self, piece: bytes, rest: Body) -> None:
        self._piece = piece
        self._rest = rest

    def read1(self, amt: int, /) -> bytes:
        if not self._piece:
            return self._rest.read1(amt)
        piece, self._piece = self._piece[:amt], self._piece[amt:]
        return piece

    def close(self) -> None:
        self._rest.close()


class _Pace:
    """Notices a transfer that never quite stops and never gets anywhere."""

    def __init__(self, limits: FetchLimits, at: int) -> None:
        self._limits = limits
        self._at = at
        self._since = time.monotonic()

    def is_stalled(self, at: int) -> bool:
        now = time.monotonic()
        if now - self._since < self._limits.stall_s:
            return False
        stalled = at - self._at < self._limits.stall_bytes
        self._at, self._since = at, now
        return stalled


def _write_all(fd: int, data: bytes, at: int) -> None:
    written = os.pwrite(fd, data, at)
    while written < len(data):
        written += os.pwrite(fd, memoryview(data)[written:], at + written)
