"""What one Install will do, as values: the planner makes them, staging and commit carry them out. Decides nothing.

Every path is absolute, normalised bytes: a file name on Linux is bytes, and the destination's own symbolic links
have been resolved before the planner saw it.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from agent.compat import StrEnum
from agent.core.appspec.model import AclEntry


class Kind(StrEnum):
    """What a path holds. `OTHER` is a FIFO, socket or device node."""

    FILE = "file"
    SYMLINK = "symlink"
    DIRECTORY = "directory"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """The metadata a path gets. None leaves what the system gives a fresh path (umask, default ACL, policy label).

    `mode` holds permission and special bits only; where an ACL has a mask its group bits are the mask's, so mode and
    ACL may be set in either order. `acl` and `default_acl` are complete lists (base entries and mask included) in
    canonical order with ids for names, ready for `agent.core.acl.encode_acl`; an empty `default_acl` takes one away.
    `context` is a full SELinux label, `user:role:type:range`. Set owner and group before the mode, or special bits are
    lost.
    """

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    acl: tuple[AclEntry, ...] | None = None
    default_acl: tuple[AclEntry, ...] | None = None
    context: str | None = None


class WriteFile(NamedTuple):
    """Put the content of `source` (absolute path in the archive) at `path`. `sha256` is None until somebody read it.

    A tuple, since there are as many as files.
    """

    path: bytes
    source: bytes
    size: int
    sha256: bytes | None
    attributes: Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLink:
    """Put a symbolic link with exactly this target text at `path`."""

    path: bytes
    target: bytes
    attributes: Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeDirectory:
    """Make a directory that is not there. Its parents are there or stand earlier in the plan."""

    path: bytes
    attributes: Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAttributes:
    """Change metadata of what is there, in place; `old` is what undo puts back. Set fields are the same in both."""

    path: bytes
    kind: Kind
    old: Attributes
    new: Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Remove what an earlier revision of this group put there: a file or link surely, a directory only when empty."""

    path: bytes
    kind: Kind


class Reason(StrEnum):
    """Why a path is in the way."""

    EXISTS = "exists"
    NOT_A_DIRECTORY = "not-a-directory"
    IS_A_DIRECTORY = "is-a-directory"
    UNTRUSTED_LINK = "untrusted-link"
    DANGLING_LINK = "dangling-link"
    FOREIGN_CONTENT = "foreign-content"
    TWO_SOURCES = "two-sources"
    SPECIAL_FILE = "special-file"
    MISSING_SOURCE = "missing-source"
    BAD_MAPPING = "bad-mapping"
    RESERVED = "reserved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One path that stops the plan. `owner` says whose it is ("deployment group 'blog'", "user deploy")."""

    path: bytes
    reason: Reason
    owner: str


class Recorded(NamedTuple):
    """What the journal says a group put at `path`. `sha256` is of a file's content or a link's target.

    `acl` is the text of both lists (`agent.core.acl.acl_text`) and `context` the label, each only when the AppSpec set
    it. A tuple, in the order of the journal's columns, since there are as many as files.
    """

    path: bytes
    group_id: str
    deployment_id: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    ino: int
    ctime_ns: int
    sha256: bytes | None
    acl: str | None
    context: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallPlan:
    """Everything one Install does, and what it leaves alone. Directories parents first; the rest in archive order.

    Every path of `files` and `links` may be taken on the host by a file or a link, which is replaced in one rename.

    - `replaced_trees`: directories on the host that hold nothing but recorded paths which go away, and whose path a
      file or link of this plan takes. What lies below goes with them and is in no other field.
    - `replaced_files`: recorded files or links on the host at whose path this plan has a MakeDirectory: they go away in
      the same commit, and nothing below them exists before.
    - `removals`: children before parents, directories only when empty.
    - `kept_directories`: recorded directories that stay ours. Other directories that exist are nowhere in the plan.
    - `retained`: paths of others that stay, and stay unrecorded. `forgotten`: recorded paths that no longer hold what
      was recorded: left alone, no longer ours.
    - `refreshed`: records, as things are before, of paths in `unchanged`, `kept_directories` and of files in `changed`
      that the journal lacks, holds for another group, with an old identity, or with an ACL or label that is not what
      the AppSpec asks for; every other unchanged path keeps its record.
    - `selinux_rules`: persistent (path, label) rules to have; `selinux_rules_removed`: paths whose rule goes away.
    """

    directories: tuple[MakeDirectory, ...] = ()
    files: tuple[WriteFile, ...] = ()
    links: tuple[WriteLink, ...] = ()
    changed: tuple[SetAttributes, ...] = ()
    removals: tuple[Remove, ...] = ()
    replaced_trees: frozenset[bytes] = frozenset()
    unchanged: tuple[bytes, ...] = ()
    kept_directories: tuple[bytes, ...] = ()
    retained: tuple[bytes, ...] = ()
    forgotten: tuple[bytes, ...] = ()
    replaced_files: frozenset[bytes] = frozenset()
    refreshed: tuple[Recorded, ...] = ()
    selinux_rules: tuple[tuple[bytes, str], ...] = ()
    selinux_rules_removed: tuple[bytes, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def is_noop(self) -> bool:
        """True when carrying the plan out would change nothing on the host."""
        return not (self.directories or self.files or self.links or self.changed or self.removals)
