"""Unpacking one bundle into one folder, whole or not at all."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.core.revision import BundleType
from agent.errors import BundleError
from agent.host.archive.detect import content_type
from agent.host.archive.model import ArchiveFile, BytesProgress, UnpackOptions, os_error
from agent.host.archive.stream import open_blocks
from agent.host.archive.tar import TarUnpacker
from agent.host.archive.tree import Limits, TreeWriter


def unpack(
    bundle: Path,
    bundle_type: BundleType,
    into: Path,
    options: UnpackOptions = UnpackOptions(),  # noqa: B008 - frozen
    progress: BytesProgress | None = None,
) -> tuple[ArchiveFile, ...]:
    """Unpack `bundle` so that `into` (absent or empty before) appears whole; return its regular files.

    A single top folder with the AppSpec directly in it becomes `into` itself (see `TreeWriter.top_folder`). The mode of
    `into` is 0755. Nothing is synced to disk.
    Raises: BundleError naming the member. Nothing is left behind by a failure, whatever `progress` raises included.
    """
    actual = content_type(bundle, bundle_type)
    size = os.stat(bundle).st_size
    with fresh_tree(into, str(bundle), limits_for(size, options), options) as tree:
        tree.expect(size)
        if actual is BundleType.ZIP:
            _unpack_zip(bundle, tree, options, progress)
        else:
            unpacker = TarUnpacker(str(bundle), tree, actual, restore_ownership=options.restore_ownership)
            with open_blocks(bundle, actual, progress) as blocks:
                unpacker.run(blocks)
        return publish(tree, into, tree.top_folder(options.appspec_filename))


def limits_for(bundle_size: int, options: UnpackOptions) -> Limits:
    """Return how much a bundle of so many bytes may unpack to."""
    by_ratio = max(options.ratio_free_bytes, options.max_ratio * bundle_size)
    if by_ratio < options.max_bytes:
        return Limits(
            entries=options.max_entries,
            size_bytes=by_ratio,
            why=f"which is out of proportion to its size ({bundle_size} bytes)",
        )
    return Limits(entries=options.max_entries, size_bytes=options.max_bytes, why="the most that is allowed")


@contextmanager
def fresh_tree(into: Path, bundle: str, limits: Limits, options: UnpackOptions) -> Iterator[TreeWriter]:
    """Give an empty tree beside `into`, and see that nothing but what was published is left of it.

    Its name is always the same, so that what a killed run left behind is found and removed by the next.
    Raises: BundleError when `into` is there and not empty.
    """
    temp = into.with_name(f".{into.name}.unpacking")
    try:
        if os.path.lexists(into) and (into.is_symlink() or os.listdir(into)):
            raise BundleError(f"{into}: is there and not empty", hint="unpack into a folder that is not there yet")
        remove_tree(temp)
        tree = TreeWriter(temp, bundle, limits, options)
    except OSError as exc:
        raise BundleError(
            f"{into}: cannot be made: {exc.strerror}", hint="check that its parent folder is there and writable"
        ) from exc
    try:
        yield tree
    finally:
        tree.close()
        remove_tree(temp)


def publish(tree: TreeWriter, into: Path, top: bytes) -> tuple[ArchiveFile, ...]:
    """End `tree` and make what lies below its folder `top` appear as `into`; return the files there."""
    try:
        files = tree.seal(top)
        os.rename(os.path.join(os.fsencode(tree.root), top), into)
    except OSError as exc:
        raise os_error(tree.bundle, top, exc) from exc
    return files


def remove_tree(path: Path) -> None:
    """Remove the folder `path` if it is there, read-only folders in it included. Follows no link."""
    if not os.path.lexists(path):
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        _make_writable(os.fsencode(path))
        shutil.rmtree(path)


def _make_writable(folder: bytes) -> None:
    os.chmod(folder, stat.S_IRWXU)
    with os.scandir(folder) as entries:
        below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    for path in below:
        _make_writable(path)


def _unpack_zip(bundle: Path, tree: TreeWriter, options: UnpackOptions, progress: BytesProgress | None) -> None:
    from agent.host.archive.zip import ZipUnpacker  # with zipfile, which only a zip needs

    with open(bundle, "rb") as file:
        ZipUnpacker(str(bundle), tree, restore_ownership=options.restore_ownership, progress=progress).run(file)
