"""Carries out the steps of an install transaction: commit, undo, finish. Each may be repeated after a kill.

What has happened is read from inode numbers. A hidden name belongs to us alone, so what it holds says on which side
of its step we are; what stands under the final name is checked, since that belongs to everybody.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.compat import assert_never
from agent.core.install_model import Attributes, Kind
from agent.core.install_steps import RENAMES, Occupant, Step, StepKind, TempNames, backup_of
from agent.core.staging_plan import base, join, parent
from agent.errors import InstallError
from agent.host.attributes import apply_attributes, apply_link_attributes
from agent.host.durable import sync_paths
from agent.host.failures import install_error
from agent.host.renames import exchange, inode, move, settle

_TRANSIENT = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
"""Errors of the disk, not of the folder: worth another try."""
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)

_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class _Folder:
    """The folder of the step at hand, held open: consecutive steps mostly share it."""

    def __init__(self) -> None:
        self._path = b""
        self._fd = -1

    def of(self, step: Step) -> int:
        path = parent(step.path)
        if path != self._path:
            self.close()
            self._fd = os.open(path, _HANDLE | os.O_DIRECTORY)
            self._path = path
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._path, self._fd = b"", -1

    def __enter__(self) -> "_Folder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def commit(steps: Sequence[Step], *, resuming: bool = False) -> None:
    """Bring everything live and make it durable. `resuming`: an earlier try was cut short somewhere.

    Raises:
        InstallError: a step failed, or a path no longer holds what the plan was made for; `undo` must follow.
    """
    expected = {step.path for step in steps if step.kind is StepKind.DISCARD}
    with _Folder() as folder:
        for step in steps:
            try:
                _forward(step, folder, resuming)
                if step.old is not None and step.old.kind is Kind.DIRECTORY and step.kind is StepKind.SWAP:
                    _check_tree(step, folder, expected)
            except OSError as exc:
                raise install_error("putting it in place", step.path, exc) from exc
    make_durable(steps)


def _forward(step: Step, folder: _Folder, resuming: bool) -> None:
    match step.kind:
        case StepKind.CREATE:
            _create(step, folder.of(step), resuming)
        case StepKind.SWAP:
            _swap(step, folder.of(step), resuming)
        case StepKind.REMOVE:
            _remove(step, folder.of(step), resuming)
        case StepKind.ATTRIBUTES:
            _set_attributes(step, step.new_attributes, must_be_same=True)
        case StepKind.DISCARD | StepKind.PRUNE | StepKind.LABEL_RULE:
            pass
        case _:
            assert_never(step.kind)


def _create(step: Step, folder: int, resuming: bool) -> None:
    if resuming and inode(folder, step.temp) != step.staged:
        return
    try:
        move(folder, step.temp, base(step.path))
    except FileExistsError:
        raise _changed(step) from None


def _swap(step: Step, folder: int, resuming: bool) -> None:
    name, backup = base(step.path), backup_of(step.temp)
    if resuming:
        settle(folder, name, step.temp, backup)
    if not resuming or inode(folder, step.temp) == step.staged:
        try:
            exchange(folder, name, step.temp, backup=backup)
        except FileNotFoundError:
            raise _changed(step) from None
    if not _is_same(os.lstat(step.temp, dir_fd=folder), step.old):
        exchange(folder, name, step.temp, backup=backup)
        raise _changed(step)


def _remove(step: Step, folder: int, resuming: bool) -> None:
    name = base(step.path)
    if not (resuming and inode(folder, step.temp)):
        try:
            move(folder, name, step.temp)
        except FileNotFoundError:
            return  # somebody was faster
    if not _is_same(os.lstat(step.temp, dir_fd=folder), step.old):
        move(folder, step.temp, name)
        raise _changed(step)


def _check_tree(step: Step, folder: _Folder, expected: set[bytes]) -> None:
    """See that a folder moved aside holds nothing but what is recorded as ours; else put it back."""
    root = join(parent(step.path), step.temp)
    for path in _walk(root):
        if path not in expected:
            exchange(folder.of(step), base(step.path), step.temp, backup=backup_of(step.temp))
            raise InstallError(
                f"{os.fsdecode(step.path + path[len(root) :])!r}: a file that this group did not install appeared",
                hint="move it out of the folder, which this revision replaces, then deploy again",
            )


def _walk(root: bytes) -> Iterator[bytes]:
    with os.scandir(root) as entries:
        for entry in entries:
            yield entry.path
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)


def _set_attributes(step: Step, wanted: Attributes | None, *, must_be_same: bool) -> None:
    """Set metadata of the very inode the plan saw, whatever stands at the path now."""
    assert step.old is not None and wanted is not None
    try:
        fd = os.open(step.path, _HANDLE)
    except FileNotFoundError:
        if must_be_same:
            raise _changed(step) from None
        return
    try:
        if os.fstat(fd).st_ino != step.old.ino:
            if must_be_same:
                raise _changed(step)
        elif step.old.kind is Kind.SYMLINK:
            apply_link_attributes(step.path, wanted)
        else:
            apply_attributes(b"/proc/self/fd/%d" % fd, wanted, kind=step.old.kind)
    finally:
        os.close(fd)


def _is_same(status: os.stat_result, old: Occupant | None) -> bool:
    """True when nobody has replaced or written to what the plan saw."""
    assert old is not None
    if status.st_ino != old.ino:
        return False
    return old.kind is Kind.DIRECTORY or (status.st_size == old.size and status.st_mtime_ns == old.mtime_ns)


def _changed(step: Step) -> InstallError:
    return InstallError(
        f"{os.fsdecode(step.path)!r}: somebody else changed it while it was being installed",
        hint="find out what writes there (a hook script, a cron job, another tool), stop it, then deploy again",
    )


def undo(steps: Sequence[Step]) -> None:
    """Bring the old tree back, from whatever commit has done; staged content is then under hidden names only.

    Every step is tried, also after a failure.

    Raises:
        InstallError: something stands where old content belongs, or the disk fails. Nothing is lost: undo again.
    """
    failure: InstallError | None = None
    with _Folder() as folder:
        for step in reversed(steps):
            try:
                _backward(step, folder)
            except FileExistsError:
                failure = InstallError(
                    f"{os.fsdecode(step.path)!r}: a file appeared where the old content belongs",
                    hint="move that file away, then run `agentctl recover`",
                )
            except OSError as exc:
                failure = install_error("putting the old content back", step.path, exc)
    if failure is not None:
        raise failure


def _backward(step: Step, folder: _Folder) -> None:
    name = base(step.path)
    if step.kind is StepKind.ATTRIBUTES:
        _set_attributes(step, step.old_attributes, must_be_same=False)
    if step.kind not in RENAMES:
        return
    fd = folder.of(step)
    if step.kind is StepKind.CREATE:
        if inode(fd, name) == step.staged:
            move(fd, name, step.temp)
    elif step.kind is StepKind.REMOVE:
        if inode(fd, step.temp):
            move(fd, step.temp, name)
    else:
        _swap_back(step, fd, name)


def _swap_back(step: Step, folder: int, name: bytes) -> None:
    backup = backup_of(step.temp)
    settle(folder, name, step.temp, backup)
    if inode(folder, step.temp) in (step.staged, 0):
        return  # never swapped; or swapped back, and what was staged is thrown away already
    if inode(folder, name) == step.staged:
        exchange(folder, name, step.temp, backup=backup)
    else:
        move(folder, step.temp, name)


def discard_staged(names: TempNames, folders: Iterable[bytes]) -> None:
    """Take away every hidden name of a transaction that is undone, and make that durable.

    Raises: InstallError.
    """
    present = [folder for folder in folders if os.path.isdir(folder)]
    for folder in present:
        try:
            for name in os.listdir(folder):
                if name.startswith(names.prefix):
                    _remove_whole(join(folder, name))
        except OSError as exc:
            raise install_error("removing what was staged", folder, exc) from exc
    _sync(present)


def _remove_whole(path: bytes) -> None:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    try:
        shutil.rmtree(path)
    except PermissionError:  # not root, and the revision asked for folders nobody may write to
        for folder, _, _ in os.walk(path):
            os.chmod(folder, 0o700)
        shutil.rmtree(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What `finish` has done. `pruned` are recorded folders that are gone; `is_complete` False means: try again."""

    pruned: tuple[bytes, ...]
    warnings: tuple[str, ...]
    is_complete: bool


def finish(steps: Sequence[Step]) -> Finished:
    """Remove the old content and the folders that the new revision no longer needs. Raises nothing: the tree is new."""
    late: list[OSError] = []
    warnings: list[str] = []
    for step in steps:
        if step.kind is StepKind.DISCARD:
            _discard(step.path, late)
    with _Folder() as folder:
        for step in steps:
            if step.kind in (StepKind.SWAP, StepKind.REMOVE):
                _drop_old(step, folder, late, warnings)
    pruned = tuple(step.path for step in steps if step.kind is StepKind.PRUNE and _prune(step.path, late, warnings))
    try:
        _sync(_touched(steps, gone=set(pruned)))
    except InstallError as exc:
        warnings.append(exc.message)
    warnings.extend(f"{os.fsdecode(exc.filename)!r}: stays for now, removing it failed: {exc.strerror}" for exc in late)
    return Finished(pruned=pruned, warnings=tuple(warnings), is_complete=not late)


def _drop_old(step: Step, folder: _Folder, late: list[OSError], warnings: list[str]) -> None:
    assert step.old is not None
    try:
        if step.old.kind is Kind.DIRECTORY:
            os.rmdir(step.temp, dir_fd=folder.of(step))
        else:
            os.unlink(step.temp, dir_fd=folder.of(step))
    except FileNotFoundError:
        pass
    except OSError as exc:
        kept = join(parent(step.path), step.temp)
        if exc.errno not in _NOT_EMPTY:
            late.append(OSError(exc.errno, exc.strerror, kept))
        elif not late:  # else what could not be discarded is still in it
            warnings.append(f"{os.fsdecode(kept)!r}: holds what was not ours in {os.fsdecode(step.path)!r}; it stays")


def _discard(path: bytes, late: list[OSError]) -> None:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        else:
            os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as exc:
        if exc.errno not in _NOT_EMPTY:  # told once, for the whole tree
            late.append(exc)


def _prune(path: bytes, late: list[OSError], warnings: list[str]) -> bool:
    """Remove a folder if it is empty; True when it is gone."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False
    except OSError as exc:
        if exc.errno in _TRANSIENT:
            late.append(exc)
        elif exc.errno not in _NOT_EMPTY:
            warnings.append(f"{os.fsdecode(path)!r}: the empty folder stays: {exc.strerror}")
        return False
    return True


def make_durable(steps: Sequence[Step]) -> None:
    """Make the names and attributes that `steps` changed durable. Raises: InstallError."""
    _sync(_touched(steps, gone=set()))


def _touched(steps: Sequence[Step], gone: set[bytes]) -> list[bytes]:
    """Folders whose names change, and paths whose metadata does."""
    named = (StepKind.CREATE, StepKind.SWAP, StepKind.REMOVE, StepKind.PRUNE)
    folders = {parent(step.path) for step in steps if step.kind in named} - gone
    altered = {
        step.path if step.old is not None and step.old.kind is not Kind.SYMLINK else parent(step.path)
        for step in steps
        if step.kind is StepKind.ATTRIBUTES
    }
    return sorted(folders | altered)


def _sync(paths: Sequence[bytes]) -> None:
    try:
        sync_paths(paths)
    except (PermissionError, FileNotFoundError):  # not readable for us, or gone: the whole system will do
        os.sync()
    except OSError as exc:
        raise install_error("making it durable", paths[0], exc) from exc
