"""Walks what the AppSpec's `files` name, in the archive and at the destination side by side.

Symbolic links in the archive are never followed, except a `source` that is itself a link to a directory of the
archive. On the host the links above a destination are followed, since an administrator made them; below it only those
of root or of our own user, and never one that an earlier revision put there.
"""

import os
from collections.abc import Mapping
from itertools import islice

from agent.core.appspec.model import FileMapping
from agent.core.deployment import FileExistsBehavior
from agent.core.install_claims import LEAVES, is_trusted_link, replaces_link
from agent.core.install_facts import Contents, Entry, Folder, Found, InstallRequest, MappedTree
from agent.core.install_model import Conflict, Kind, Reason, Recorded
from agent.core.install_paths import BadPathError, destination_path, show_path, source_path
from agent.host.file_facts import digest_of, found_of, look

_LISTING_PAYS_FROM = 16
"""Names per folder from which reading the destination folder beats asking for each name."""
_MOST_FOREIGN = 100


class TreeReader:
    """Reads mappings one after the other; what it saw of the host adds up in its public fields."""

    def __init__(self, request: InstallRequest, euid: int, homes: Mapping[str, bytes]) -> None:
        self.present: dict[bytes, Found] = {}
        self.contents: dict[bytes, Contents] = {}
        self.digests: dict[bytes, bytes] = {}
        self.problems: list[Conflict] = []
        self.warnings: list[str] = []
        self._request = request
        self._euid = euid
        self._homes = homes
        self._root = os.path.realpath(request.archive)

    def read(self, mapping: FileMapping) -> MappedTree | None:
        """The mapping's tree; None, and an entry in `problems`, when source or destination cannot be what it says."""
        try:
            below = source_path(mapping.source)
        except BadPathError as exc:
            self._refuse(mapping, "source", mapping.source, exc)
            return None
        try:
            named = destination_path(mapping.destination, self._request.cwd, self._homes)
        except BadPathError as exc:
            self._refuse(mapping, "destination", mapping.destination, exc)
            return None
        source = os.path.join(self._request.archive, below) if below else self._request.archive
        top = self._source(mapping, source)
        if top is None:
            return None
        folders, real, is_there = self._resolve(named)
        if top.kind is Kind.DIRECTORY:
            entries = self._walk(os.path.realpath(source) if top.link else source, named, real, is_there)
        else:
            name = os.path.basename(source)
            entries = [self._leaf(source, top, os.path.join(real, name), os.path.join(named, name), is_there)]
        return MappedTree(mapping=mapping, folders=tuple(folders), entries=tuple(entries))

    def _refuse(self, mapping: FileMapping, key: str, text: str, error: BadPathError) -> None:
        owner = f"files at line {mapping.position.line}, {key} {text!r}: {error.reason}; {error.hint}"
        path = text.encode("utf-8", "backslashreplace")
        self.problems.append(Conflict(path=path, reason=Reason.BAD_MAPPING, owner=owner))

    def _source(self, mapping: FileMapping, source: bytes) -> Found | None:
        """What the mapping's source is; a link to a directory inside the archive counts as that directory."""
        outside = BadPathError("leads out of the bundle through a symbolic link", "put the file itself into the bundle")
        if source != self._request.archive and not self._is_inside(os.path.dirname(source)):
            self._refuse(mapping, "source", mapping.source, outside)
            return None
        found = look(source)
        if found is None:
            owner = f"files at line {mapping.position.line}"
            path = mapping.source.encode("utf-8", "surrogateescape")
            self.problems.append(Conflict(path=path, reason=Reason.MISSING_SOURCE, owner=owner))
            return None
        if source == self._request.archive:
            return found._replace(kind=Kind.DIRECTORY)
        if found.kind is Kind.SYMLINK and os.path.isdir(source):
            if not self._is_inside(source):
                self._refuse(mapping, "source", mapping.source, outside)
                return None
            return found._replace(kind=Kind.DIRECTORY)
        return found

    def _is_inside(self, path: bytes) -> bool:
        real = os.path.realpath(path)
        return real == self._root or real.startswith(self._root + b"/")

    def _resolve(self, named: bytes) -> tuple[list[Folder], bytes, bool]:
        """The directories down to a destination, its real path, and whether all of them are there."""
        folders: list[Folder] = []
        real, sofar, is_there = b"/", b"/", True
        for name in named.split(b"/")[1:]:
            if not name:
                continue
            real, sofar = os.path.join(real, name), os.path.join(sofar, name)
            if is_there:
                real, is_there = self._folder(real, is_above=True)
            folders.append(Folder(real, sofar))
        return folders, real, is_there

    def _folder(self, path: bytes, *, is_above: bool = False) -> tuple[bytes, bool]:
        """The real path of a wanted directory, and whether there is a directory (whose content may matter)."""
        found = self._look(path)
        if found is None or found.kind is Kind.DIRECTORY:
            return path, found is not None
        if found.kind is not Kind.SYMLINK or replaces_link(found, self._request.ours(path)):
            return path, False
        is_trusted = is_trusted_link(found, self._euid)
        if not (is_trusted or is_above) or not os.path.isdir(path):
            return path, False
        real = os.path.realpath(path)
        if not is_trusted:
            self.warnings.append(
                f"{show_path(path)}: a symbolic link of uid {found.uid} above the destination was followed;"
                " this user can turn it elsewhere"
            )
        self._look(real)
        return real, True

    def _walk(self, source: bytes, named: bytes, real: bytes, is_there: bool) -> list[Entry]:
        entries: list[Entry] = []
        stack = [(source, named, real, is_there)]
        while stack:
            source, named, real, is_there = stack.pop()
            with os.scandir(source) as listing:
                items = sorted(listing, key=lambda item: item.name)
            names = _names_in(real, len(items)) if is_there and len(items) >= _LISTING_PAYS_FROM else None
            prefix, named_prefix = os.path.join(real, b""), os.path.join(named, b"")
            below = []
            for item in items:
                name = item.name
                found = found_of(item.path, item.stat(follow_symlinks=False))
                path = prefix + name
                called = path if prefix == named_prefix else named_prefix + name
                may_be_there = is_there and (names is None or name in names)
                if found.kind is not Kind.DIRECTORY:
                    entries.append(self._leaf(item.path, found, path, called, may_be_there))
                    continue
                folder, folder_is_there = self._folder(path) if may_be_there else (path, False)
                entries.append(Entry(folder, called, item.path, found))
                below.append((item.path, called, folder, folder_is_there))
            stack.extend(reversed(below))
        return entries

    def _leaf(self, source: bytes, found: Found, path: bytes, named: bytes, may_be_there: bool) -> Entry:
        sha256 = self._known_digest(source, found)
        there = self._look(path) if may_be_there else None
        if there is None:
            return Entry(path, named, source, found, sha256)
        record = self._request.ours(path)
        if there.kind is Kind.DIRECTORY:
            if record is not None and record.kind is Kind.DIRECTORY:
                self.contents[path] = self._list(path)
        elif there.kind is found.kind is Kind.FILE and there.size == found.size and self._may_take(record):
            self.digests[path] = self._digest_there(path, there)
            sha256 = sha256 or digest_of(source)
        return Entry(path, named, source, found, sha256)

    def _may_take(self, record: Recorded | None) -> bool:
        is_ours = record is not None and record.kind in LEAVES
        return is_ours or self._request.behavior is FileExistsBehavior.OVERWRITE

    def _known_digest(self, source: bytes, found: Found) -> bytes | None:
        """The digest from unpacking, while the file is still the one that was unpacked."""
        known = self._request.archive_digests.get(source[len(self._request.archive) + 1 :])
        if known is not None and known[:3] == (found.size, found.ino, found.ctime_ns):
            return known[3]
        return None

    def _digest_there(self, path: bytes, there: Found) -> bytes:
        record = self._request.recorded.get(path)
        if (
            record is not None
            and record.sha256 is not None
            and record.kind is Kind.FILE
            and record.ino == there.ino
            and record.ctime_ns == there.ctime_ns
            and record.size == there.size
            and record.mtime_ns == there.mtime_ns
        ):
            return record.sha256
        return digest_of(path)

    def _look(self, path: bytes) -> Found | None:
        found = self.present.get(path)
        if found is None and (found := look(path)) is not None:
            self.present[path] = found
        return found

    def _list(self, directory: bytes) -> Contents:
        """All that lies below, until so much of it is foreign that the plan fails anyway."""
        paths: list[bytes] = []
        foreign, stack = 0, [directory]
        while stack:
            with os.scandir(stack.pop()) as listing:
                for item in listing:
                    found = self.present[item.path] = found_of(item.path, item.stat(follow_symlinks=False))
                    paths.append(item.path)
                    foreign += self._request.ours(item.path) is None
                    if foreign > _MOST_FOREIGN:
                        return Contents(paths=tuple(sorted(paths)), is_complete=False)
                    if found.kind is Kind.DIRECTORY:
                        stack.append(item.path)
        return Contents(paths=tuple(sorted(paths)), is_complete=True)


def _names_in(directory: bytes, wanted: int) -> frozenset[bytes] | None:
    """The names in a directory; None when it holds so many more than are wanted that asking for each is cheaper."""
    limit = 4 * wanted + 1000
    with os.scandir(directory) as listing:
        names = frozenset(item.name for item in islice(listing, limit))
    return names if len(names) < limit else None
