"""Which file of an archive is its AppSpec: one rule for Install and for hooks. Works on names, reads no disk."""

from collections.abc import Callable, Iterable

from agent.errors import AppSpecError

DEFAULT_NAME = "appspec.yml"
FALLBACK_NAMES = ("appspec.yaml", "appspec.yml")


def candidate_names(requested: str = DEFAULT_NAME) -> tuple[str, ...]:
    """Return the names to look for below the archive's root, best first.

    Raises:
        AppSpecError: `requested` could lead out of the archive.
    """
    _check_inside(requested)
    return tuple(dict.fromkeys((requested, *FALLBACK_NAMES)))


def find_appspec(exists: Callable[[str], bool], requested: str = DEFAULT_NAME) -> str | None:
    """Return the first candidate for which `exists` (is it a file below the archive's root?) says yes, else None.

    Raises:
        AppSpecError: `requested` could lead out of the archive.
    """
    return next((name for name in candidate_names(requested) if exists(name)), None)


def missing_appspec(requested: str, *, where: str, names_in_root: Iterable[str] = ()) -> AppSpecError:
    """Return the error to raise when no candidate is there. `names_in_root` makes the hint say what is."""
    looked_for = " or ".join(candidate_names(requested))
    lookalikes = sorted(name for name in names_in_root if "appspec" in name.lower())
    hint = "put the AppSpec into the root of the bundle, or name it with --appspec-filename"
    if lookalikes:
        hint = f"the root holds {', '.join(map(repr, lookalikes))}: rename it, or name it with --appspec-filename"
    return AppSpecError(f"{where}: no AppSpec ({looked_for})", hint=hint)


def _check_inside(requested: str) -> None:
    parts = requested.split("/")
    if not requested or "\0" in requested or "\\" in requested or requested.startswith("/") or ".." in parts:
        raise AppSpecError(
            f"AppSpec name {requested!r} is not a relative path inside the bundle",
            hint="give a path from the bundle's root, with forward slashes and without '..'",
        )
