"""Copies a folder on this host as if it had just been unpacked: same confinement, limits and digests as an archive."""

import errno
import os
import stat
from collections.abc import Generator
from pathlib import Path

from agent.errors import BundleError, BundleNotFoundError
from agent.host.archive.model import MIB, ArchiveFile, BytesProgress, UnpackOptions, member_error, os_error
from agent.host.archive.tree import Limits, Meta, Piece, TreeWriter
from agent.host.archive.unpack import fresh_tree, publish

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_folder(
    source: Path,
    into: Path,
    *,
    options: UnpackOptions,
    skip: Path | None = None,
    progress: BytesProgress | None = None,
) -> tuple[ArchiveFile, ...]:
    """Copy `source` so that `into` (absent or empty before) appears whole; return its regular files.

    Links are copied as links and must stay inside; `skip` is a folder to leave out wherever it is met below `source`.
    Raises: BundleError naming the path. Nothing is left behind by a failure, whatever `progress` raises included.
    """
    limits = Limits(entries=options.max_entries, size_bytes=options.max_bytes, why="the most that is allowed")
    fd = _open_source(source)
    try:
        with fresh_tree(into, str(source), limits, options) as tree:
            copier = _Copier(str(source), tree, options, _identity(skip), progress)
            copier.copy(fd)
            return publish(tree, into, b"")
    finally:
        os.close(fd)


class _Copier:
    def __init__(
        self,
        source: str,
        tree: TreeWriter,
        options: UnpackOptions,
        skip: tuple[int, int] | None,
        progress: BytesProgress | None,
    ) -> None:
        self._source = source
        self._tree = tree
        self._restore_ownership = options.restore_ownership
        self._skip = skip
        self._progress = progress
        self._copied = 0
        self._seen: dict[tuple[int, int], bytes] = {}

    def copy(self, fd: int, prefix: bytes = b"") -> None:
        """Copy what the open folder `fd` holds. Sorted, so that the same folder always copies in the same order."""
        if (status := os.fstat(fd)) and (status.st_dev, status.st_ino) == self._skip:
            if not prefix:
                raise BundleError(f"{self._source}: is the deployment root", hint="deploy a folder outside it")
            return
        name = b""
        try:
            self._tree.add_folder(prefix, self._meta(status))
            for name in sorted(os.fsencode(name) for name in os.listdir(fd)):
                self._entry(fd, name, prefix + name)
        except OSError as exc:
            raise os_error(self._source, prefix + name, exc) from exc

    def _entry(self, folder: int, name: bytes, path: bytes) -> None:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            fd = self._open(folder, name, path, os.O_DIRECTORY)
            try:
                self.copy(fd, path + b"/")
            finally:
                os.close(fd)
        elif kind == stat.S_IFLNK:
            self._tree.add_symlink(path, os.readlink(name, dir_fd=folder), self._meta(status))
        elif kind == stat.S_IFREG:
            self._file(folder, name, path, status)
        else:
            raise member_error(
                self._source,
                path,
                "is a FIFO, socket or device node",
                hint="a bundle may hold files, folders and links",
            )

    def _file(self, folder: int, name: bytes, path: bytes, status: os.stat_result) -> None:
        identity = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and identity in self._seen:
            self._tree.add_hard_link(path, self._seen[identity])
            return
        fd = self._open(folder, name, path, os.O_NONBLOCK)
        try:
            self._tree.add_file(path, self._meta(status), self._pieces(fd, status))
        finally:
            os.close(fd)
        if status.st_nlink > 1:
            self._seen[identity] = path

    def _open(self, folder: int, name: bytes, path: bytes, flags: int) -> int:
        try:
            return os.open(name, _OPEN | flags, dir_fd=folder)
        except OSError as exc:
            raise member_error(
                self._source, path, f"cannot be read: {exc.strerror}", hint="let this user read it, or deploy as root"
            ) from exc

    def _pieces(self, fd: int, status: os.stat_result) -> Generator[Piece, None, None]:
        """Yield a file's content; where fewer blocks than bytes are taken there are holes, and they stay holes."""
        at, size = 0, status.st_size
        has_holes = status.st_blocks * 512 < size
        while at < size:
            start = _next_data(fd, at, size) if has_holes else at
            if start > at:
                yield start - at
            end = os.lseek(fd, start, os.SEEK_HOLE) if has_holes and start < size else size
            at = start
            while at < end and (block := os.pread(fd, min(MIB, end - at), at)):
                yield block
                at += len(block)
                self._report(len(block))
            if at < end:
                return  # it shrank while it was copied

    def _report(self, size: int) -> None:
        self._copied += size
        if self._progress:
            self._progress(self._copied, None)

    def _meta(self, status: os.stat_result) -> Meta:
        mode = stat.S_IMODE(status.st_mode)
        if not self._restore_ownership:
            return Meta(mode, status.st_mtime_ns)
        return Meta(mode, status.st_mtime_ns, status.st_uid, status.st_gid)


def _next_data(fd: int, at: int, size: int) -> int:
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as exc:
        if exc.errno == errno.ENXIO:  # only a hole is left
            return size
        raise


def _open_source(source: Path) -> int:
    try:
        return os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise BundleNotFoundError(
            f"{source}: cannot be opened as a folder: {exc.strerror}", hint="name a folder that this user may read"
        ) from exc


def _identity(path: Path | None) -> tuple[int, int] | None:
    try:
        status = os.stat(path) if path else None
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino) if status else None
