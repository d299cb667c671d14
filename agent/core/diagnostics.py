"""What the service is told about a lifecycle event: the diagnostics text and the tail of the script log in it.

Format and codes: docs/hooks.md, "What the service is told".
"""

import json
from collections import deque

from agent.errors import DiagnosticsCode

PAYLOAD_LIMIT = 8192
"""Most characters the service takes; we hold the UTF-8 bytes to it, which is never more."""

TAIL_LIMIT_BYTES = 2048
SUCCEEDED = "Succeeded: "
NOOP_NOTE = "CompletedNoopCommand"
_ELLIPSIS = "…"


class LogTail:
    """The last lines of a script log, as many whole ones as fit `limit_bytes` of UTF-8 with their line ends.

    Never empty once something was added: of a last line that is longer by itself the end is kept.
    """

    def __init__(self, limit_bytes: int = TAIL_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._lines: deque[tuple[str, int]] = deque()
        self._held = 0

    def add(self, tag: str, text: str) -> None:
        """Take in whole lines, each put behind `tag`; costs no more than the tail itself, however long `text` is."""
        text = text.removesuffix("\n")
        start = max(0, len(text) - self._limit)  # a character is a byte at least: what lies before cannot fit
        begin = text.rfind("\n", 0, start) + 1
        for line in text[begin:].split("\n"):
            self._push(f"{tag}{line}")

    def _push(self, line: str) -> None:
        size = _size(line) + 1
        if size > self._limit:
            self._lines.clear()
            self._held = 0
            line = _end_of(line, self._limit - 1)
            size = _size(line) + 1
        self._lines.append((line, size))
        self._held += size
        while self._held > self._limit:
            self._held -= self._lines.popleft()[1]

    def text(self) -> str:
        """Return the lines kept, oldest first, each with its line end."""
        return "".join(f"{line}\n" for line, _ in self._lines)


def diagnostics_payload(code: DiagnosticsCode, script_name: str, message: str, log: str) -> str:
    """Return the diagnostics as JSON text of at most `PAYLOAD_LIMIT` UTF-8 bytes.

    What does not fit is cut: the oldest lines of the log first, then the end of the message, then of the name.
    """
    script_name, message, log = _valid(script_name), _valid(message), _valid(log)
    room = PAYLOAD_LIMIT - _size(_encode(code, script_name, message, ""))
    if room >= 0:
        return _encode(code, script_name, message, _cut_log(log, room))
    message = _cut_text(message, PAYLOAD_LIMIT // 2)
    script_name = _cut_text(script_name, PAYLOAD_LIMIT - _size(_encode(code, "", message, "")))
    message_room = PAYLOAD_LIMIT - _size(_encode(code, script_name, "", ""))
    return _encode(code, script_name, _cut_text(message, message_room), "")


def success_payload(note: str = "") -> str:
    """Return the diagnostics of a lifecycle event that succeeded."""
    return diagnostics_payload(DiagnosticsCode.SUCCESS, "", f"{SUCCEEDED}{note}", "")


def _encode(code: DiagnosticsCode, script_name: str, message: str, log: str) -> str:
    payload = {"error_code": int(code), "script_name": script_name, "message": message, "log": log}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _cut_log(log: str, room: int) -> str:
    """Return the newest whole lines of `log` that take up at most `room`; the end of one line when none fits."""
    if len(log) <= room and _cost(log) <= room:
        return log
    kept = _suffix(log, room)
    if log[: len(log) - len(kept)].endswith("\n"):
        return kept
    return kept[kept.find("\n") + 1 :] or kept


def _suffix(text: str, room: int) -> str:
    start = len(text)
    while start > 0:
        room -= _cost(text[start - 1])
        if room < 0:
            break
        start -= 1
    return text[start:]


def _cut_text(text: str, room: int) -> str:
    """Return the beginning of `text` that takes up at most `room`, with a sign that it was cut."""
    if len(text) <= room and _cost(text) <= room:
        return text
    room -= _size(_ELLIPSIS)
    end = 0
    while end < len(text) and room >= (cost := _cost(text[end])):
        room -= cost
        end += 1
    return text[:end] + _ELLIPSIS if room >= 0 else ""


def _cost(text: str) -> int:
    """Return how many bytes `text` takes up inside a JSON string."""
    return _size(json.dumps(text, ensure_ascii=False)) - 2


def _size(text: str) -> int:
    return len(text.encode())


def _end_of(text: str, limit_bytes: int) -> str:
    return text.encode()[-limit_bytes:].decode(errors="ignore")


def _valid(text: str) -> str:
    """Return `text` with what UTF-8 cannot carry (lone surrogates, from undecodable file names) spelt out."""
    return text.encode(errors="backslashreplace").decode()
