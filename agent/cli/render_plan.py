"""A plan of an Install as text and as JSON: what `run-local --dry-run` and `diff` show."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from agent.cli.figures import size_text
from agent.cli.safe_text import printable, printable_path
from agent.compat import StrEnum
from agent.core.install_model import Attributes, InstallPlan, Kind
from agent.deploy.dry_run import DryRun, PlannedScript


class Mark(StrEnum):
    """What happens to a path."""

    ADD = "add"
    REPLACE = "replace"
    ATTRIBUTES = "attributes"
    REMOVE = "remove"


_SIGNS = {Mark.ADD: "+", Mark.REPLACE: "~", Mark.ATTRIBUTES: "p", Mark.REMOVE: "-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PathChange:
    """One path that would change. `note` is for people; `source` is the new content of a file."""

    mark: Mark
    kind: Kind
    path: bytes
    note: str = ""
    size_bytes: int | None = None
    source: bytes | None = None


def path_changes(plan: InstallPlan) -> list[PathChange]:
    """Return what would change, by path. Looks at the host to tell new paths from replaced ones."""
    return sorted(_changes(plan), key=lambda change: (change.path, change.mark))


def _changes(plan: InstallPlan) -> Iterator[PathChange]:
    for folder in plan.directories:
        yield PathChange(mark=_mark(folder.path), kind=Kind.DIRECTORY, path=folder.path)
    for file in plan.files:
        yield PathChange(
            mark=_mark(file.path),
            kind=Kind.FILE,
            path=file.path,
            note=size_text(file.size),
            size_bytes=file.size,
            source=file.source,
        )
    for link in plan.links:
        note = f"-> {printable_path(link.target)}"
        yield PathChange(mark=_mark(link.path), kind=Kind.SYMLINK, path=link.path, note=note)
    for change in plan.changed:
        note = _attributes_note(change.old, change.new)
        yield PathChange(mark=Mark.ATTRIBUTES, kind=change.kind, path=change.path, note=note)
    for gone in plan.removals:
        note = "if it is empty then" if gone.kind is Kind.DIRECTORY else ""
        yield PathChange(mark=Mark.REMOVE, kind=gone.kind, path=gone.path, note=note)


def _mark(path: bytes) -> Mark:
    return Mark.REPLACE if os.path.lexists(path) else Mark.ADD


def _attributes_note(old: Attributes, new: Attributes) -> str:
    notes = []
    if new.mode is not None and new.mode != old.mode:
        notes.append(f"mode {_octal(old.mode)} -> {_octal(new.mode)}")
    for name, before, after in (("uid", old.uid, new.uid), ("gid", old.gid, new.gid)):
        if after is not None and after != before:
            notes.append(f"{name} {before} -> {after}")
    if new.acl is not None or new.default_acl is not None:
        notes.append("ACL")
    if new.context is not None and new.context != old.context:
        notes.append(f"context {old.context} -> {new.context}")
    return ", ".join(notes)


def _octal(mode: int | None) -> str:
    return "?" if mode is None else f"{mode:04o}"


def change_line(change: PathChange) -> str:
    """Return `+ /srv/site/index.html  1.2 KiB`; folders end in a slash."""
    slash = "/" if change.kind is Kind.DIRECTORY else ""
    note = f"  {change.note}" if change.note else ""
    return f"{_SIGNS[change.mark]} {printable_path(change.path)}{slash}{note}"


def summary_line(plan: InstallPlan, changes: list[PathChange]) -> str:
    """Count what would happen, in one line."""
    count = {mark: sum(1 for change in changes if change.mark is mark) for mark in Mark}
    size_bytes = sum(change.size_bytes or 0 for change in changes)
    parts = [
        f"{count[Mark.ADD]} to add",
        f"{count[Mark.REPLACE]} to replace",
        f"{count[Mark.REMOVE]} to remove",
        f"{len(plan.unchanged)} unchanged",
    ]
    if count[Mark.ATTRIBUTES]:
        parts.insert(2, f"{count[Mark.ATTRIBUTES]} to get other permissions")
    if plan.retained:
        parts.append(f"{len(plan.retained)} retained")
    return f"Files: {', '.join(parts)}; {size_text(size_bytes)} to write"


def script_line(script: PlannedScript) -> str:
    """Return one line about a script that would run."""
    runas = f", as {script.runas}" if script.runas else ""
    return f"{script.event}: {printable(script.location)} (time limit {script.timeout_s} s{runas})"


def warning_lines(dry_run: DryRun) -> list[str]:
    """Return the warnings of AppSpec and plan, one a line."""
    found = [
        f"{problem.position.line}: {problem.message}" if problem.position else problem.message
        for problem in dry_run.problems
    ]
    return [f"warning: {printable(text)}" for text in (*(f"AppSpec:{text}" for text in found), *dry_run.plan.warnings)]


def plan_lines(dry_run: DryRun) -> Iterator[str]:
    """Yield a dry run as text."""
    plan = dry_run.plan
    changes = path_changes(plan)
    yield from warning_lines(dry_run)
    yield from map(change_line, changes)
    yield from (f"= {printable_path(path)}  retained, it is not this group's" for path in plan.retained)
    yield from (f"? {printable_path(path)}  changed by others, left alone from now on" for path in plan.forgotten)
    yield summary_line(plan, changes)
    if plan.is_noop:
        yield "Install would change nothing"


def plan_object(dry_run: DryRun) -> dict[str, object]:
    """Return a dry run for `--json`; paths that are not UTF-8 carry lone surrogates (PEP 383)."""
    plan = dry_run.plan
    return {
        "type": "plan",
        "changes": [
            {
                "change": change.mark,
                "kind": change.kind,
                "path": os.fsdecode(change.path),
                "size_bytes": change.size_bytes,
                "note": change.note,
            }
            for change in path_changes(plan)
        ],
        "unchanged": len(plan.unchanged),
        "retained": [os.fsdecode(path) for path in plan.retained],
        "forgotten": [os.fsdecode(path) for path in plan.forgotten],
        "scripts": [
            {
                "event": script.event,
                "script": script.location,
                "runas": script.runas,
                "timeout_s": script.timeout_s,
            }
            for script in dry_run.scripts
        ],
        "warnings": warning_lines(dry_run),
        "is_noop": plan.is_noop,
    }
