"""Finds and reads the AppSpec of an unpacked archive; the rules are those of `agent.core.appspec`."""

import os
from pathlib import Path

from agent.core.appspec.find import find_appspec, missing_appspec
from agent.core.appspec.parse import ParsedAppSpec, load_appspec
from agent.errors import AppSpecError


def read_appspec(archive: Path, requested: str) -> ParsedAppSpec:
    """Read the AppSpec of `archive`, warnings included.

    Raises:
        AppSpecError: none is there, it leads out of the archive, or it is not valid.
    """
    name = find_appspec(lambda candidate: (archive / candidate).is_file(), requested)
    if name is None:
        raise missing_appspec(requested, where=str(archive), names_in_root=_names(archive))
    path = archive / name
    if not path.resolve().is_relative_to(archive.resolve()):
        raise AppSpecError(
            f"{path}: a symbolic link leads out of the bundle", hint="put the AppSpec itself into the bundle"
        )
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise AppSpecError(f"{path}: {exc.strerror}", hint="make the file readable") from exc
    return load_appspec(data, filename=str(path))


def _names(archive: Path) -> list[str]:
    try:
        return os.listdir(archive)
    except OSError:
        return []
