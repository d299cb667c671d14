"""Which kind of archive a file is, by its content. Unpacks nothing."""

import os
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from agent.core.revision import BundleType
from agent.errors import BundleError
from agent.host.archive.stream import Damage, decoded_blocks
from agent.host.archive.tar_header import BLOCK, ZERO_BLOCK, has_checksum

_MAGIC = (
    (b"\x1f\x8b\x08", BundleType.TGZ),
    (b"BZh", BundleType.BZ2),
    (b"\xfd7zXZ\0", BundleType.XZ),
    (b"\x28\xb5\x2f\xfd", BundleType.ZST),
)
_ZIP_END = b"PK\5\6"
_ZIP_END_MAX = 22 + 0xFFFF


def detect_type(path: Path) -> BundleType:
    """Return how the file at `path` is packed. Raises: BundleError when it is no archive we know."""
    try:
        with open(path, "rb") as file:
            return _detect(path, file)
    except OSError as exc:
        raise BundleError(f"{path}: cannot be read: {exc.strerror}", hint="name a bundle this user may read") from exc


def content_type(path: Path, declared: BundleType) -> BundleType:
    """Return the type to unpack `path` as. Raises: BundleError when the content is not what was declared.

    A `tar` may be gzip inside: GitHub's tarballs are, and the official agent takes them.
    """
    actual = detect_type(path)
    if actual is declared or (declared is BundleType.TAR and actual is BundleType.TGZ):
        return actual
    raise BundleError(
        f"{path}: the bundle type is {str(declared)!r} and the content is {str(actual)!r}",
        hint=f"declare the bundle type {str(actual)!r}, or pack the bundle as {str(declared)!r}",
    )


def _detect(path: Path, file: BinaryIO) -> BundleType:
    start = file.read(BLOCK)
    for magic, bundle_type in _MAGIC:
        if start.startswith(magic):
            file.seek(0)
            _check_holds_tar(path, file, bundle_type)
            return bundle_type
    size = file.seek(0, os.SEEK_END)
    if has_checksum(start) or (start == ZERO_BLOCK and size % BLOCK == 0):
        return BundleType.TAR  # before zip: a tar's last member may be one
    file.seek(max(0, size - _ZIP_END_MAX))
    if _ZIP_END in file.read():
        return BundleType.ZIP
    what = "empty" if size == 0 else "no tar, tgz, zst, bz2, xz or zip archive, or is cut short"
    raise BundleError(f"{path}: is {what}", hint="check how the bundle was packed and uploaded")


def _check_holds_tar(path: Path, file: BinaryIO, bundle_type: BundleType) -> None:
    block = b""
    try:
        with closing(decoded_blocks(file, bundle_type)) as blocks:
            for more in blocks:
                block += more[: BLOCK - len(block)]
                if len(block) == BLOCK:
                    break
    except Damage as exc:
        raise BundleError(
            f"{path}: is a damaged {bundle_type} bundle: {exc}", hint="make the bundle or fetch it again"
        ) from exc
    if not has_checksum(block) and block != ZERO_BLOCK:
        raise BundleError(
            f"{path}: is compressed ({bundle_type}) and holds no tar archive", hint="pack the bundle's folder with tar"
        )
