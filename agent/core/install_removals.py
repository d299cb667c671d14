"""What an earlier revision put on the host and this one does not: what goes, and what is no longer ours to remove."""

from collections.abc import Collection
from dataclasses import dataclass

from agent.core.install_facts import Found, HostFacts, InstallRequest
from agent.core.install_model import Kind, Recorded, Remove
from agent.core.install_paths import show_path

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Recorded paths that the new plan does not hold. `removals` name children before parents."""

    removals: tuple[Remove, ...]
    forgotten: tuple[bytes, ...]
    warnings: tuple[str, ...]


def find_leftovers(
    wanted: Collection[bytes], replaced_trees: Collection[bytes], request: InstallRequest, facts: HostFacts
) -> Leftovers:
    """Sort this group's recorded paths that are in neither `wanted` nor a replaced tree. Missing ones are forgotten."""
    removals: list[Remove] = []
    forgotten: list[bytes] = []
    changed: list[bytes] = []
    replaced: list[bytes] = []
    # In reverse order a path comes before every prefix of it: children before parents.
    for path in sorted(_candidates(wanted, replaced_trees, request), reverse=True):
        record, found = request.recorded[path], facts.present.get(path)
        if found is None:
            forgotten.append(path)
        elif found.kind is record.kind and path not in facts.unreachable:
            removals.append(Remove(path=path, kind=record.kind))
            if _was_written(record, found):
                changed.append(path)
        else:
            forgotten.append(path)
            replaced.append(path)
    replaced.extend(sorted(facts.unreachable - set(replaced)))
    return Leftovers(
        removals=tuple(removals),
        forgotten=tuple(forgotten),
        warnings=(
            *_warning("changed since the last install and removed all the same", changed),
            *_warning("no longer what the last install put there, left alone", replaced),
        ),
    )


def _candidates(wanted: Collection[bytes], replaced_trees: Collection[bytes], request: InstallRequest) -> list[bytes]:
    own = [path for path, record in request.recorded.items() if record.group_id == request.group_id]
    prefixes = tuple(tree + b"/" for tree in replaced_trees)
    return [path for path in own if path not in wanted and not (prefixes and path.startswith(prefixes))]


def _was_written(record: Recorded, found: Found) -> bool:
    return record.kind is Kind.FILE and (record.size, record.mtime_ns) != (found.size, found.mtime_ns)


def _warning(what: str, paths: list[bytes]) -> tuple[str, ...]:
    if not paths:
        return ()
    named = ", ".join(show_path(path) for path in paths[:_MOST_NAMED])
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return (f"{what}: {named}{more}",)
