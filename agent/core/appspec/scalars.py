"""What a plain YAML scalar means to the official agent: YAML 1.1 as Ruby's loader reads it (docs/appspec.md, "YAML").

Works on one scalar's text. Not followed on purpose: commas inside numbers, which stay text here.
"""

import re

from agent.core.appspec.nodes import ScalarValue, Symbol

_NULL = re.compile(r"~|null|", re.IGNORECASE)
_TRUE = re.compile(r"yes|true|on", re.IGNORECASE)
_FALSE = re.compile(r"no|false|off", re.IGNORECASE)
_INFINITY = re.compile(r"([-+]?)\.inf", re.IGNORECASE)
_NAN = re.compile(r"\.nan", re.IGNORECASE)
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*)?\.[0-9]*(?:[eE][-+][0-9]+)?")
_OCTAL = re.compile(r"([-+]?)0_*([0-7_]+)")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9](?:_?[0-9])*)")
_BINARY = re.compile(r"([-+]?)0b([01_]+)")
_HEXADECIMAL = re.compile(r"([-+]?)0x([0-9a-fA-F_]+)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}(?:\.[0-9_]*)?")
_SYMBOL = re.compile(r""":(?:"(.*)"|'(.*)'|(.+))""", re.DOTALL)
_DATE = re.compile(r"[0-9]{4}-(?:1[012]|0?[0-9])-(?:[12][0-9]|3[01]|0?[0-9])")
_TIME = re.compile(
    r"-?[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|\s+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
    r"(?:\s*(?:Z|[-+][0-9]{1,2}:?(?:[0-9]{2})?))?"
)

_LONGEST_NUMBER = 100
"""Longer digits stay text: turning thousands of digits into a number takes quadratic time and means nothing here."""


def resolve_plain(text: str) -> ScalarValue:
    """Return the value of an unquoted, untagged scalar. Dates stay text; ask `is_date` first."""
    if not text or (text[0] in "~nN" and _NULL.fullmatch(text)):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if text[0] == ":":
        return _symbol(text)
    if text[0] in "+-.0123456789" and len(text) <= _LONGEST_NUMBER:
        return _number(text)
    return text


def is_date(text: str) -> bool:
    """True for an unquoted text that YAML 1.1 takes for a date or a point in time."""
    if not (text[:1] == "-" or text[:1].isdigit()) or len(text) > _LONGEST_NUMBER:
        return False
    return bool(_DATE.fullmatch(text) or _TIME.fullmatch(text))


def is_octal(text: str) -> bool:
    """True for an unquoted number that begins with a zero and therefore counts in eights."""
    return bool(_OCTAL.fullmatch(text))


def is_sexagesimal(text: str) -> bool:
    """True for an unquoted number with colons, which counts in sixties."""
    return bool(_SEXAGESIMAL.fullmatch(text))


def number_text(value: float | bool) -> str:
    """Return a number or boolean as the official agent writes it when it needs text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value in {float("inf"), float("-inf")}:
        return "Infinity" if value > 0 else "-Infinity"
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else f"{mantissa}{e}{exponent}"


def _symbol(text: str) -> ScalarValue:
    found = _SYMBOL.fullmatch(text)
    if not found:
        return text
    return Symbol(next(part for part in found.groups() if part is not None))


def _number(text: str) -> ScalarValue:
    if _DECIMAL.fullmatch(text):
        return int(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return text if text.lstrip("+-") == "." else _float(text)
    if _SEXAGESIMAL.fullmatch(text):
        return _in_sixties(text)
    if found := _INFINITY.fullmatch(text):
        return float(f"{found[1]}inf")
    if _NAN.fullmatch(text):
        return float("nan")
    for pattern, base in ((_OCTAL, 8), (_HEXADECIMAL, 16), (_BINARY, 2)):
        if found := pattern.fullmatch(text):
            return int(found[1] + (found[2].replace("_", "") or "0"), base)
    return text


def _float(text: str) -> float:
    digits = text.replace("_", "")
    return float(digits if re.search(r"[0-9]\.|\.[0-9]", digits) else digits.replace(".", "0."))


def _in_sixties(text: str) -> float:
    """Weigh the parts 3600, 60, 1 from the left, also when there are only two: `1:30` is 5400 to the official agent."""
    parts = text.replace("_", "").split(":")
    weighed = zip(parts, (3600, 60, 1), strict=False)
    if "." in parts[-1]:
        return sum(float(part) * weight for part, weight in weighed)
    return sum(int(part) * weight for part, weight in weighed)
