"""The `range` of a `context`: SELinux sensitivities and categories, checked and put into canonical form."""

import re

from agent.core.appspec.nodes import shown
from agent.errors import AppSpecError

_SENSITIVITY = re.compile(r"s([0-9]+)")
_CATEGORY = re.compile(r"c0*([0-9]{1,4})")
_MAX_CATEGORY = 1023
_HINT = "write a range like s0, s0-s3 or s0-s0:c0.c15,c20"


def parse_range(text: str) -> str:
    """Return the range in canonical form: equal sensitivities once, categories sorted and runs as `c0.c3`.

    Raises:
        AppSpecError: not a range.
    """
    levels, colon, categories = text.partition(":")
    level_text = _levels(text, levels)
    if not colon:
        return level_text
    if not categories:
        raise _wrong(text, "nothing stands behind the colon")
    items = categories.rstrip(",")
    numbers = sorted(_categories(text, items)) if items else []
    return f"{level_text}:{_runs(numbers)}" if numbers else level_text


def _levels(text: str, levels: str) -> str:
    low_text, dash, high_text = levels.partition("-")
    if not low_text or (dash and not high_text):
        raise _wrong(text, "a sensitivity is missing")
    low = _sensitivity(text, low_text)
    high = _sensitivity(text, high_text) if dash else low
    if (len(high), high) < (len(low), low):  # no leading zeros, so the longer one is the greater
        raise _wrong(text, f"sensitivity s{high} is below s{low}")
    return f"s{low}" if low == high else f"s{low}-s{high}"


def _sensitivity(text: str, part: str) -> str:
    found = _SENSITIVITY.fullmatch(part)
    if not found:
        raise _wrong(text, f"{shown(part)} is not a sensitivity (s and a number)")
    return found[1].lstrip("0") or "0"


def _categories(text: str, items: str) -> set[int]:
    seen: set[int] = set()
    for item in items.split(","):
        low_text, dot, high_text = item.partition(".")
        if dot and not (low_text and high_text):
            raise _wrong(text, f"a category is missing in {shown(item)}")
        low = _category(text, low_text)
        high = _category(text, high_text) if dot else low
        if high < low:
            raise _wrong(text, f"category c{high} is below c{low}")
        numbers = set(range(low, high + 1))
        if seen & numbers:
            raise _wrong(text, f"category c{min(seen & numbers)} stands there twice")
        seen |= numbers
    return seen


def _category(text: str, part: str) -> int:
    found = _CATEGORY.fullmatch(part)
    if not found or int(found[1]) > _MAX_CATEGORY:
        raise _wrong(text, f"{shown(part)} is not a category (c and a number, 0 to {_MAX_CATEGORY})")
    return int(found[1])


def _runs(numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ",".join(".".join(f"c{number}" for number in run) for run in runs)


def _wrong(text: str, why: str) -> AppSpecError:
    return AppSpecError(f"{shown(text)} is not a SELinux range: {why}", hint=_HINT)
