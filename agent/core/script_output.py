"""Turns the bytes a hook script writes into whole lines of clean text, in bulk and in bounded memory.

Reads and writes nothing. Bytes that are not UTF-8 become the replacement character, NULs question marks, terminal
colours and cursor movements go, Windows line ends become plain ones, and a line that will not end is cut.
"""

import re

LINE_LIMIT_BYTES = 64 * 1024
"""A longer line becomes several; also the most that may be fed at once."""

_NUL_TO_QUESTION_MARK = bytes([ord("?"), *range(1, 256)])
_CONTINUATION_MASK, _CONTINUATION = 0xC0, 0x80
_TERMINAL_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    rb"|\][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # OSC: window titles, links
    rb"|[ -/]+[0-~]"  # character sets
    rb"|[0-Z\\^_=>a-z|}~]"  # two-character sequences
    rb")"
)


class LineSplitter:
    """The lines of one stream. Holds back what has no line end yet, never more than `LINE_LIMIT_BYTES`."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, chunk: bytes) -> str:
        """Return the lines that `chunk` (of at most `LINE_LIMIT_BYTES`) completes, each with its line end."""
        first = chunk.find(b"\n")
        if first < 0:
            return self._grow(chunk)
        head = self._cut(self._partial + chunk[: first + 1])
        last = chunk.rfind(b"\n")
        self._partial = chunk[last + 1 :]
        return _clean(head + chunk[first + 1 : last + 1])

    def _grow(self, chunk: bytes) -> str:
        line = self._cut(self._partial + chunk)
        last = line.rfind(b"\n")
        self._partial = line[last + 1 :]
        return _clean(line[: last + 1])

    def flush(self) -> str:
        """Return the last line, when it never got its line end, with one."""
        partial, self._partial = self._partial, b""
        return _clean(partial + b"\n") if partial else ""

    @staticmethod
    def _cut(line: bytes) -> bytes:
        """Return `line` with line ends put in so that no part is too long, none of them inside a character."""
        pieces = []
        while len(line) > LINE_LIMIT_BYTES + 1:  # one for the line end
            end = _character_start(line, LINE_LIMIT_BYTES)
            pieces.append(line[:end] + b"\n")
            line = line[end:]
        return b"".join(pieces) + line


def _character_start(line: bytes, index: int) -> int:
    """Return the nearest index at or up to three bytes before `index` that does not split a UTF-8 character."""
    for start in range(index, index - 4, -1):
        if line[start] & _CONTINUATION_MASK != _CONTINUATION:
            return start
    return index


def _clean(lines: bytes) -> str:
    if b"\x1b" in lines:
        lines = _TERMINAL_SEQUENCE.sub(b"", lines)
    if b"\r\n" in lines:
        lines = lines.replace(b"\r\n", b"\n")
    if b"\0" in lines:
        lines = lines.translate(_NUL_TO_QUESTION_MARK)
    return lines.decode("utf-8", "replace")
