"""The metadata every path shall have in the end, and which paths have it, and their content, already."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.core.acl import access_acl, decode_acl, recorded_acl, stored_acl
from agent.core.install_claims import Claims
from agent.core.install_facts import Entry, Found, HostFacts, InstallRequest
from agent.core.install_model import Attributes, Kind, MakeDirectory, Recorded, SetAttributes, WriteFile, WriteLink
from agent.core.permissions import Override, apply_override

_NOTHING = Attributes()
_NO_OVERRIDE = Override()


@dataclass(slots=True, kw_only=True)
class Steps:
    """What is to be done with the claimed paths; filled by `decide_steps` alone."""

    directories: list[MakeDirectory] = field(default_factory=list)
    files: list[WriteFile] = field(default_factory=list)
    links: list[WriteLink] = field(default_factory=list)
    changed: list[SetAttributes] = field(default_factory=list)
    unchanged: list[bytes] = field(default_factory=list)
    refreshed: list[Recorded] = field(default_factory=list)


def decide_steps(
    claims: Claims, overrides: Mapping[bytes, Override], request: InstallRequest, facts: HostFacts
) -> Steps:
    """Compare what shall be with what is. A path whose content is right and only its time is wrong is set in place."""
    steps = Steps()
    fresh_mode = 0o777 & ~facts.umask
    for path in claims.made:
        wanted = _final(_NOTHING, overrides.get(path), Kind.DIRECTORY, fresh_mode)
        steps.directories.append(MakeDirectory(path=path, attributes=wanted))
    for path in claims.kept:
        _decide_kept(path, overrides.get(path, _NO_OVERRIDE), steps, request, facts)
    cache: dict[tuple[object, ...], Attributes] = {}
    for entry in claims.copied:
        _decide_leaf(entry, _leaf_attributes(entry, overrides, request, facts, cache), steps, request, facts)
    return steps


def _leaf_attributes(
    entry: Entry,
    overrides: Mapping[bytes, Override],
    request: InstallRequest,
    facts: HostFacts,
    cache: dict[tuple[object, ...], Attributes],
) -> Attributes:
    """Files of one mode, owner and time share one value: a bundle has few of these and many files."""
    source, override = entry.found, overrides.get(entry.path)
    key = (source.kind, source.mode, source.uid, source.gid, source.mtime_ns, id(override))
    found = cache.get(key)
    if found is None:
        found = cache[key] = _final(_own(source, request, facts), override, source.kind, source.mode)
    return found


def _own(source: Found, request: InstallRequest, facts: HostFacts) -> Attributes:
    """What a copy has when the AppSpec says nothing. Not being root, we can give files to nobody else."""
    is_root = facts.euid == 0
    uid, gid = (source.uid, source.gid) if is_root else (facts.euid, None)
    if source.kind is Kind.SYMLINK:
        return Attributes(uid=uid, gid=gid)
    bits = 0o7777 if request.keep_special_bits else 0o777
    return Attributes(mode=source.mode & bits, uid=uid, gid=gid, mtime_ns=source.mtime_ns)


def _final(base: Attributes, override: Override | None, kind: Kind, fresh_mode: int) -> Attributes:
    return base if override is None else apply_override(base, override, kind, fresh_mode=fresh_mode)


def _decide_leaf(entry: Entry, wanted: Attributes, steps: Steps, request: InstallRequest, facts: HostFacts) -> None:
    path, _, source, new, sha256 = entry
    found = facts.present.get(path)
    if found is not None and found.kind is new.kind and _has_content(entry, found, facts):
        record = request.recorded.get(path)
        if _has_metadata(path, found, wanted, record, facts):
            if wanted.mtime_ns is None or wanted.mtime_ns == found.mtime_ns:
                steps.unchanged.append(path)
                _refresh(entry, found, wanted, steps, request)
                return
            if found.nlink == 1:  # another name of the same file would change with it
                steps.changed.append(_set_time(path, found.mtime_ns, wanted.mtime_ns))
                _refresh(entry, found, wanted, steps, request)
                return
    if new.kind is Kind.SYMLINK:
        assert new.link is not None
        steps.links.append(WriteLink(path=path, target=new.link, attributes=wanted))
    else:
        steps.files.append(WriteFile(path=path, source=source, size=new.size, sha256=sha256, attributes=wanted))


def _has_content(entry: Entry, found: Found, facts: HostFacts) -> bool:
    if found.kind is Kind.SYMLINK:
        return found.link == entry.found.link
    return found.size == entry.found.size and entry.sha256 is not None and facts.digests.get(entry.path) == entry.sha256


def _has_metadata(path: bytes, found: Found, wanted: Attributes, record: Recorded | None, facts: HostFacts) -> bool:
    """True when all but the time is right; an ACL or label that only an earlier revision asked for is not."""
    if wanted.mode is not None and wanted.mode != found.mode:
        return False
    if wanted.uid is not None and wanted.uid != found.uid:
        return False
    if wanted.gid is not None and wanted.gid != found.gid:
        return False
    if wanted.acl is not None:
        if facts.acls.get(path, (b"", b""))[0] != stored_acl(wanted.acl, default=False):
            return False
    elif record is not None and record.acl is not None:
        return False
    if wanted.context is not None:
        return facts.labels.get(path) == wanted.context
    return record is None or record.context is None


def _refresh(entry: Entry, found: Found, wanted: Attributes, steps: Steps, request: InstallRequest) -> None:
    """Record a path that is not written anew where its record would no longer be recognised as this very file."""
    record = request.recorded.get(entry.path)
    if (
        record is not None
        and record.ino == found.ino
        and record.ctime_ns == found.ctime_ns
        and record.group_id == request.group_id
        and record.kind is found.kind
        and record.sha256 is not None
        and (record.acl, record.context) == (recorded_acl(wanted.acl, wanted.default_acl), wanted.context)
    ):
        return
    sha256 = entry.sha256 if found.link is None else hashlib.sha256(found.link).digest()
    steps.refreshed.append(
        Recorded(
            path=entry.path,
            group_id=request.group_id,
            deployment_id=request.deployment_id,
            kind=found.kind,
            mode=found.mode,
            uid=found.uid,
            gid=found.gid,
            size=found.size,
            mtime_ns=found.mtime_ns,
            ino=found.ino,
            ctime_ns=found.ctime_ns,
            sha256=sha256,
            acl=recorded_acl(wanted.acl, wanted.default_acl),
            context=wanted.context,
        )
    )


def _set_time(path: bytes, old: int, new: int | None) -> SetAttributes:
    return SetAttributes(path=path, kind=Kind.FILE, old=Attributes(mtime_ns=old), new=Attributes(mtime_ns=new))


def _decide_kept(path: bytes, override: Override, steps: Steps, request: InstallRequest, facts: HostFacts) -> None:
    """What a directory that stays needs. What no entry speaks of is left: hook scripts may have set it for good."""
    record = request.recorded[path]
    wanted = apply_override(_NOTHING, override, Kind.DIRECTORY, fresh_mode=0o777 & ~facts.umask)
    change = _directory_change(wanted, facts.present[path], record, facts)
    if change is not None:
        steps.changed.append(change)
    acl = recorded_acl(wanted.acl, wanted.default_acl)
    if (record.acl, record.context) != (acl, wanted.context):
        steps.refreshed.append(record._replace(acl=acl, context=wanted.context))


def _directory_change(wanted: Attributes, found: Found, record: Recorded, facts: HostFacts) -> SetAttributes | None:
    path = record.path
    access, default = facts.acls.get(path, (b"", b""))
    if wanted.acl is None and record.acl is not None:
        wanted = _without_acl(wanted, found, access, record.acl)
    old = Attributes(
        mode=found.mode,
        uid=found.uid,
        gid=found.gid,
        acl=decode_acl(access, default=False) or access_acl((), found.mode),
        default_acl=decode_acl(default, default=True),
        context=facts.labels.get(path),
    )
    names = [name for name in _fields_set(wanted) if getattr(wanted, name) != getattr(old, name)]
    if not names:
        return None
    return SetAttributes(path=path, kind=Kind.DIRECTORY, old=_only(old, names), new=_only(wanted, names))


def _without_acl(wanted: Attributes, found: Found, access: bytes, recorded: str) -> Attributes:
    """Take away the ACL that an earlier revision set: what remains is its owner, group and other entries."""
    # With an ACL the mode shows the mask in the group's place; what the group itself has is in the ACL.
    group = [entry for entry in decode_acl(access, default=False) if entry.kind == "group" and not entry.name]
    plain = access_acl(group, found.mode) if wanted.mode is None else access_acl((), wanted.mode)
    return dataclasses.replace(wanted, acl=plain, default_acl=() if "default:" in recorded else None)


def _fields_set(attributes: Attributes) -> list[str]:
    fields = (field.name for field in dataclasses.fields(Attributes))
    return [name for name in fields if getattr(attributes, name) is not None]


def _only(attributes: Attributes, names: Sequence[str]) -> Attributes:
    return Attributes(**{name: getattr(attributes, name) for name in names})
