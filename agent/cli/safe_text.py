"""Makes text from elsewhere (file names, script output) harmless to print. Knows terminals, prints nothing itself."""

import os
import re

_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS and the like: window titles, clipboard, links
    r"|\x1b[ -/]*[0-~]"
)
_ESCAPED_BYTES = range(0xDC80, 0xDD00)  # how os.fsdecode carries a byte that is not UTF-8 (PEP 383)


def printable(text: str) -> str:
    """Return `text` with everything a terminal could act on, or not show, as a backslash escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def printable_path(path: bytes | str | os.PathLike[str]) -> str:
    """Return a file name as text for people; a byte that is not UTF-8 becomes `\\xNN`."""
    return printable(os.fsdecode(path))


def printable_line(line: str) -> str:
    """Return one line of a script's output: colours and cursor movements left out, tabs kept, the rest escaped.

    Of a line that overwrites itself with carriage returns (progress bars), what would be left standing.
    """
    if line.isprintable():
        return line
    line = _SEQUENCES.sub("", line).rstrip("\r")
    line = line[line.rfind("\r") + 1 :]
    return "\t".join(map(printable, line.split("\t")))


def _escape(char: str) -> str:
    code = ord(char)
    if code in _ESCAPED_BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
