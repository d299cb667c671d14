"""Unpacking one bundle into one folder, whole or not at all."""

from pathlib import Path

from agent.core.revision import BundleType
from agent.host.archive.model import ArchiveFile, BytesProgress, UnpackOptions


def unpack(
    bundle: Path,
    bundle_type: BundleType,
    into: Path,
    options: UnpackOptions = UnpackOptions(),  # noqa: B008 - frozen
    progress: BytesProgress | None = None,
) -> tuple[ArchiveFile, ...]:
    """Unpack `bundle` so that `into` (absent or empty before) appears whole; return its regular files.

    Raises: BundleError naming the member. Nothing is left behind by a failure, whatever `progress` raises included.
    """
    raise NotImplementedError((bundle, bundle_type, into, options, progress))
