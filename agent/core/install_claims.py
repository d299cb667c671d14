"""Which of the wanted paths an Install may take, given what is there, whose it is and `file_exists_behavior`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.core.deployment import FileExistsBehavior
from agent.core.install_conflicts import owner_of
from agent.core.install_facts import Entry, Found, HostFacts, InstallRequest
from agent.core.install_layout import WantedTree
from agent.core.install_model import Conflict, Kind, Reason, Recorded
from agent.core.install_paths import show_path

LEAVES = frozenset({Kind.FILE, Kind.SYMLINK})


@dataclass(slots=True, kw_only=True)
class Claims:
    """What becomes of every wanted path; filled by `claim` alone. Directories in no list are there and not ours."""

    copied: list[Entry] = field(default_factory=list)
    made: list[bytes] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    retained: list[bytes] = field(default_factory=list)
    replaced_trees: set[bytes] = field(default_factory=set)
    replaced_files: set[bytes] = field(default_factory=set)
    conflicts: list[Conflict] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def claim(wanted: WantedTree, request: InstallRequest, facts: HostFacts) -> Claims:
    """Decide for every wanted path."""
    claims = Claims(conflicts=list(wanted.conflicts))
    for path in request.reserved:
        # Whatever goes below a directory needs it as a folder, so that the folders tell of everything.
        if path in wanted.folders:
            claims.conflicts.append(Conflict(path=path, reason=Reason.RESERVED, owner="deploy-agent"))
    for path in wanted.folders:
        _claim_folder(path, claims, request, facts)
    present, copied = facts.present, claims.copied
    for path, entry in wanted.leaves.items():
        found = present.get(path)
        if found is None:
            copied.append(entry)
        elif path not in wanted.folders:
            _claim_leaf(entry, found, claims, request, facts)
    return claims


def is_trusted_link(found: Found, euid: int) -> bool:
    """True when a symbolic link below a destination may stand for a directory of the bundle: root or we made it."""
    return found.uid in {0, euid}


def replaces_link(found: Found, record: Recorded | None) -> bool:
    """True when a symbolic link gives way to a directory instead of being followed: an earlier revision's own."""
    return found.kind is Kind.SYMLINK and record is not None and record.kind in LEAVES


def _claim_folder(path: bytes, claims: Claims, request: InstallRequest, facts: HostFacts) -> None:
    found, record = facts.present.get(path), request.ours(path)
    if found is None:
        claims.made.append(path)
    elif found.kind is Kind.DIRECTORY:
        if record is not None and record.kind is Kind.DIRECTORY:
            claims.kept.append(path)
    elif found.kind in LEAVES and record is not None and record.kind in LEAVES:
        claims.made.append(path)
        claims.replaced_files.add(path)
    elif found.kind is Kind.SYMLINK:
        trusted = is_trusted_link(found, facts.euid)
        reason = Reason.DANGLING_LINK if trusted else Reason.UNTRUSTED_LINK
        claims.conflicts.append(Conflict(path=path, reason=reason, owner=owner_of(path, request, facts)))
    else:
        owner = owner_of(path, request, facts)
        claims.conflicts.append(Conflict(path=path, reason=Reason.NOT_A_DIRECTORY, owner=owner))


def _claim_leaf(entry: Entry, found: Found, claims: Claims, request: InstallRequest, facts: HostFacts) -> None:
    record = request.ours(entry.path)
    if record is None or (record.kind is Kind.DIRECTORY) is not (found.kind is Kind.DIRECTORY):
        _claim_foreign(entry, found, claims, request, facts)
    elif found.kind is Kind.DIRECTORY:
        _claim_tree(entry, claims, request, facts)
    elif found.kind is Kind.OTHER:
        _claim_foreign(entry, found, claims, request, facts)
    else:
        claims.copied.append(entry)


def _claim_foreign(entry: Entry, found: Found, claims: Claims, request: InstallRequest, facts: HostFacts) -> None:
    reason = None
    if request.behavior is FileExistsBehavior.RETAIN:
        claims.retained.append(entry.path)
    elif found.kind is Kind.DIRECTORY:
        reason = Reason.IS_A_DIRECTORY
    elif request.behavior is FileExistsBehavior.DISALLOW:
        reason = Reason.EXISTS
    elif found.kind is Kind.OTHER:
        reason = Reason.SPECIAL_FILE
    else:
        claims.copied.append(entry)
        other = request.recorded.get(entry.path)
        if other is not None and other.group_id != request.group_id:
            claims.warnings.append(
                f"{show_path(entry.path)}: taken over from deployment group {other.group_id!r} (OVERWRITE)"
            )
    if reason is not None:
        owner = owner_of(entry.path, request, facts)
        claims.conflicts.append(Conflict(path=entry.path, reason=reason, owner=owner))


def _claim_tree(entry: Entry, claims: Claims, request: InstallRequest, facts: HostFacts) -> None:
    """A file or link goes where this group made a directory: fine when nothing but our own stands in it."""
    contents = facts.contents.get(entry.path)
    assert contents is not None, entry.path
    foreign = _foreign(contents.paths, request, facts)
    owners = [(path, owner_of(path, request, facts)) for path in foreign]
    if not contents.is_complete:
        owners.append((entry.path, "and more below it"))
    if owners:
        claims.conflicts.extend(
            Conflict(path=path, reason=Reason.FOREIGN_CONTENT, owner=owner) for path, owner in owners
        )
    else:
        claims.copied.append(entry)
        claims.replaced_trees.add(entry.path)


def _foreign(paths: Sequence[bytes], request: InstallRequest, facts: HostFacts) -> list[bytes]:
    """Those of `paths` that hold something else than this group's record says."""
    records = ((path, request.ours(path)) for path in paths)
    return [path for path, record in records if record is None or record.kind is not facts.present[path].kind]
