"""Where each piece of a plan is staged, and which steps bring it live: pure computation over an InstallPlan.

Content that goes into a folder which is there is staged beside its destination under a hidden name. A directory that
is not there is staged whole, with all that goes into it, under one hidden name: one rename brings it live.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from agent.core.acl import recorded_acl
from agent.core.install_facts import Found
from agent.core.install_model import (
    Attributes,
    InstallPlan,
    Kind,
    MakeDirectory,
    Recorded,
    SetAttributes,
    WriteFile,
    WriteLink,
)
from agent.core.install_steps import Change, FileChange, Occupant, Step, StepKind, TempNames


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteText:
    """A small file whose content is in memory: the deployment root's own records, part of the same transaction."""

    path: bytes
    content: bytes
    attributes: Attributes = field(default_factory=lambda: Attributes(mode=0o644))


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallInput:
    """All that one transaction carries out. `present` and `recorded` are what the plan was made from."""

    plan: InstallPlan
    texts: tuple[WriteText, ...] = ()
    present: Mapping[bytes, Found] = field(default_factory=dict)
    recorded: Mapping[bytes, Recorded] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingPlan:
    """Names for everything. `units` maps each path that a step brings live to its hidden name, in the order of commit;
    `removals` does so for paths that go away. `directories` are in the order to make them; `files`, `texts` and `links`
    stand under the folder they are written into, each with its name there.
    """

    units: Mapping[bytes, bytes]
    removals: Mapping[bytes, bytes]
    directories: tuple[tuple[bytes, MakeDirectory], ...]
    files: Mapping[bytes, tuple[tuple[bytes, WriteFile], ...]]
    texts: Mapping[bytes, tuple[tuple[bytes, WriteText], ...]]
    links: Mapping[bytes, tuple[tuple[bytes, WriteLink], ...]]

    @property
    def folders(self) -> tuple[bytes, ...]:
        """Folders on the host in which hidden names may appear, in order."""
        return tuple(sorted({parent(path) for paths in (self.units, self.removals) for path in paths}))


def parent(path: bytes) -> bytes:
    """The folder a path lies in."""
    return path.rpartition(b"/")[0] or b"/"


def base(path: bytes) -> bytes:
    """A path's last component."""
    return path.rpartition(b"/")[2]


def join(folder: bytes, name: bytes) -> bytes:
    """A name in a folder as a path."""
    return folder + name if folder == b"/" else b"%s/%s" % (folder, name)


class _Names:
    """Gives out hidden names, and knows where each new directory is staged."""

    def __init__(self, names: TempNames) -> None:
        self._names = names
        self._staged: dict[bytes, bytes] = {}
        self.units: dict[bytes, bytes] = {}
        self._number = 0

    def fresh(self) -> bytes:
        self._number += 1
        return self._names.name(self._number)

    def place(self, path: bytes) -> tuple[bytes, bytes]:
        """The folder and the name under which `path` is staged."""
        folder, _, name = path.rpartition(b"/")
        folder = folder or b"/"
        staged = self._staged.get(folder)
        if staged is not None:
            return staged, name
        temp = self.units[path] = self.fresh()
        return folder, temp

    def place_directory(self, path: bytes) -> bytes:
        """The path under which the new directory `path` is staged."""
        staged = self._staged[path] = join(*self.place(path))
        return staged


def plan_staging(work: InstallInput, temp_names: TempNames) -> StagingPlan:
    """Say where everything in `work` is staged."""
    names, plan = _Names(temp_names), work.plan
    directories = tuple((names.place_directory(item.path), item) for item in plan.directories)
    files: dict[bytes, list[tuple[bytes, WriteFile]]] = {}
    for file in plan.files:
        folder, name = names.place(file.path)
        files.setdefault(folder, []).append((name, file))
    links: dict[bytes, list[tuple[bytes, WriteLink]]] = {}
    for link in plan.links:
        folder, name = names.place(link.path)
        links.setdefault(folder, []).append((name, link))
    texts: dict[bytes, list[tuple[bytes, WriteText]]] = {}
    for text in work.texts:
        folder, name = names.place(text.path)
        texts.setdefault(folder, []).append((name, text))
    return StagingPlan(
        units=names.units,
        removals={item.path: names.fresh() for item in plan.removals if item.kind is not Kind.DIRECTORY},
        directories=directories,
        files={folder: tuple(items) for folder, items in files.items()},
        texts={folder: tuple(items) for folder, items in texts.items()},
        links={folder: tuple(items) for folder, items in links.items()},
    )


def plan_steps(work: InstallInput, staging: StagingPlan, inodes: Mapping[bytes, int]) -> tuple[Step, ...]:
    """The steps of commit and finish; `inodes` are those of the staged units."""
    return (
        *_arrivals(work, staging, inodes),
        *_departures(work, staging),
        *(_attributes_step(item, work.present) for item in work.plan.changed),
        *_late_steps(work),
    )


def _arrivals(work: InstallInput, staging: StagingPlan, inodes: Mapping[bytes, int]) -> Iterator[Step]:
    for path, temp in staging.units.items():
        found = work.present.get(path)
        kind, old = (StepKind.CREATE, None) if found is None else (StepKind.SWAP, _occupant(found))
        yield Step(kind=kind, path=path, temp=temp, staged=inodes[path], old=old)
        if found is not None and found.kind is Kind.DIRECTORY:
            yield from _discards(work, path, temp)


def _discards(work: InstallInput, tree: bytes, temp: bytes) -> Iterator[Step]:
    """Everything recorded below a replaced tree, children first."""
    assert tree in work.plan.replaced_trees, tree
    below = tree + b"/"
    for path in sorted((path for path in work.recorded if path.startswith(below)), reverse=True):
        yield Step(kind=StepKind.DISCARD, path=join(parent(tree), temp) + path[len(tree) :])


def _departures(work: InstallInput, staging: StagingPlan) -> Iterator[Step]:
    for path, temp in staging.removals.items():
        found = work.present.get(path)
        if found is not None:
            yield Step(kind=StepKind.REMOVE, path=path, temp=temp, old=_occupant(found))


def _attributes_step(item: SetAttributes, present: Mapping[bytes, Found]) -> Step:
    return Step(
        kind=StepKind.ATTRIBUTES,
        path=item.path,
        old=_occupant(present[item.path]),
        old_attributes=item.old,
        new_attributes=item.new,
    )


def _late_steps(work: InstallInput) -> Iterator[Step]:
    for item in work.plan.removals:
        if item.kind is Kind.DIRECTORY:
            yield Step(kind=StepKind.PRUNE, path=item.path)
    for path in work.plan.selinux_rules_removed:
        yield Step(kind=StepKind.LABEL_RULE, path=path)
    for path, context in work.plan.selinux_rules:
        attributes = Attributes(context=context)
        yield Step(kind=StepKind.LABEL_RULE, path=path, old_attributes=Attributes(), new_attributes=attributes)


def _occupant(found: Found) -> Occupant:
    return Occupant(ino=found.ino, kind=found.kind, size=found.size, mtime_ns=found.mtime_ns)


def plan_changes(work: InstallInput, digests: Mapping[bytes, bytes]) -> tuple[FileChange, ...]:
    """What the ownership table learns; `digests` are of files and link targets that the plan did not know."""
    plan, present = work.plan, work.present
    written = tuple(
        FileChange(
            path=item.path,
            change=Change.REPLACED if item.path in present else Change.CREATED,
            kind=kind,
            sha256=digests.get(item.path) or (item.sha256 if isinstance(item, WriteFile) else None),
            acl=recorded_acl(item.attributes.acl, item.attributes.default_acl),
            context=item.attributes.context,
        )
        for kind, items in _written(plan)
        for item in items
    )
    return (*written, *_altered(work), *_kept(plan), *_gone(work))


def _written(plan: InstallPlan) -> Iterator[tuple[Kind, Iterable[MakeDirectory | WriteFile | WriteLink]]]:
    yield Kind.DIRECTORY, plan.directories
    yield Kind.FILE, plan.files
    yield Kind.SYMLINK, plan.links


def _altered(work: InstallInput) -> Iterator[FileChange]:
    """Paths whose metadata changed and which are ours: recorded before, or about to be."""
    fresh = {record.path: record for record in work.plan.refreshed}
    for item in work.plan.changed:
        record = fresh.get(item.path) or work.recorded.get(item.path)
        if record is not None:
            yield FileChange(
                path=item.path,
                change=Change.ATTRIBUTES,
                kind=item.kind,
                sha256=record.sha256,
                acl=record.acl,
                context=record.context,
            )


def _kept(plan: InstallPlan) -> Iterator[FileChange]:
    altered = {item.path for item in plan.changed}
    for record in plan.refreshed:
        if record.path not in altered:
            yield FileChange(
                path=record.path,
                change=Change.KEPT,
                kind=record.kind,
                sha256=record.sha256,
                acl=record.acl,
                context=record.context,
            )


def _gone(work: InstallInput) -> Iterator[FileChange]:
    """Paths that leave the ownership table, unless something of the new revision takes them."""
    plan = work.plan
    taken = {item.path for _, items in _written(plan) for item in items}
    removed: dict[bytes, Kind] = {item.path: item.kind for item in plan.removals if item.kind is not Kind.DIRECTORY}
    for tree in plan.replaced_trees:
        below = tree + b"/"
        removed |= {path: record.kind for path, record in work.recorded.items() if path.startswith(below)}
    for change, paths in ((Change.REMOVED, removed), (Change.FORGOTTEN, dict.fromkeys(plan.forgotten, Kind.OTHER))):
        for path, kind in paths.items():
            if path not in taken:
                yield FileChange(path=path, change=change, kind=kind)
