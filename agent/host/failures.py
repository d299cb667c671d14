"""Turns what the kernel says about a path into an InstallError that says how to mend it."""

import errno
import os

from agent.errors import InstallError

_HINTS = {
    errno.ENOSPC: "free space or inodes on that file system, then deploy again",
    errno.EDQUOT: "raise the quota or free space, then deploy again",
    errno.EIO: "the disk reported an error: look at `dmesg`, mend the file system, then deploy again",
    errno.EROFS: "the file system is read-only: remount it writable, then deploy again",
    errno.EACCES: "run as root, or give this user write permission on the folder",
    errno.EPERM: "run as root, or look for an immutable file (`lsattr`) or a foreign owner in a sticky folder",
    errno.ENAMETOOLONG: "shorten the name or the destination",
    errno.EOPNOTSUPP: "the file system cannot store this attribute: drop `acls` or `context` for it",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
}


def install_error(doing: str, path: bytes, exc: OSError) -> InstallError:
    """Say that `doing` ("writing") failed at `path`, and how to mend it."""
    number = exc.errno or 0
    reason = os.strerror(number) if number else str(exc)
    hint = _HINTS.get(number, "mend what the message names, then deploy again")
    return InstallError(f"{os.fsdecode(path)!r}: {doing} failed: {reason}", hint=hint)
