"""What a place on the network offers to a transfer: opening a bundle at a byte, and saying which faults may pass."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from agent.errors import AgentError, RemoteError


class Body(Protocol):
    """An answer's bytes, as urllib3 gives them."""

    def read1(self, amt: int, /) -> bytes: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which content an answer belongs to. `validator` names it in later requests; None: it cannot be continued.

    `in_parts` says that stretches of it may be asked for at once. `size_bytes` is None when the server did not say.
    `md5` and `sha256` are what the server vouches for, in hex.
    """

    size_bytes: int | None
    validator: str | None
    in_parts: bool = False
    etag: str | None = None
    version: str | None = None
    md5: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """`body` holds bytes `start` to `end` (None: the server did not say) of the content named by `identity`."""

    body: Body
    start: int
    end: int | None
    identity: Identity


class TemporaryFault(Exception):  # noqa: N818 - a reason to try again, never shown as an error itself
    """May pass. `final` is the error to raise once tries are used up; `asked_s` is what the server wants us to wait."""

    def __init__(self, final: AgentError, *, asked_s: float | None = None) -> None:
        super().__init__(final.message)
        self.final = final
        self.asked_s = asked_s


class Remote(Protocol):
    """One bundle at one place. `what` names it in messages."""

    @property
    def what(self) -> str: ...

    def open(self, start: int, end: int | None, seen: Identity | None) -> Opened:
        """Ask for bytes `start` to `end` (exclusive; None: to the end) of the content `seen`.

        `seen` None: of whatever is there. A remote that cannot continue answers from byte 0.

        Raises:
            TemporaryFault: worth another try.
            AgentError: final.
        """
        ...


def reason(exc: BaseException) -> str:
    """Say in a few words why a connection failed. Library messages are left out: they quote whole signed addresses."""
    for cause in causes(exc):
        if isinstance(cause, OSError) and cause.errno is not None and cause.strerror:
            return cause.strerror.split(" (_ssl.c")[0]
    return _SHORT.get(type(exc).__name__, type(exc).__name__)


def is_untrusted(exc: BaseException) -> bool:
    """Tell a certificate nobody vouches for, which stays, from a TLS connection that merely broke."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes(exc))


def causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield `exc` and what it came of, wherever HTTP libraries keep that."""
    seen: set[int] = set()
    todo: list[object] = [exc]
    while todo:
        cause = todo.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        todo += [getattr(cause, "reason", None), cause.__cause__, cause.__context__, *cause.args]
        todo.append(getattr(cause, "kwargs", {}).get("error"))


_SHORT = {
    "ReadTimeoutError": "no data within the time limit",
    "ReadTimeout": "no answer within the time limit",
    "ConnectTimeout": "no connection within the time limit",
    "ConnectTimeoutError": "no connection within the time limit",
    "IncompleteRead": "the connection ended early",
    "ProtocolError": "the connection broke",
}


def broken(what: str, why: str, *, at: int) -> TemporaryFault:
    """Return the fault for a body that stopped before byte `at`."""
    error = RemoteError(
        f"{what}: the download broke off at byte {at}: {why}",
        hint="try again; if it keeps happening, look at the network and the proxy between this host and there",
    )
    return TemporaryFault(error)
