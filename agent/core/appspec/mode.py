"""The `mode` of a `permissions` entry: from what was written to permission bits. Applies nothing."""

from agent.core.appspec.nodes import Scalar, Symbol, shown
from agent.core.appspec.scalars import is_octal, number_text
from agent.errors import AppSpecError

_MAX_MODE = 0o7777
_OCTAL_DIGITS = "01234567"
_HINT = 'write three or four octal digits in quotes, as in mode: "0644"'


def parse_mode(node: Scalar) -> int:
    """Return the permission bits that `node` means, special bits included.

    An unquoted number with a leading zero means the octal digits written. The official agent first turns it into
    decimal digits and takes those for the mode: `official_mode_text` says what comes out.

    Raises:
        AppSpecError: not a mode.
    """
    if node.plain and is_octal(node.raw) and isinstance(node.value, int):
        if not 0 <= node.value <= _MAX_MODE:
            raise AppSpecError(f"{shown(node.raw)} is not a mode: it must be 0 to 7777 in octal digits", hint=_HINT)
        return node.value
    text = official_mode_text(node)
    _check(text)
    return int(text, 8)


def official_mode_text(node: Scalar) -> str:
    """Return the digits that the official agent takes `node` for, at least three."""
    value = node.value
    if isinstance(value, Symbol):
        text = value.name
    elif isinstance(value, str):
        text = value
    else:
        text = "" if value is None else number_text(value)
    return text.rjust(3, "0")


def is_official_mode(text: str) -> bool:
    """True when the official agent accepts these digits."""
    try:
        _check(text)
    except AppSpecError:
        return False
    return True


def _check(text: str) -> None:
    if len(text) > 4:
        hint = _HINT
        if text.startswith("0o") and text[2:].isdigit():
            hint = f'YAML 1.1 does not know 0o: write mode: "0{text[2:]}"'
        raise AppSpecError(f"{shown(text)} is not a mode: it has more than four digits", hint=hint)
    wrong = next((character for character in text if character not in _OCTAL_DIGITS), None)
    if wrong is not None:
        raise AppSpecError(f"{shown(text)} is not a mode: {wrong!r} is not an octal digit", hint=_HINT)
