"""Looks at single files without following or changing them: their metadata, and the digest of their content."""

import hashlib
import os
import stat

from agent.core.install_facts import Found
from agent.core.install_model import Kind

_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}
_MODE_BITS = 0o7777
_CHUNK_BYTES = 256 * 1024


def look(path: bytes) -> Found | None:
    """What is at `path`, a symbolic link being itself; None when nothing is."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found_of(path, status)


def found_of(path: bytes, status: os.stat_result) -> Found:
    """An lstat result as a value; a symbolic link's target is read."""
    mode = status.st_mode
    kind = kind_of(mode)
    return Found(
        kind,
        mode & _MODE_BITS,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_nlink,
        os.readlink(path) if kind is Kind.SYMLINK else None,
    )


def kind_of(mode: int) -> Kind:
    """What a path is, by the mode that lstat gives."""
    return _KINDS.get(stat.S_IFMT(mode), Kind.OTHER)


def digest_of(path: bytes) -> bytes:
    """The sha256 of a regular file's content."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            digest.update(chunk)
    finally:
        os.close(descriptor)
    return digest.digest()
