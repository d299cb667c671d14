"""Compares what a deployment group has installed, by its records, with what is on the host. Changes nothing."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from agent.compat import StrEnum
from agent.core.acl import access_acl, acl_text, decode_acl
from agent.core.install_model import Kind, Recorded
from agent.host.file_facts import digest_of, kind_of

_ACL_ACCESS, _ACL_DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_LABEL = "security.selinux"
_NO_ATTRIBUTE = (errno.ENODATA, errno.ENOTSUP)


class DriftKind(StrEnum):
    """How a path differs from what was installed."""

    MISSING = "missing"
    REPLACED = "replaced"
    """It, or a folder above it, has become another kind of thing."""
    MODIFIED = "modified"
    MODE = "mode"
    OWNER = "owner"
    ACL = "acl"
    CONTEXT = "context"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One difference. `detail` says, for people, what was installed and what is there."""

    path: bytes
    problem: DriftKind
    detail: str = ""


def find_drift(records: Iterable[Recorded], *, checksum: bool = False) -> Iterator[Drift]:
    """Yield every difference between `records` and the host, in their order.

    A file whose size, inode number and both times are as recorded is not read, unless `checksum` asks for it.
    """
    is_real = lru_cache(maxsize=4096)(_is_real)
    for record in records:
        if is_real(os.path.dirname(record.path)):
            yield from _compare(record, checksum=checksum)
        else:
            yield Drift(
                path=record.path, problem=DriftKind.REPLACED, detail="a folder above it is a symbolic link or gone"
            )


def _is_real(folder: bytes) -> bool:
    return os.path.realpath(folder) == folder


def _compare(record: Recorded, *, checksum: bool) -> Iterator[Drift]:
    try:
        found = os.lstat(record.path)
        yield from _differences(record, found, checksum=checksum)
    except (FileNotFoundError, NotADirectoryError):
        yield Drift(path=record.path, problem=DriftKind.MISSING)
    except OSError as exc:
        yield Drift(path=record.path, problem=DriftKind.UNREADABLE, detail=exc.strerror or str(exc))


def _differences(record: Recorded, found: os.stat_result, *, checksum: bool) -> Iterator[Drift]:
    kind = kind_of(found.st_mode)
    if kind is not record.kind:
        yield Drift(path=record.path, problem=DriftKind.REPLACED, detail=f"was a {record.kind}, is a {kind}")
        return
    if modified := _modified(record, found, checksum=checksum):
        yield Drift(path=record.path, problem=DriftKind.MODIFIED, detail=modified)
    mode = stat.S_IMODE(found.st_mode)
    if kind is not Kind.SYMLINK and mode != record.mode:
        yield Drift(path=record.path, problem=DriftKind.MODE, detail=f"was {record.mode:04o}, is {mode:04o}")
    if (found.st_uid, found.st_gid) != (record.uid, record.gid):
        detail = f"was {record.uid}:{record.gid}, is {found.st_uid}:{found.st_gid}"
        yield Drift(path=record.path, problem=DriftKind.OWNER, detail=detail)
    if record.acl is not None and (acl := _acl(record, mode)) != record.acl:
        yield Drift(path=record.path, problem=DriftKind.ACL, detail=f"was {record.acl}, is {acl or 'none'}")
    if record.context is not None and (label := _label(record.path)) != record.context:
        yield Drift(path=record.path, problem=DriftKind.CONTEXT, detail=f"was {record.context}, is {label or 'none'}")


def _modified(record: Recorded, found: os.stat_result, *, checksum: bool) -> str:
    """Say how the content differs; nothing when it does not. What was taken over has no digest to compare with."""
    if record.kind is Kind.SYMLINK:
        target = os.readlink(record.path)
        is_same = record.sha256 in (None, hashlib.sha256(target).digest())
        return "" if is_same else f"now leads to {os.fsdecode(target)}"
    if record.kind is not Kind.FILE:
        return ""
    if found.st_size != record.size:
        return f"was {record.size} bytes, is {found.st_size}"
    identity = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
    if not checksum and identity == (record.ino, record.mtime_ns, record.ctime_ns):
        return ""
    return "" if record.sha256 in (None, digest_of(record.path)) else "other content of the same size"


def _acl(record: Recorded, mode: int) -> str:
    """Return the ACLs as a record has them; the kernel stores none that only repeats the mode."""
    access = decode_acl(_attribute(record.path, _ACL_ACCESS), default=False) or access_acl((), mode)
    asked = "default:" in (record.acl or "")
    default = decode_acl(_attribute(record.path, _ACL_DEFAULT), default=True) if asked else ()
    return acl_text(access, default)


def _label(path: bytes) -> str:
    return os.fsdecode(_attribute(path, _LABEL).rstrip(b"\0"))


def _attribute(path: bytes, name: str) -> bytes:
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError as exc:
        if exc.errno in _NO_ATTRIBUTE:
            return b""
        raise
