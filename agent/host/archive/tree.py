"""Writes the members of a bundle into one fresh folder and never outside it. Knows no archive format.

The folder is made here and closed to others while it fills, so its whole content is known from memory: a member goes
only below folders made here, and nothing is ever created through a link or over what is there (O_EXCL, mkdir, link).
"""

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.errors import BundleError
from agent.host.archive.digest import Digest, HashingThread
from agent.host.archive.links import leaves_tree
from agent.host.archive.model import ArchiveFile, UnpackOptions, member_error

DEPTH_MAX = 200
"""Folders within folders: far beyond real trees, and below where recursive tools give up."""

ROOT_MODE = 0o755
"""Of the unpacked folder itself, whatever the archive says (hook scripts of other users work in it), and of folders
that the archive does not list."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_NAME = (b"", b".", b"..")
_IGNORED = frozenset((b".DS_Store", b"__MACOSX", b"pax_global_header"))

Piece = bytes | memoryview | int
"""Content of a file in order; a number is a hole of so many bytes."""


class Meta(NamedTuple):
    """What a member gets besides its content. Owners are None unless they are to be restored.

    A tuple, since there are as many as members.
    """

    mode: int
    mtime_ns: int | None = None
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be written; `why` ends the sentence that says it was too much."""

    entries: int
    size_bytes: int
    why: str


class TreeWriter:
    """One folder while it fills. `seal` ends it; `close` gives up its descriptor and may be called at any time."""

    def __init__(self, root: Path, bundle: str, limits: Limits, options: UnpackOptions) -> None:
        self.root = root
        self.bundle = bundle
        self._limits = limits
        self._keep_outward_links = options.keep_outward_links
        self._mode_mask = 0o7777 if options.keep_special_bits else 0o777
        self._path_max = os.pathconf("/", "PC_PATH_MAX") - len(os.fsencode(root)) - 2
        self._entries = 0
        self._size = 0
        self._folders: dict[bytes, Meta | None] = {b"": None}
        self._files: dict[bytes, ArchiveFile] = {}
        self._links: dict[bytes, bytes] = {}
        self._hard_linked: set[bytes] = set()
        self._plain_folders: dict[bytes, bytes] = {}
        self._hashing = HashingThread()
        os.mkdir(root, 0o700)
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def close(self) -> None:
        self._hashing.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def expect(self, size: int) -> None:
        """Fail now if `size` bytes more cannot fit: a cheap hint that saves the time of finding out by writing."""
        system = os.fstatvfs(self._fd)
        free = system.f_bfree * system.f_frsize
        if size > free:
            raise BundleError(
                f"{self.bundle}: takes {size} bytes to unpack and {free} are free",
                hint="free space below the deployment root",
            )

    def add_folder(self, name: bytes, meta: Meta) -> None:
        """Make a folder, or give one that is there its attributes (they are applied when all is written)."""
        path = self._path(name)
        if path not in self._folders:
            self._make_room(name, path)
            os.mkdir(path, 0o700, dir_fd=self._fd)
        self._folders[path] = meta

    def add_file(self, name: bytes, meta: Meta, pieces: Iterable[Piece]) -> None:
        """Write a regular file in the place of whatever file or link has its name."""
        path = self._new_path(name)
        fd = os.open(path, _CREATE, meta.mode & 0o777, dir_fd=self._fd)
        try:
            digest, size = Digest(self._hashing), 0
            for piece in pieces:
                length = piece if isinstance(piece, int) else len(piece)
                self.count_bytes(name, length)
                size += length
                if isinstance(piece, int):
                    digest.update_zeros(piece)
                    os.lseek(fd, piece, os.SEEK_CUR)
                    os.ftruncate(fd, size)
                else:
                    digest.update(piece)
                    _write_all(fd, piece)
            status = self._set_attributes(fd, meta)
        finally:
            os.close(fd)
        self._files[path] = ArchiveFile(path, size, status.st_ino, status.st_ctime_ns, digest.digest())

    def add_symlink(self, name: bytes, target: bytes, meta: Meta) -> None:
        """Make a symbolic link with exactly this target; `seal` refuses it if it leads out and may not."""
        path = self._new_path(name)
        if not target or b"\0" in target:
            raise self._error(name, f"a symbolic link cannot have the target {os.fsdecode(target)!r}")
        os.symlink(target, path, dir_fd=self._fd)
        self._links[path] = target
        self._give_away(path, meta)
        if meta.mtime_ns is not None:
            os.utime(path, ns=(meta.mtime_ns, meta.mtime_ns), dir_fd=self._fd, follow_symlinks=False)

    def add_hard_link(self, name: bytes, target: bytes) -> None:
        """Make another name of a file or symbolic link that was written before."""
        old = self._path(target)
        if old not in self._files and old not in self._links:
            raise self._error(
                name,
                f"is a hard link to {os.fsdecode(target)!r}, which is no file unpacked before it",
                hint="a hard link may only name an earlier member of the same archive",
            )
        if self._path(name) == old:
            return
        path = self._new_path(name)
        os.link(old, path, src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)
        if old in self._links:
            self._links[path] = self._links[old]
        else:
            self._files[path] = self._files[old]._replace(path=path)
            self._hard_linked |= {old, path}

    def count_bytes(self, name: bytes, size: int) -> None:
        """Count what is written or passed over. Raises: BundleError when it is more than the limits allow."""
        self._size += size
        if self._size > self._limits.size_bytes:
            raise self._error(
                name,
                f"unpacking takes more than {self._limits.size_bytes} bytes, {self._limits.why}",
                hint="raise the limit if the bundle is meant to be that large",
            )

    def top_folder(self, appspec_filename: str) -> bytes:
        """Return the one folder that holds everything, or nothing if the AppSpec need not be looked for in one.

        `.DS_Store`, `__MACOSX`, `._*` (what macOS adds) and `pax_global_header` (what old tools make of git's comment)
        beside that folder do not count; with the folder as root they are left behind.
        """
        tops = {path.partition(b"/")[0] for known in (self._folders, self._files, self._links) for path in known}
        tops = {top for top in tops - {b""} - _IGNORED if not top.startswith(b"._")}
        top = tops.pop() if len(tops) == 1 else b""
        if top not in self._folders:
            return b""
        wanted = (os.fsencode(os.path.normpath(appspec_filename)), b"appspec.yaml", b"appspec.yml")
        return top if any(self._holds(top + b"/" + name) for name in wanted) else b""

    def seal(self, root: bytes) -> tuple[ArchiveFile, ...]:
        """Check the links, apply the folders' attributes; return the files below the folder `root`, relative to it."""
        start = len(root) + 1 if root else 0
        prefix = root + b"/" if root else b""
        links = {path[start:]: target for path, target in self._links.items() if path.startswith(prefix)}
        for link, target in links.items():
            if not self._keep_outward_links and leaves_tree(link, links):
                raise self._error(
                    prefix + link,
                    f"is a symbolic link to {os.fsdecode(target)!r}, which leads out of the bundle",
                    hint="link inside the bundle by a relative path, make the link in a hook script, or allow such"
                    " links on this host with keep_outward_links_in_bundle",
                )
        files = tuple(self._final(file, start) for path, file in self._files.items() if path.startswith(prefix))
        for path, meta in reversed(self._folders.items()):  # parents come after what they hold: they may end read-only
            self._finish_folder(path, Meta(ROOT_MODE, meta.mtime_ns if meta else None) if path == root else meta)
        return files

    def _holds(self, path: bytes) -> bool:
        return path in self._files or path in self._links

    def _final(self, file: ArchiveFile, start: int) -> ArchiveFile:
        """The file under its name below the root; another link to a file has changed its ctime."""
        if file.path in self._hard_linked:
            status = os.stat(file.path, dir_fd=self._fd, follow_symlinks=False)
            return file._replace(path=file.path[start:], ctime_ns=status.st_ctime_ns)
        return file._replace(path=file.path[start:]) if start else file

    def _path(self, name: bytes) -> bytes:
        """Return the member's name as a plain relative path; the folder itself is b"".

        Members of one folder mostly follow each other: the folder's part of the name is worked out once.
        """
        cut = name.rfind(b"/") + 1
        base = name[cut:]
        folder = self._plain_folders.get(name[:cut])
        if folder is None or base in _NO_NAME or b"\0" in base or len(folder) + len(base) > self._path_max:
            path = self._checked_path(name)
            if base not in _NO_NAME:
                self._plain_folders[name[:cut]] = path[: len(path) - len(base)]
            return path
        return folder + base

    def _checked_path(self, name: bytes) -> bytes:
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if name.startswith(b"/") or b".." in parts:
            raise self._error(
                name,
                "its name leads out of the bundle" if b".." in parts else "its name is absolute",
                hint="pack the bundle from within its folder, so that every name is relative and without '..'",
            )
        path = b"/".join(parts)
        if b"\0" in path or len(parts) > DEPTH_MAX or len(path) > self._path_max:
            raise self._error(
                name[:200],
                f"its name holds a NUL byte, more than {DEPTH_MAX} folders or more than {self._path_max} bytes",
                hint="give it a shorter name",
            )
        return path

    def _new_path(self, name: bytes) -> bytes:
        path = self._path(name)
        if not path:
            raise self._error(name, "only a folder can have this name", hint="pack the bundle again")
        self._make_room(name, path)
        return path

    def _make_room(self, name: bytes, path: bytes) -> None:
        """See that the folders above are there and that nothing has this path: the last of several members wins."""
        self._entries += 1
        if self._entries > self._limits.entries:
            raise self._error(
                name, f"the bundle holds more than {self._limits.entries} members", hint="raise the limit"
            )
        parent = path.rpartition(b"/")[0]
        if parent not in self._folders:
            self._make_parents(name, parent)
        if self._holds(path):
            os.unlink(path, dir_fd=self._fd)
            self._files.pop(path, None)
            self._links.pop(path, None)
        elif path in self._folders:
            if any(
                known.startswith(path + b"/") for kind in (self._files, self._links, self._folders) for known in kind
            ):
                raise self._error(
                    name, "would take the place of a folder that is not empty", hint="pack one of the two"
                )
            os.rmdir(path, dir_fd=self._fd)
            del self._folders[path]

    def _make_parents(self, name: bytes, parent: bytes) -> None:
        path = b""
        for part in parent.split(b"/"):
            path = path + b"/" + part if path else part
            if path in self._folders:
                continue
            if self._holds(path):
                kind = "a symbolic link" if path in self._links else "a file"
                raise self._error(
                    name,
                    f"lies below {os.fsdecode(path)!r}, which is {kind}",
                    hint="nothing is unpacked through links: pack the bundle without one of the two",
                )
            os.mkdir(path, 0o700, dir_fd=self._fd)
            self._folders[path] = None

    def _set_attributes(self, fd: int, meta: Meta) -> os.stat_result:
        """Give an open file its attributes; return its status after the last change."""
        if meta.uid is not None:
            self._give_away(fd, meta)
        if meta.mtime_ns is not None:
            os.utime(fd, ns=(meta.mtime_ns, meta.mtime_ns))
        status = os.fstat(fd)
        mode = meta.mode & self._mode_mask
        if status.st_mode & 0o7777 != mode:  # the umask or a default ACL took something away
            os.fchmod(fd, mode)
            status = os.fstat(fd)
        return status

    def _give_away(self, target: int | bytes, meta: Meta) -> None:
        """Give an open file, or a path of the tree, its owners where they are to be restored."""
        if meta.uid is None or meta.gid is None:
            return
        try:
            if isinstance(target, int):
                os.fchown(target, meta.uid, meta.gid)
            else:
                os.chown(target, meta.uid, meta.gid, dir_fd=self._fd, follow_symlinks=False)
        except OverflowError:
            raise OSError(errno.EOVERFLOW, f"owner {meta.uid}:{meta.gid} is out of range") from None

    def _finish_folder(self, path: bytes, meta: Meta | None) -> None:
        at = path or b"."
        if meta is None:
            os.chmod(at, ROOT_MODE, dir_fd=self._fd)
            return
        self._give_away(at, meta)
        if meta.mtime_ns is not None:
            os.utime(at, ns=(meta.mtime_ns, meta.mtime_ns), dir_fd=self._fd)
        os.chmod(at, meta.mode & self._mode_mask, dir_fd=self._fd)

    def _error(self, name: bytes, problem: str, *, hint: str = "") -> BundleError:
        return member_error(self.bundle, name, problem, hint=hint)


def _write_all(fd: int, data: bytes | memoryview) -> None:
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])
