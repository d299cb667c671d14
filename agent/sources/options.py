"""What every kind of source shares: how to fetch, within which limits, and what comes out. Values only."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.aws.session import AwsSettings
from agent.core.backoff import BackOff
from agent.core.network import NetworkSettings
from agent.core.secret import Secret

Watcher = Callable[[int, int | None], None]
"""Told the bytes there are so far and the total, None when unknown. Called from the caller's own thread."""

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """A transfer slower than `stall_bytes` in `stall_s` counts as cut, however steadily it drips."""

    max_bytes: int = 64 * GIB
    total_timeout_s: float = 3600.0
    stall_s: float = 60.0
    stall_bytes: int = 64 << 10
    part_bytes: int = 8 << 20
    parallel: int = 4
    backoff: BackOff = field(default_factory=BackOff)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """`netrc` is a file to take user names and passwords of web servers from; None: none. `stop` ends a fetch early."""

    aws: AwsSettings = field(default_factory=AwsSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    github_token: Secret | None = None
    github_api: str = "https://api.github.com"
    netrc: Path | None = None
    limits: FetchLimits = field(default_factory=FetchLimits)
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedBundle:
    """A whole, verified bundle. `sha256` is None where nobody named or sent one; `etag` has no quotes.

    `commit` is the one GitHub made the bundle from, where the bundle says so.
    """

    path: Path
    size_bytes: int
    sha256: str | None = None
    etag: str | None = None
    version: str | None = None
    commit: str | None = None
