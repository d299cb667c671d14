"""What is asked of one Install and what the host holds, as values: made by agent.host.facts, read by the planner.

`Found` and `Entry` are named tuples, not dataclasses: there are tens of thousands of them, and a tuple is made four
times faster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.core.appspec.model import AppSpec, FileMapping
from agent.core.deployment import FileExistsBehavior
from agent.core.install_model import Conflict, Kind, Recorded

ArchiveDigest = tuple[int, int, int, bytes]
"""size, ino, ctime_ns, sha256 of a file in the archive: the digest holds while the first three do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallRequest:
    """One Install as its caller knows it. Paths are absolute.

    `behavior` is already decided (AppSpec before deployment option). `recorded` may hold other groups' paths too: those
    are how a conflict can name its owner. `keep_special_bits` carries setuid, setgid and sticky bits over from the
    archive; without it only a `mode` in the AppSpec sets them. Nothing may be installed into the directories
    `reserved` (links resolved): they hold what the agent itself lives on.
    """

    appspec: AppSpec
    behavior: FileExistsBehavior
    group_id: str
    deployment_id: str
    archive: bytes
    cwd: bytes
    recorded: Mapping[bytes, Recorded] = field(default_factory=dict)
    archive_digests: Mapping[bytes, ArchiveDigest] = field(default_factory=dict)
    keep_special_bits: bool = False
    reserved: tuple[bytes, ...] = ()

    def ours(self, path: bytes) -> Recorded | None:
        """What this group is recorded to have put at `path`."""
        record = self.recorded.get(path)
        return record if record is not None and record.group_id == self.group_id else None


class Found(NamedTuple):
    """What lstat said of a path. `mode` has no type bits; `link` is a symbolic link's target text."""

    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    ctime_ns: int
    ino: int
    nlink: int
    link: bytes | None = None


class Entry(NamedTuple):
    """One thing in the archive and where it goes: `path` on the host, links resolved; `named` as the AppSpec names it.

    `source` is its path in the archive, `sha256` the content's digest when known.
    """

    path: bytes
    named: bytes
    source: bytes
    found: Found
    sha256: bytes | None = None


class Folder(NamedTuple):
    """A directory that a mapping needs above its content, by both names (see Entry)."""

    path: bytes
    named: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedTree:
    """One entry of `files`, resolved: the directories down to its destination, then its content, parents first."""

    mapping: FileMapping
    folders: tuple[Folder, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What lies below a directory, at any depth; `is_complete` is False when listing stopped at its limit."""

    paths: tuple[bytes, ...]
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The host as one Install needs to see it.

    `present` holds what is there of every planned path, every directory above one, every recorded path of the group,
    and `contents` of recorded directories that a file is planned for. A path missing from it is absent. `unreachable`
    are recorded paths above which a directory has become a symbolic link. `digests` are of files on the host that may
    already hold what is planned.
    `acls` are the two ACLs of a path as the kernel gives them (empty: none), `labels` its SELinux label; both only for
    paths that exist and whose AppSpec or record speaks of them. `users` and `groups` give ids of the names that exist
    among those the AppSpec uses, `user_names` the reverse for owners of what is present.
    """

    trees: tuple[MappedTree, ...] = ()
    problems: tuple[Conflict, ...] = ()
    present: Mapping[bytes, Found] = field(default_factory=dict)
    contents: Mapping[bytes, Contents] = field(default_factory=dict)
    unreachable: frozenset[bytes] = frozenset()
    digests: Mapping[bytes, bytes] = field(default_factory=dict)
    acls: Mapping[bytes, tuple[bytes, bytes]] = field(default_factory=dict)
    labels: Mapping[bytes, str] = field(default_factory=dict)
    users: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    user_names: Mapping[int, str] = field(default_factory=dict)
    homes: Mapping[str, bytes] = field(default_factory=dict)
    euid: int = 0
    umask: int = 0o022
    has_selinux: bool = False
    warnings: tuple[str, ...] = ()
