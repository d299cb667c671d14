"""The steps by which staged content goes live, as values: written to the journal, carried out by agent.host.steps.

A step names one folder, one entry in it and one hidden name of ours beside that entry. Which side of a step has
happened is told by inode numbers, never guessed: the hidden name belongs to nobody but us.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from agent.compat import StrEnum
from agent.core.install_model import Attributes, Kind

TEMP_PREFIX = b".deploy-agent-"
_TOKEN = re.compile(r"[0-9a-f]{12}")


class StepKind(StrEnum):
    """How a path changes.

    The last three are done after the point of no return only: a `discard` names one recorded path inside a folder that
    a `swap` moved aside, a `prune` a folder of an earlier revision that goes when it is empty, a `label-rule` a path
    whose persistent SELinux rule becomes the new context, or goes when there is none.
    """

    CREATE = "create"
    SWAP = "swap"
    REMOVE = "remove"
    ATTRIBUTES = "attributes"
    DISCARD = "discard"
    PRUNE = "prune"
    LABEL_RULE = "label-rule"


RENAMES = frozenset({StepKind.CREATE, StepKind.SWAP, StepKind.REMOVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """What holds a path: enough to notice that it is no longer the same, and that nobody has written to it."""

    ino: int
    kind: Kind
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of one path. `temp` is the hidden name in the path's own folder, b"" where the kind needs none.

    `staged` is the inode number of the new content, 0 where there is none; `old` is what holds the path before.
    """

    kind: StepKind
    path: bytes
    temp: bytes = b""
    staged: int = 0
    old: Occupant | None = None
    old_attributes: Attributes | None = None
    new_attributes: Attributes | None = None


class Change(StrEnum):
    """What an Install did with a path: what the ownership table and `agentctl show` are made from."""

    CREATED = "created"
    REPLACED = "replaced"
    ATTRIBUTES = "attributes"
    KEPT = "kept"
    """Already right; its record is renewed."""
    REMOVED = "removed"
    FORGOTTEN = "forgotten"
    """No longer what was recorded: left alone, no longer ours."""


class FileChange(NamedTuple):
    """One path of an Install. `sha256` as in `Recorded`; `acl` and `context` are set where the AppSpec asked.

    A tuple, since there are as many as files.
    """

    path: bytes
    change: Change
    kind: Kind
    sha256: bytes | None = None
    acl: str | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TempNames:
    """The hidden names of one install transaction: all of one length, told apart from others' by `token`."""

    token: str

    def __post_init__(self) -> None:
        assert _TOKEN.fullmatch(self.token), self.token

    @property
    def prefix(self) -> bytes:
        return b"%s%s-" % (TEMP_PREFIX, self.token.encode())

    def name(self, number: int) -> bytes:
        """The hidden name with this number."""
        return b"%s%s-%08x" % (TEMP_PREFIX, self.token.encode(), number)


def backup_of(temp: bytes) -> bytes:
    """The second hidden name of a swap, used only where the file system cannot exchange two names at once."""
    return temp + b"~"
