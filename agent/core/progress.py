"""What a running deployment tells whoever watches it. Values only; the watcher decides what to show."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.compat import StrEnum


class Outcome(StrEnum):
    """How a lifecycle event or a deployment ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStarted:
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEnded:
    """`note` is one line for people: what was done ("12 written, 3 removed, 985 unchanged") or why it failed."""

    event: str
    outcome: Outcome
    duration_s: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptStarted:
    event: str
    location: str
    pid: int
    timeout_s: int
    runas: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptOutput:
    """One line of a hook script's output, decoded, without its line end. `stream` is `stdout` or `stderr`."""

    stream: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEnded:
    """`exit_code` is negative for a signal's number, None when the script never started."""

    event: str
    location: str
    exit_code: int | None
    duration_s: float


class Work(StrEnum):
    DOWNLOAD = "download"
    UNPACK = "unpack"
    COPY = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesDone:
    """How far a transfer is. `total` is None when nobody knows."""

    work: Work
    done: int
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Carried on, worse off. `hint` says how to mend it."""

    message: str
    hint: str = ""


Progress = EventStarted | EventEnded | ScriptStarted | ScriptOutput | ScriptEnded | BytesDone | Warned
Listener = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """A listener for callers that watch nothing."""
