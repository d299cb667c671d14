"""Which of an install's paths the AppSpec's `permissions` mean, and what each gets. Pure; names become ids by look-up.

Only what the install copies or makes is ever meant: what was there before, and the object directory itself, never.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent.core.acl import access_acl, default_acl, duplicates, mode_under
from agent.core.appspec.model import AclEntry, ObjectType, PermissionEntry, SelinuxContext
from agent.core.appspec.pattern import EVERYTHING_BELOW, Matcher
from agent.core.install_model import Attributes, Kind
from agent.core.install_paths import BadPathError, absolute_path, show_path

_DEFAULT_USER = "system_u"  # what semanage takes when nobody names one
_ROLE = "object_r"
_LOWEST_RANGE = "s0"
_NUMERIC_ID = re.compile(r"[0-9]{1,10}")


class Target(NamedTuple):
    """One path the install copies or makes. `named` is how the AppSpec's own paths lead to it."""

    path: bytes
    named: bytes
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What `permissions` are resolved against: ids by name, and what relative and `~` paths mean."""

    users: Mapping[str, int]
    groups: Mapping[str, int]
    homes: Mapping[str, bytes]
    cwd: bytes
    has_selinux: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What one entry of `permissions` says, with ids for names. None leaves what the install gives by itself."""

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    acls: tuple[AclEntry, ...] | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """The outcome: what each path gets, everything that is wrong, and what is written but means nothing."""

    overrides: Mapping[bytes, Override]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def resolve_permissions(entries: Sequence[PermissionEntry], targets: Iterable[Target], names: Names) -> Permissions:
    """Match every entry with the targets. Problems are returned, not raised: the planner lists them with its own."""
    index = _Index(targets) if entries else _Index(())
    chosen: dict[bytes, list[tuple[PermissionEntry, Target]]] = {}
    overrides: dict[bytes, Override] = {}
    problems: list[str] = []
    warnings: list[str] = []
    for entry in entries:
        matched = _matched(entry, index, names, problems)
        if not matched:
            warnings.append(_where(entry) + ": means nothing that this install copies or makes")
            continue
        override = _override(entry, names, problems)
        for target in matched:
            chosen.setdefault(target.path, []).append((entry, target))
            overrides[target.path] = override
    problems.extend(_twice(claims) for claims in chosen.values() if len(claims) > 1)
    return Permissions(overrides=overrides, problems=tuple(problems), warnings=tuple(warnings))


def apply_override(base: Attributes, override: Override, kind: Kind, *, fresh_mode: int) -> Attributes:
    """`base` with what an entry says. `fresh_mode` is what an ACL is completed from where nobody sets a mode.

    A symbolic link has neither mode nor ACL of its own, and what it points to is never touched.
    """
    uid = base.uid if override.uid is None else override.uid
    gid = base.gid if override.gid is None else override.gid
    if kind is Kind.SYMLINK:
        return Attributes(uid=uid, gid=gid, mtime_ns=base.mtime_ns, context=override.context)
    mode = base.mode if override.mode is None else override.mode
    acl, default = None, None
    if override.acls is not None:
        basis = fresh_mode if mode is None else mode
        acl = access_acl(override.acls, basis)
        default = default_acl(override.acls, basis)
        mode = None if mode is None else mode_under(acl, mode)
    return Attributes(
        mode=mode, uid=uid, gid=gid, mtime_ns=base.mtime_ns, acl=acl, default_acl=default, context=override.context
    )


class _Index:
    """Targets by name: one, the children of one, or all below one, without looking at the others."""

    __slots__ = ("_children", "_names", "_targets", "by_name")

    def __init__(self, targets: Iterable[Target]) -> None:
        self._targets = sorted(targets, key=lambda target: target.named)
        self._names = [target.named for target in self._targets]
        self.by_name = dict(zip(self._names, self._targets, strict=True))
        self._children: dict[bytes, list[Target]] = {}
        for target in self._targets:
            parent = target.named[: target.named.rindex(b"/")] or b"/"
            self._children.setdefault(parent, []).append(target)

    def children(self, directory: bytes) -> Sequence[Target]:
        return self._children.get(directory, ())

    def below(self, directory: bytes) -> Sequence[Target]:
        prefix = directory.rstrip(b"/") + b"/"
        first = bisect_left(self._names, prefix)
        last = bisect_left(self._names, prefix[:-1] + b"0", first)  # "0" follows "/" in ASCII
        return self._targets[first:last]


def _matched(entry: PermissionEntry, index: _Index, names: Names, problems: list[str]) -> Sequence[Target]:
    try:
        named = absolute_path(entry.object, names.cwd, names.homes)
    except BadPathError as exc:
        problems.append(f"{_where(entry)}: {exc.reason}; {exc.hint}")
        return ()
    target = index.by_name.get(named)
    if target is not None and target.kind is not Kind.DIRECTORY:
        return _matched_file(entry, target, problems)
    is_any_depth = entry.pattern == EVERYTHING_BELOW
    nearby = index.below(named) if is_any_depth else index.children(named)
    matched = [found for found in nearby if _type(found) in entry.types]
    if not is_any_depth or entry.except_:
        matcher = Matcher(named, entry.pattern, entry.except_)
        matched = [found for found in matched if matcher(found.named)]
    if any(acl.default for acl in entry.acls or ()):
        problems.extend(
            f"{_where(entry)}: matches the file {show_path(found.named)}, but default ACL entries are for directories"
            for found in matched
            if found.kind is Kind.FILE
        )
    return matched


def _matched_file(entry: PermissionEntry, target: Target, problems: list[str]) -> Sequence[Target]:
    if ObjectType.FILE not in entry.types:
        return ()
    if entry.pattern != EVERYTHING_BELOW:
        problems.append(
            f"{_where(entry)}: the object is a file, so pattern must be '**' or absent, not {entry.pattern!r}"
        )
    if entry.except_:
        problems.append(f"{_where(entry)}: the object is a file, so except must be absent, not {list(entry.except_)!r}")
    if target.kind is Kind.FILE and any(acl.default for acl in entry.acls or ()):
        problems.append(f"{_where(entry)}: the object is a file, and default ACL entries are for directories only")
    return (target,)


def _override(entry: PermissionEntry, names: Names, problems: list[str]) -> Override:
    return Override(
        mode=entry.mode,
        uid=_owner_id(entry, "owner", entry.owner, names.users, problems),
        gid=_owner_id(entry, "group", entry.group, names.groups, problems),
        acls=None if entry.acls is None else _acls(entry, entry.acls, names, problems),
        context=None if entry.context is None else _label(entry, entry.context, names, problems),
    )


def _owner_id(
    entry: PermissionEntry, key: str, name: str | None, ids: Mapping[str, int], problems: list[str]
) -> int | None:
    if name is None or name in ids:
        return None if name is None else ids[name]
    noun = "user" if key == "owner" else "group"
    because = "numeric ids are not taken, write the name" if name.isdecimal() else f"no such {noun} on this host"
    problems.append(f"{_where(entry)}: {key} {name!r}: {because}")
    return None


def _acls(
    entry: PermissionEntry, acls: tuple[AclEntry, ...], names: Names, problems: list[str]
) -> tuple[AclEntry, ...]:
    resolved = []
    for acl in acls:
        ids = names.users if acl.kind == "user" else names.groups
        # As setfacl does: a name first, then a number.
        number = str(ids[acl.name]) if acl.name in ids else acl.name
        if number and not (_NUMERIC_ID.fullmatch(number) and int(number) < 2**32 - 1):
            problems.append(f"{_where(entry)}: ACL entry {str(acl)!r}: no such {acl.kind} on this host")
            continue
        number = str(int(number)) if number else ""
        resolved.append(AclEntry(default=acl.default, kind=acl.kind, name=number, perms=acl.perms))
    problems.extend(
        f"{_where(entry)}: two ACL entries for the same {again.kind} ({again})" for again in duplicates(resolved)
    )
    return tuple(resolved)


def _label(entry: PermissionEntry, context: SelinuxContext, names: Names, problems: list[str]) -> str:
    if not names.has_selinux:
        problems.append(f"{_where(entry)}: context {context.type!r}: SELinux is not enabled on this host")
    user = context.user or _DEFAULT_USER
    return f"{user}:{_ROLE}:{context.type}:{context.range or _LOWEST_RANGE}"


def _twice(claims: list[tuple[PermissionEntry, Target]]) -> str:
    lines = ", ".join(str(entry.position.line) for entry, _ in claims)
    return f"permissions: {show_path(claims[0][1].named)} is meant by more than one entry (lines {lines})"


def _type(target: Target) -> ObjectType:
    return ObjectType.DIRECTORY if target.kind is Kind.DIRECTORY else ObjectType.FILE


def _where(entry: PermissionEntry) -> str:
    return f"permissions at line {entry.position.line}, object {entry.object!r}"
