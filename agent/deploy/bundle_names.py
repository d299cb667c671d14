"""Finds in a bundle what a path of the AppSpec names, or what was probably meant by it."""

import difflib
import os
from pathlib import Path


def leaves_bundle(root: Path, path: Path) -> bool:
    """True when following links from `path` ends outside `root`. A path to nothing is judged as far as it goes."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def nearest_path(root: Path, written: str) -> str | None:
    """Return a path below `root` that exists and differs from `written` in spaces, case or a few letters."""
    at, found = root, []
    for part in (part for part in written.split("/") if part.strip() not in {"", "."}):
        name = part if os.path.lexists(at / part) else _nearest_name(at, part)
        if name is None:
            return None
        at /= name
        found.append(name)
    return "/".join(found) or None


def _nearest_name(folder: Path, part: str) -> str | None:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return None
    wanted = part.strip().lower()
    by_plain = {name.strip().lower(): name for name in names}
    near = [wanted] if wanted in by_plain else difflib.get_close_matches(wanted, list(by_plain)[:1000], n=1, cutoff=0.7)
    return by_plain[near[0]] if near else None
