"""Moves names inside one folder without ever losing what either of them holds. Knows renameat2 and its substitutes.

Names are given relative to an open folder, so that nobody can slip another folder in between.
"""

import errno
import os
import stat
from collections.abc import Callable
from functools import cache, partial

_NOREPLACE = 1  # linux/fs.h
_EXCHANGE = 2
_SYSCALL = {"x86_64": 316, "aarch64": 276}
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS)

_RenameAt2 = Callable[[int, bytes, int, bytes, int], None]


def move(folder: int, source: bytes, target: bytes) -> None:
    """Rename `source` to `target`, which must not be there. Raises: FileExistsError, OSError."""
    try:
        _renameat2()(folder, source, folder, target, _NOREPLACE)
    except OSError as exc:
        if exc.errno not in _UNSUPPORTED:
            raise
        if inode(folder, target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(target)) from None
        os.rename(source, target, src_dir_fd=folder, dst_dir_fd=folder)


def exchange(folder: int, one: bytes, other: bytes, *, backup: bytes) -> None:
    """Let two names change places; `one` is never missing for longer than a rename takes.

    Where the file system cannot do it at once it takes three steps over the name `backup`; a kill between them leaves
    what `settle` mends.
    """
    try:
        _renameat2()(folder, one, folder, other, _EXCHANGE)
    except OSError as exc:
        if exc.errno not in _UNSUPPORTED:
            raise
        _exchange_by_steps(folder, one, other, backup)


def settle(folder: int, one: bytes, other: bytes, backup: bytes) -> None:
    """Bring an exchange by steps that was cut short to its beginning or its end: afterwards `backup` is gone.

    Raises: FileExistsError when something foreign took the place of `one` meanwhile.
    """
    saved = inode(folder, backup)
    if not saved:
        return
    if not inode(folder, other):
        move(folder, backup, other)
    elif inode(folder, one) == saved:
        os.unlink(backup, dir_fd=folder)
    else:
        move(folder, backup, one)


def inode(folder: int, name: bytes) -> int:
    """The inode number behind a name, links not followed; 0 when nothing is there."""
    try:
        return os.lstat(name, dir_fd=folder).st_ino
    except FileNotFoundError:
        return 0


def _exchange_by_steps(folder: int, one: bytes, other: bytes, backup: bytes) -> None:
    if stat.S_ISDIR(os.lstat(one, dir_fd=folder).st_mode) or stat.S_ISDIR(os.lstat(other, dir_fd=folder).st_mode):
        move(folder, one, backup)
    else:
        try:
            os.link(one, backup, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except PermissionError:  # no hard links here, or not to a file of somebody else (protected_hardlinks)
            move(folder, one, backup)
    os.rename(other, one, src_dir_fd=folder, dst_dir_fd=folder)
    os.rename(backup, other, src_dir_fd=folder, dst_dir_fd=folder)


@cache
def _renameat2() -> _RenameAt2:
    """The system call as a function that raises OSError; ENOSYS on a C library and machine that have none."""
    import ctypes  # costs 5 ms: only who renames pays

    libc = ctypes.CDLL(None, use_errno=True)
    get_errno = ctypes.get_errno
    if hasattr(libc, "renameat2"):
        function: Callable[..., int] = libc.renameat2
    elif os.uname().machine in _SYSCALL:
        function = partial(libc.syscall, ctypes.c_long(_SYSCALL[os.uname().machine]))
    else:
        return _no_renameat2

    def renameat2(source_folder: int, source: bytes, target_folder: int, target: bytes, flags: int) -> None:
        if function(source_folder, source, target_folder, target, flags) != 0:
            code = get_errno()
            raise OSError(code, os.strerror(code), os.fsdecode(source), None, os.fsdecode(target))

    return renameat2


def _no_renameat2(*_: object) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
