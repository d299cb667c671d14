"""The values that go into and come out of unpacking, and how its errors name a member."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from agent.errors import BundleError

BytesProgress = Callable[[int, int | None], None]
"""Told how many bytes are done, and of how many (None: nobody knows). It may raise to stop the work."""

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackOptions:
    """What to allow. `appspec_filename` is relative to the revision's root and decides the stripping of a top folder.

    `max_ratio` is unpacked size to bundle size. It counts only past `ratio_free_bytes`: ordinary bundles of logs, SQL
    dumps or generated code compress better than that too, and while they stay small they can do no harm.
    `keep_special_bits` lets setuid, setgid and sticky through; `restore_ownership` asks for the owners that the
    archive names (by name where this host knows it, else by number). `keep_outward_links` lets symbolic links name
    what is outside the tree; nothing is ever written through a link either way.
    """

    max_entries: int = 1_000_000
    max_bytes: int = 64 * GIB
    max_ratio: int = 200
    ratio_free_bytes: int = 2 * GIB
    keep_special_bits: bool = False
    restore_ownership: bool = False
    keep_outward_links: bool = False
    appspec_filename: str = "appspec.yml"


class ArchiveFile(NamedTuple):
    """A regular file as it was unpacked: its digest holds while size, inode and ctime are still these.

    `path` is relative to the unpacked folder, without a leading `./`. A tuple, since there are as many as files.
    """

    path: bytes
    size: int
    ino: int
    ctime_ns: int
    sha256: bytes


def member_error(bundle: str, member: bytes, problem: str, *, hint: str = "") -> BundleError:
    """Return the error that says what is wrong with one member of `bundle`."""
    return BundleError(f"{bundle}: member {os.fsdecode(member)!r}: {problem}", hint=hint)


def os_error(bundle: str, member: bytes, exc: OSError) -> BundleError:
    """Return the error that says what the system refused while a member was written."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return member_error(
            bundle, member, "no space left to unpack it", hint="free space or inodes below the deployment root"
        )
    hint = "only root may restore owners" if exc.errno == errno.EPERM else ""
    return member_error(bundle, member, f"cannot be written: {exc.strerror}", hint=hint)
