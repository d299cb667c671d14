"""Making files appear whole and last through a power cut. Knows nothing of what is in them."""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

FSYNC_EACH_MAX = 32
"""Up to this many paths are synced one by one: each costs a journal commit, `syncfs` costs everybody's dirty pages."""

AnyPath = Path | bytes | str


def write_file(path: AnyPath, data: bytes, *, mode: int = 0o644) -> None:
    """Put `data` at `path`, whole or not at all, surviving a power cut. May be repeated; a link there is replaced."""
    name = os.fsdecode(path)
    folder = os.path.dirname(name) or "."
    fd, temp = tempfile.mkstemp(prefix=f".{os.path.basename(name)[:200]}.", dir=folder)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temp, name)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temp)
        raise
    fsync_dir(folder)


def fsync_dir(path: AnyPath) -> None:
    """Make the names in the folder `path` durable."""
    _fsync(path, os.O_RDONLY | os.O_DIRECTORY)


def syncfs(path: AnyPath) -> None:
    """Make everything written so far to the file system that holds `path` durable. Raises: OSError (ENOSPC, EIO...)."""
    import ctypes  # costs 5 ms: only who syncs pays

    fd = os.open(path, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "syncfs"):
            os.sync()
        elif libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), os.fsdecode(path))
    finally:
        os.close(fd)


def sync_paths(paths: Iterable[AnyPath]) -> None:
    """Make these files and folders durable, the cheaper way: one by one when few, else their whole file systems."""
    todo = list(paths)
    if len(todo) <= FSYNC_EACH_MAX:
        for path in todo:
            _fsync(path, os.O_RDONLY)
        return
    seen: set[int] = set()
    for path in todo:
        device = os.stat(path).st_dev
        if device not in seen:
            seen.add(device)
            syncfs(path)


def _fsync(path: AnyPath, flags: int) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
