"""The tree an AppSpec's `files` describe: which paths hold a file or link, which a directory, and where two collide."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.core.install_facts import Entry, HostFacts, MappedTree
from agent.core.install_model import Conflict, Kind, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTree:
    """What shall be there, parents before children. `folders` maps a directory to its name in the AppSpec's terms."""

    leaves: Mapping[bytes, Entry]
    folders: Mapping[bytes, bytes]
    conflicts: tuple[Conflict, ...]


def lay_out(facts: HostFacts) -> WantedTree:
    """Join the mapped trees into one."""
    leaves: dict[bytes, Entry] = {}
    folders: dict[bytes, bytes] = {}
    colliding: dict[bytes, None] = {}
    special: list[Conflict] = []
    for tree in facts.trees:
        for folder in tree.folders:
            folders.setdefault(folder.path, folder.named)
        for entry in tree.entries:
            kind = entry.found.kind
            if kind is Kind.DIRECTORY:
                folders.setdefault(entry.path, entry.named)
            elif kind is Kind.OTHER:
                special.append(Conflict(path=entry.source, reason=Reason.SPECIAL_FILE, owner="in the bundle"))
            elif leaves.setdefault(entry.path, entry) is not entry:
                colliding[entry.path] = None
    colliding.update(dict.fromkeys(leaves.keys() & folders.keys()))
    collisions = [
        Conflict(path=path, reason=Reason.TWO_SOURCES, owner=_lines(path, facts.trees)) for path in sorted(colliding)
    ]
    return WantedTree(leaves=leaves, folders=folders, conflicts=(*facts.problems, *special, *collisions))


def _lines(path: bytes, trees: tuple[MappedTree, ...]) -> str:
    lines = [
        str(tree.mapping.position.line)
        for tree in trees
        if any(folder.path == path for folder in tree.folders) or any(entry.path == path for entry in tree.entries)
    ]
    return f"another mapping in the AppSpec: lines {', '.join(lines)}"
