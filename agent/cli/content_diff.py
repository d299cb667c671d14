"""Unified differences of small text files between the host and a revision."""

import os
from collections.abc import Iterator

from agent.cli.render_plan import Mark, PathChange
from agent.cli.safe_text import printable_line, printable_path
from agent.core.install_model import Kind

MAX_BYTES = 256 << 10


def content_lines(change: PathChange) -> Iterator[str]:
    """Yield what differs in one file, as `diff -u` would; one line for files too large, binary or unreadable."""
    if change.kind is not Kind.FILE or change.mark is Mark.ATTRIBUTES:
        return
    import difflib

    name = printable_path(change.path)
    before = b"" if change.mark is Mark.ADD else _read(change.path)
    after = b"" if change.source is None else _read(change.source)
    if before is None or after is None:
        yield f"Content of {name} differs (not a small text file)"
        return
    lines = difflib.unified_diff(
        before.decode().splitlines(),
        after.decode().splitlines(),
        fromfile="/dev/null" if change.mark is Mark.ADD else f"{name} (here)",
        tofile="/dev/null" if change.source is None else f"{name} (revision)",
        lineterm="",
    )
    yield from map(printable_line, lines)


def _read(path: bytes) -> bytes | None:
    """Return a small text file's content, None for anything else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        data.decode()
    except (OSError, UnicodeDecodeError):
        return None
    return data if len(data) <= MAX_BYTES and b"\0" not in data else None
