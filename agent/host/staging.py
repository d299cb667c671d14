"""Puts all new content on the host under hidden names, final in every attribute and durable. Brings nothing live."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agent.core.install_model import Attributes, Kind, MakeDirectory, WriteFile, WriteLink
from agent.core.staging_plan import StagingPlan, WriteText, join
from agent.errors import InstallError
from agent.host.attributes import apply_attributes, apply_link_attributes
from agent.host.durable import FSYNC_EACH_MAX, fsync_dir, syncfs
from agent.host.failures import install_error

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_COPY_RANGE = 16 * 1024 * 1024  # progress is told in such steps
_BUFFER = 1024 * 1024
_NO_COPY_RANGE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)

Report = Callable[[int], None]
"""Told how many more bytes were copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Inode numbers of what the steps bring live, and digests that were not known before; both by final path."""

    inodes: dict[bytes, int] = field(default_factory=dict)
    digests: dict[bytes, bytes] = field(default_factory=dict)


def stage(plan: StagingPlan, report: Report) -> Staged:
    """Write everything `plan` says under its hidden names and make it durable.

    Hidden names may be left behind by an error: `discard_staged` takes them away.

    Raises:
        InstallError: something cannot be written, or the archive is no longer what it was when the plan was made.
    """
    staged = Staged()
    stager = _Stager(staged, report, sync_each=_count(plan) <= FSYNC_EACH_MAX)
    for path, directory in plan.directories:
        stager.make_directory(path, directory)
    for folder in {**plan.files, **plan.texts, **plan.links}:
        stager.fill(folder, plan)
    for path, directory in reversed(plan.directories):
        stager.finish_directory(path, directory.path, directory.attributes)
        if directory.path in plan.units:
            staged.inodes[directory.path] = os.lstat(path).st_ino
    _make_durable(plan.folders, sync_each=stager.sync_each)
    return staged


class _Stager:
    """The work of one `stage`: one folder is open at a time."""

    def __init__(self, staged: Staged, report: Report, *, sync_each: bool) -> None:
        self._staged = staged
        self._report = report
        self.sync_each = sync_each

    def make_directory(self, path: bytes, directory: MakeDirectory) -> None:
        """Make a directory we can write to, never more open than it will be."""
        mode = directory.attributes.mode
        try:
            os.mkdir(path, 0o777 if mode is None else (mode & 0o777) | 0o700)
        except OSError as exc:
            raise install_error("making the directory", directory.path, exc) from exc

    def finish_directory(self, path: bytes, final: bytes, attributes: Attributes) -> None:
        try:
            fd = os.open(path, _FOLDER | os.O_RDONLY)
            try:
                apply_attributes(fd, attributes, kind=Kind.DIRECTORY)
                if self.sync_each:
                    os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as exc:
            raise install_error("setting attributes", final, exc) from exc

    def fill(self, folder: bytes, plan: StagingPlan) -> None:
        """Write all that goes straight into `folder`."""
        try:
            fd = os.open(folder, _FOLDER | os.O_PATH)
        except OSError as exc:
            raise install_error("opening the folder", folder, exc) from exc
        try:
            for name, file in plan.files.get(folder, ()):
                self._write_file(fd, name, file)
            for name, text in plan.texts.get(folder, ()):
                self._write_text(fd, name, text)
            for name, link in plan.links.get(folder, ()):
                self._write_link(fd, folder, name, link)
        finally:
            os.close(fd)

    def _write_file(self, folder: int, name: bytes, file: WriteFile) -> None:
        source = _open_source(file)
        try:
            target = os.open(name, _CREATE, 0o666 if file.attributes.mode is None else 0o600, dir_fd=folder)
            try:
                if file.sha256 is None:
                    self._staged.digests[file.path] = self._copy_hashing(source, target, file)
                else:
                    self._copy(source, target, file)
                self._finish_file(target, file)
            finally:
                os.close(target)
        except OSError as exc:
            raise install_error("writing", file.path, exc) from exc
        finally:
            os.close(source)

    def _finish_file(self, target: int, file: WriteFile | WriteText) -> None:
        apply_attributes(target, file.attributes, kind=Kind.FILE)
        if self.sync_each:
            os.fsync(target)
        self._staged.inodes[file.path] = os.fstat(target).st_ino

    def _write_text(self, folder: int, name: bytes, text: WriteText) -> None:
        try:
            target = os.open(name, _CREATE, 0o600, dir_fd=folder)
            try:
                _write_all(target, text.content)
                self._finish_file(target, text)
            finally:
                os.close(target)
        except OSError as exc:
            raise install_error("writing", text.path, exc) from exc

    def _write_link(self, folder: int, path: bytes, name: bytes, link: WriteLink) -> None:
        try:
            os.symlink(link.target, name, dir_fd=folder)
            apply_link_attributes(join(path, name), link.attributes)
            self._staged.inodes[link.path] = os.lstat(name, dir_fd=folder).st_ino
        except OSError as exc:
            raise install_error("making a link", link.path, exc) from exc
        self._staged.digests[link.path] = hashlib.sha256(link.target).digest()

    def _copy(self, source: int, target: int, file: WriteFile) -> None:
        """Copy inside the kernel, sharing blocks where the file system can; sparse files stay sparse."""
        if file.size > _BUFFER and os.fstat(source).st_blocks * 512 < file.size:
            self._copy_sparse(source, target, file)
            return
        left = file.size
        while left:
            try:
                copied = os.copy_file_range(source, target, min(left, _COPY_RANGE))
            except OSError as exc:
                if left != file.size or exc.errno not in _NO_COPY_RANGE:
                    raise
                copied = 0
            if not copied:
                self._copy_hashing(source, target, file, already=file.size - left)
                return
            left -= copied
            self._report(copied)

    def _copy_sparse(self, source: int, target: int, file: WriteFile) -> None:
        position = 0
        while position < file.size:
            try:
                start = os.lseek(source, position, os.SEEK_DATA)
            except OSError as exc:
                if exc.errno != errno.ENXIO:  # nothing but a hole is left
                    raise
                break
            self._report(start - position)
            position = os.lseek(source, start, os.SEEK_HOLE)
            os.lseek(source, start, os.SEEK_SET)
            os.lseek(target, start, os.SEEK_SET)
            self._copy_plain(source, target, position - start)
        os.ftruncate(target, file.size)
        self._report(file.size - position)

    def _copy_plain(self, source: int, target: int, length: int) -> None:
        while length and (block := os.read(source, min(length, _BUFFER))):
            _write_all(target, block)
            length -= len(block)
            self._report(len(block))

    def _copy_hashing(self, source: int, target: int, file: WriteFile, *, already: int = 0) -> bytes:
        """Copy through memory and return the digest of what was copied."""
        digest, copied = hashlib.sha256(), already
        while block := os.read(source, _BUFFER):
            copied += len(block)
            if copied > file.size:
                break
            digest.update(block)
            _write_all(target, block)
            self._report(len(block))
        if copied != file.size:
            raise _changed(file)
        return digest.digest()


def _open_source(file: WriteFile) -> int:
    """Open the archive's file, which must still be a file of the planned size."""
    try:
        source = os.open(file.source, _READ)
    except OSError as exc:
        raise install_error("reading", file.source, exc) from exc
    status = os.fstat(source)
    if status.st_size != file.size or not stat.S_ISREG(status.st_mode):
        os.close(source)
        raise _changed(file)
    return source


def _changed(file: WriteFile) -> InstallError:
    return InstallError(
        f"{os.fsdecode(file.source)!r}: changed while it was being installed",
        hint="nothing may write to the deployment archive during Install; deploy again",
    )


def _write_all(target: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(target, view) :]


def _count(plan: StagingPlan) -> int:
    groups = (*plan.files.values(), *plan.texts.values(), *plan.links.values())
    return len(plan.directories) + sum(map(len, groups))


def _make_durable(folders: Iterable[bytes], *, sync_each: bool) -> None:
    """Make the hidden names durable, and their content where that was not done one by one."""
    seen: set[int] = set()
    for folder in folders:
        try:
            if sync_each:
                fsync_dir(folder)
            elif (device := os.stat(folder).st_dev) not in seen:
                seen.add(device)
                syncfs(folder)
        except PermissionError:  # we may write to it but not read it: only the whole system can be synced
            os.sync()
        except OSError as exc:
            raise install_error("making what was written durable", folder, exc) from exc
