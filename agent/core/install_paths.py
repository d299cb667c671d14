"""Texts of the AppSpec as paths: what `source`, `destination` and `object` mean, and which are refused."""

import posixpath
from collections.abc import Mapping

_HINT_SOURCE = "name a file or folder of the bundle, relative to its root"


class BadPathError(ValueError):
    """A text that cannot be the path it is meant to be. `hint` says how to mend it."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def source_path(text: str) -> bytes:
    """A `source` as a normalised path below the archive's root, b"" for all of it. Raises: BadPathError."""
    raw = _encode(text)
    if raw.startswith(b"//"):
        raise BadPathError("begins with two slashes, which names a path outside the bundle", _HINT_SOURCE)
    path = posixpath.normpath(raw.removeprefix(b"/") or b".")
    if path == b".." or path.startswith(b"../"):
        raise BadPathError("leaves the bundle", _HINT_SOURCE)
    return b"" if path == b"." else path


def destination_path(text: str, cwd: bytes, homes: Mapping[str, bytes]) -> bytes:
    """A `destination` as an absolute, normalised path. Raises: BadPathError."""
    if not text:
        raise BadPathError("is empty", "write / for the root of the file system, or the folder that is meant")
    return b"/" + absolute_path(text, cwd, homes).lstrip(b"/")


def absolute_path(text: str, cwd: bytes, homes: Mapping[str, bytes]) -> bytes:
    """A path as the official agent expands it: `~`, relative to `cwd`, `.` and `..` resolved. Raises: BadPathError."""
    raw = _encode(text)
    user = home_user(text)
    if user is not None:
        if user not in homes:
            raise BadPathError(f"user {user!r} has no home directory here", "write the path in full")
        raw = homes[user] + raw[1 + len(_encode(user)) :]
    return posixpath.normpath(posixpath.join(cwd, raw))


def home_user(text: str) -> str | None:
    """The user whose home a path begins with: "" for the agent's own (`~/x`), None when it begins with none."""
    return text[1:].split("/", 1)[0] if text.startswith("~") else None


def show_path(path: bytes) -> str:
    """A path for people: as it is when it is plain text, quoted and escaped when it is not."""
    text = path.decode("utf-8", "backslashreplace")
    return text if text.isprintable() and text == text.strip() else repr(path)[1:]


def _encode(text: str) -> bytes:
    if "\0" in text:
        raise BadPathError("contains a NUL character", "remove it: no file can have such a name")
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise BadPathError("contains half of a surrogate pair", "write the character itself") from None
