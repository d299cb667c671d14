"""What plain YAML scalars mean: YAML 1.1 as the official agent's loader reads it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.appspec.nodes import Symbol
from agent.core.appspec.scalars import is_date, number_text, resolve_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("NULL", None), ("nul", "nul"), ("~x", "~x"),
        ("yes", True), ("On", True), ("tRUE", True), ("y", "y"), ("no", False), ("OFF", False), ("n", "n"),
        ("0", 0), ("-0", 0), ("12", 12), ("+12", 12), ("1_000", 1000), ("1__0", "1__0"), ("1_", "1_"),
        ("1,800", "1,800"),
        ("0644", 420), ("-017", -15), ("0_7", 7), ("08", "08"), ("0o644", "0o644"), ("00", 0), ("0_", 0),
        ("0x1F", 31), ("-0x10", -16), ("0X10", "0X10"), ("0b101", 5), ("0x_", 0),
        ("0.0", 0.0), (".0", 0.0), ("0.", 0.0), ("-.5", -0.5), ("1.5e+3", 1500.0), ("1e3", "1e3"), ("0.0e0", "0.0e0"),
        (".", "."), ("+.", "+."), ("1_0.5", 10.5), (".inf", math.inf), ("-.INF", -math.inf), ("1.2.3", "1.2.3"),
        ("1:30", 5400), ("1:02:03", 3723), ("-1:30", -1800), ("1:30.5", 5430.0), ("1:60", "1:60"),
        ("1:2:3:4", "1:2:3:4"),
        (":sym", Symbol("sym")), (':"a b"', Symbol("a b")), (":", ":"), ("=", "="), ("<<", "<<"), ("a:b", "a:b"),
        ("9" * 200, "9" * 200),
    ],
)  # fmt: skip
def test_a_plain_scalar_means(text: str, value: object) -> None:
    found = resolve_plain(text)
    assert (found, type(found)) == (value, type(value))


def test_nan_is_a_number() -> None:
    found = resolve_plain(".NaN")
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-01", True), ("2024-1-1", True), ("2024-13-01", False), ("2024-01-01 10:00:00", True),
        ("2024-01-01T10:00:00.5Z", True), ("2024-01-01t10:00:00 +01:00", True), ("2024-01", False), ("20240101", False),
        ("2024-01-01x", False),
    ],
)  # fmt: skip
def test_dates_are_recognised(text: str, expected: bool) -> None:
    assert is_date(text) is expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12, "12"), (True, "true"), (False, "false"), (0.5, "0.5"), (30.0, "30.0"), (1e20, "1.0e+20"),
        (1.5e-7, "1.5e-07"),
        (math.inf, "Infinity"), (-math.inf, "-Infinity"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_the_official_agent_does(value: float, text: str) -> None:
    assert number_text(value) == text


@settings(deadline=None, max_examples=500)
@given(text=st.text("0123456789_.:+-eExXbBinf~", max_size=12))
def test_any_scalar_has_a_meaning(text: str) -> None:
    resolve_plain(text)
    is_date(text)
