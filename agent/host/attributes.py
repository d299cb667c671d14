"""Applies owner, mode, ACLs, SELinux label and times to what a descriptor or a path holds. Never follows a link."""

import os

from agent.core.acl import encode_acl
from agent.core.install_model import Attributes, Kind

_ACCESS = "system.posix_acl_access"
_DEFAULT = "system.posix_acl_default"
_LABEL = "security.selinux"


def apply_attributes(target: int | bytes, wanted: Attributes, *, kind: Kind) -> None:
    """Give `target` the fields of `wanted` that are set; a descriptor, or a path whose last component is no link.

    May be repeated. Owner goes first, since changing it drops special bits; times go last.
    """
    if wanted.uid is not None or wanted.gid is not None:
        os.chown(target, _or_same(wanted.uid), _or_same(wanted.gid))
    if wanted.mode is not None:
        os.chmod(target, wanted.mode)
    if wanted.acl is not None:
        os.setxattr(target, _ACCESS, encode_acl(wanted.acl))
    if wanted.default_acl is not None and kind is Kind.DIRECTORY:
        _set_or_remove(target, _DEFAULT, encode_acl(wanted.default_acl) if wanted.default_acl else b"")
    if wanted.context is not None:
        _set_or_remove(target, _LABEL, _label(wanted.context))
    if wanted.mtime_ns is not None:
        os.utime(target, ns=(wanted.mtime_ns, wanted.mtime_ns))


def apply_link_attributes(path: bytes, wanted: Attributes) -> None:
    """Give the symbolic link at `path` what a link can have: owner, label and times."""
    if wanted.uid is not None or wanted.gid is not None:
        os.chown(path, _or_same(wanted.uid), _or_same(wanted.gid), follow_symlinks=False)
    if wanted.context:
        os.setxattr(path, _LABEL, _label(wanted.context), follow_symlinks=False)
    if wanted.mtime_ns is not None:
        os.utime(path, ns=(wanted.mtime_ns, wanted.mtime_ns), follow_symlinks=False)


def _or_same(number: int | None) -> int:
    return -1 if number is None else number


def _label(context: str) -> bytes:
    """As libselinux stores it: with its closing NUL."""
    return os.fsencode(context) + b"\0" if context else b""


def _set_or_remove(target: int | bytes, name: str, value: bytes) -> None:
    if value:
        os.setxattr(target, name, value)
    elif name in os.listxattr(target):
        os.removexattr(target, name)
