"""Bundles that are already on this host: what must hold of the path, and a link in place of a copy."""

import os
from pathlib import Path

from agent.core.appspec.find import find_appspec, missing_appspec
from agent.core.revision import LocalDirectoryRevision, LocalFileRevision, Revision
from agent.errors import AppSpecError, BundleNotFoundError, SpecificationError


def check_local(revision: Revision, appspec_filename: str) -> None:
    """Check that a local revision is there and of the kind it is said to be; any other revision passes.

    Raises:
        SpecificationError: missing, a file where a folder is meant or the other way round, or a folder without AppSpec.
    """
    match revision:
        case LocalFileRevision(path=path):
            _check_there(path)
            if path.is_dir():
                raise SpecificationError(
                    f"{str(path)!r} is a folder, but --type is {revision.bundle_type}",
                    hint="use --type directory, or name the archive file",
                )
        case LocalDirectoryRevision(path=path):
            _check_there(path)
            if not path.is_dir():
                raise SpecificationError(
                    f"{str(path)!r} is a file, but --type is directory",
                    hint="name its type with --type (tar, tgz, zip, zst, bz2 or xz)",
                )
            _check_appspec(path, appspec_filename)
        case _:
            return


def link_bundle(revision: LocalFileRevision, into: Path) -> int:
    """Make `into` a link to the archive, replacing what was there; return the archive's size in bytes.

    Raises:
        BundleNotFoundError: no archive at the path.
    """
    try:
        size = revision.path.stat().st_size
    except OSError as exc:
        raise BundleNotFoundError(
            f"bundle {str(revision.path)!r}: {exc.strerror}", hint="check the path; it must be readable for the agent"
        ) from exc
    temporary = into.with_name(into.name + ".link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(revision.path)
    temporary.replace(into)
    return size


def _check_there(path: Path) -> None:
    if not os.path.lexists(path):
        raise SpecificationError(f"bundle location {str(path)!r} does not exist", hint="check the path's spelling")
    if not path.exists():
        raise SpecificationError(f"bundle location {str(path)!r} is a link to nothing", hint="mend the link")


def _check_appspec(folder: Path, appspec_filename: str) -> None:
    try:
        found = find_appspec(lambda name: (folder / name).is_file(), appspec_filename)
        if found is None:
            names = os.listdir(folder)
            raise missing_appspec(appspec_filename, where=str(folder), names_in_root=names)
    except AppSpecError as exc:
        raise SpecificationError(exc.message, hint=exc.hint) from exc
    except OSError as exc:
        raise SpecificationError(f"{str(folder)!r}: {exc.strerror}", hint="the agent must be able to read it") from exc
