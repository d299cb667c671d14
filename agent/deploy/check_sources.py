"""Checks that what `files` names is in the bundle, stays in it, and does not meet at one destination."""

import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.core.appspec.model import FileMapping
from agent.core.appspec.nodes import shown
from agent.core.appspec.report import Report
from agent.core.install_paths import show_path, source_path
from agent.deploy.bundle_names import leaves_bundle, nearest_path


@dataclass(frozen=True, slots=True)
class _Claim:
    """Who puts something at a destination: the entry's index and the path below the bundle's root."""

    entry: int
    source: bytes
    is_directory: bool


def check_sources(report: Report, root: Path, files: tuple[FileMapping, ...]) -> None:
    """Report sources that are missing, leave the bundle, are special files, or meet others at their destination."""
    claims: dict[bytes, _Claim] = {}
    for index, mapping in enumerate(files):
        where = f"files[{index}].source"
        relative = source_path(mapping.source)
        path = root / os.fsdecode(relative)
        if not os.path.lexists(path):
            near = nearest_path(root, mapping.source)
            hint = (
                f"did you mean {near}?" if near else "add it to the bundle; sources count from the root of the bundle"
            )
            message = f"{shown(mapping.source)}: no such file or folder in the bundle"
            report.error(mapping.position, where, message, hint)
        elif _leads_outside(root, path):
            message = f"{shown(mapping.source)} leads out of the bundle through a symbolic link"
            report.error(mapping.position, where, message, "put the file itself into the bundle")
        else:
            _claim_all(report, claims, os.fsencode(root), _Source(index, mapping, relative))


def _leads_outside(root: Path, path: Path) -> bool:
    """A link is copied as a link, wherever it leads; a way to the source, or a folder to copy from, must be inside."""
    return path != root and leaves_bundle(root, path if path.is_dir() else path.parent)


@dataclass(frozen=True, slots=True)
class _Source:
    index: int
    mapping: FileMapping
    path: bytes

    @property
    def where(self) -> str:
        return f"files[{self.index}].source"


def _claim_all(report: Report, claims: dict[bytes, _Claim], root: bytes, source: _Source) -> None:
    for path, mode, target in _walk(root, source):
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            message = f"{show_path(path)} is neither a file nor a folder nor a link"
            report.error(source.mapping.position, source.where, message, "take it out of the bundle")
            continue
        claim = _Claim(source.index, path, stat.S_ISDIR(mode))
        earlier = claims.setdefault(target, claim)
        if earlier is not claim and not (earlier.is_directory and claim.is_directory):
            message = (
                f"two sources for {show_path(target)}: "
                f"{show_path(earlier.source)} (files[{earlier.entry}]) and {show_path(path)}"
            )
            report.error(source.mapping.position, source.where, message, "let only one entry install it")


def _walk(root: bytes, source: _Source) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield (path below the root, mode, destination) of everything an entry installs, folders before their content."""
    destination = posixpath.normpath(source.mapping.destination.encode("utf-8", "surrogateescape"))
    top = os.path.join(root, source.path)
    if not os.path.isdir(top):
        yield source.path, os.lstat(top).st_mode, _join(destination, os.path.basename(source.path))
        return
    todo = [(source.path, destination)]
    while todo:
        folder, target = todo.pop()
        yield folder, stat.S_IFDIR, target
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                path, entry_target = _join(folder, entry.name), _join(target, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    todo.append((path, entry_target))
                else:
                    yield path, entry.stat(follow_symlinks=False).st_mode, entry_target


def _join(folder: bytes, name: bytes) -> bytes:
    return posixpath.join(folder, name)
