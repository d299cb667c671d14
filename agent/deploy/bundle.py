"""Turns a fetched bundle, or a folder on this host, into a deployment's archive. Fetches nothing, reads no AppSpec."""

from dataclasses import dataclass

from agent.core.layout import DeploymentDir
from agent.core.revision import BundleType, Revision
from agent.host.archive import ArchiveFile, BytesProgress, UnpackOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedBundle:
    """The deployment archive as it now lies on disk. `bundle_type` is what the content was, not what was declared."""

    files: tuple[ArchiveFile, ...]
    bundle_type: BundleType


def open_bundle(
    revision: Revision,
    folder: DeploymentDir,
    options: UnpackOptions = UnpackOptions(),  # noqa: B008 - frozen
    progress: BytesProgress | None = None,
) -> UnpackedBundle:
    """Put the revision's files at `folder.archive`, durable and whole, replacing what was there. May be repeated.

    A remote revision's bundle must lie at `folder.bundle`; for a local archive that name becomes a link to it.
    Raises: BundleError. A failure, whatever `progress` raises included, leaves no debris and the old archive.
    """
    raise NotImplementedError((revision, folder, options, progress))
