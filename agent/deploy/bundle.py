"""Turns a fetched bundle, or a folder on this host, into a deployment's archive. Fetches nothing, reads no AppSpec."""

import os
from dataclasses import dataclass

from agent.core.layout import DeploymentDir
from agent.core.revision import BundleType, LocalDirectoryRevision, Revision
from agent.errors import BundleError
from agent.host.archive import (
    ArchiveFile,
    BytesProgress,
    UnpackOptions,
    content_type,
    copy_folder,
    remove_tree,
    unpack,
)
from agent.host.durable import fsync_dir, syncfs


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

    An archive must have been fetched to `folder.bundle`. A local folder is copied, without the deployment root should
    that lie below it.
    Raises: BundleError. A failure, whatever `progress` raises included, leaves no debris and the old archive.
    """
    try:
        remove_tree(folder.archive_temp)
        unpacked = _fill_temp(revision, folder, options, progress)
        _publish(folder)
    except OSError as exc:
        raise BundleError(
            f"{folder.path}: cannot put the archive in place: {exc.strerror}",
            hint="check the space, the rights and the health of the deployment root's file system",
        ) from exc
    finally:
        remove_tree(folder.archive_temp)
    return unpacked


def _fill_temp(
    revision: Revision, folder: DeploymentDir, options: UnpackOptions, progress: BytesProgress | None
) -> UnpackedBundle:
    temp = folder.archive_temp
    if isinstance(revision, LocalDirectoryRevision):
        root = folder.deployment_root
        files = copy_folder(revision.path, temp, options=options, skip=root, progress=progress)
        return UnpackedBundle(files=files, bundle_type=BundleType.DIRECTORY)
    actual = content_type(folder.bundle, revision.bundle_type)
    return UnpackedBundle(files=unpack(folder.bundle, actual, temp, options, progress), bundle_type=actual)


def _publish(folder: DeploymentDir) -> None:
    """On disk first, under its name after: a name after a power cut means a whole archive."""
    syncfs(folder.archive_temp)
    remove_tree(folder.archive)
    os.rename(folder.archive_temp, folder.archive)
    fsync_dir(folder.path)
