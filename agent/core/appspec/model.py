"""The AppSpec as frozen values, after every rule of the grammar has been applied. Knows no YAML and no host."""

from dataclasses import dataclass, field

from agent.compat import StrEnum
from agent.core.deployment import FileExistsBehavior


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where something stands in the AppSpec file; both count from 1."""

    line: int
    column: int


class Severity(StrEnum):
    """Whether a problem keeps an AppSpec from being used."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong or doubtful. `key` is its path (`hooks.AfterInstall[0].timeout`), empty for the whole file."""

    severity: Severity
    position: Position | None
    key: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMapping:
    """One entry of `files`, texts as written: `source` below the archive's root, `destination` on the host."""

    source: str
    destination: str
    position: Position


class ObjectType(StrEnum):
    """What an entry of `permissions` means by `type`."""

    FILE = "file"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class AclEntry:
    """One ACL entry. `kind`: `user`, `group`, `mask` or `other`; `perms`: `rwx` with dashes; `name` may be empty."""

    default: bool
    kind: str
    name: str
    perms: str

    def __str__(self) -> str:
        return f"{'default:' if self.default else ''}{self.kind}:{self.name}:{self.perms}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelinuxContext:
    """A label to set. `range` is canonical (`s0-s1:c0.c3`); None leaves that part to the host's policy."""

    type: str
    user: str | None = None
    range: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionEntry:
    """One entry of `permissions`. None means unchanged. `pattern` `**` matches at any depth (agent.core.permissions).

    `mode` is the numeric mode, special bits included; `acls` is None when the key was absent, () when it was empty.
    """

    object: str
    pattern: str = "**"
    except_: tuple[str, ...] = ()
    types: frozenset[ObjectType] = frozenset(ObjectType)
    owner: str | None = None
    group: str | None = None
    mode: int | None = None
    acls: tuple[AclEntry, ...] | None = None
    context: SelinuxContext | None = None
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class HookScript:
    """One script of a lifecycle event. `location` is below the archive's root, stripped of spaces around it."""

    location: str
    timeout_s: int = 3600
    runas: str | None = None
    sudo: bool = False
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """A valid AppSpec. `hooks` keeps only events that have a list (which may be empty), in file order."""

    files: tuple[FileMapping, ...] = ()
    permissions: tuple[PermissionEntry, ...] = ()
    hooks: dict[str, tuple[HookScript, ...]] = field(default_factory=dict)
    file_exists_behavior: FileExistsBehavior | None = None

    def scripts_for(self, event: str) -> tuple[HookScript, ...]:
        return self.hooks.get(event, ())
