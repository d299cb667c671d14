"""The truth table of `pattern` and `except` (docs/appspec.md), and what no pattern may do."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.appspec.pattern import Matcher

TRUTH_TABLE = [
    ("**", b"/a/b/c", True),
    ("**", b"/a", False),
    ("**", b"/ab", False),
    ("*", b"/a/b", True),
    ("*", b"/a/.hid", True),
    ("*", b"/a/b/c", False),
    ("*.sh", b"/a/x.sh.bak", False),
    ("?", b"/a/x", False),
    ("[x]", b"/a/x", False),
    ("b/c", b"/a/b/c", False),
    ("a*b*c", b"/a/aXbYc", True),
    ("**c", b"/a/bc", True),
    ("**/c", b"/a/c", False),
    ("b", b"/a/b/", True),
    ("X*", b"/a/x", False),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), TRUTH_TABLE)
def test_truth_table(pattern: str, path: bytes, expected: bool) -> None:
    assert Matcher(b"/a", pattern)(path) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("", b"/a/b", False),
        ("***", b"/a/b", True),
        ("***", b"/a/b/c", False),
        ("ab*ba", b"/a/aba", False),
        ("ab*ba", b"/a/abba", True),
        ("a*b*b", b"/a/ab", False),
        ("*.sh", b"/a/.sh", True),
        ("*.sh", b"/a/\xff\n.sh", True),
        ("é*", "/a/école".encode(), True),
        ("x\\*", b"/a/x\\y", True),
        ("**", b"/a/", False),
        ("*", b"/a/", False),
    ],
)
def test_rules_around_the_table(pattern: str, path: bytes, expected: bool) -> None:
    assert Matcher(b"/a", pattern)(path) is expected


def test_except_takes_out_names_of_the_first_level() -> None:
    means = Matcher(b"/a", "**", ("*.log", "b"))
    assert [means(path) for path in (b"/a/x.log", b"/a/b", b"/a/c")] == [False, False, True]


def test_except_never_reaches_deeper() -> None:
    means = Matcher(b"/a", "**", ("*.log", "sub/x.log", "/a/sub/x.log"))
    assert means(b"/a/sub/x.log")


def test_two_stars_as_except_take_out_the_first_level_only() -> None:
    means = Matcher(b"/a", "**", ("**",))
    assert [means(path) for path in (b"/a/b", b"/a/b/c")] == [False, True]


def test_an_object_is_normalised() -> None:
    assert Matcher(b"/x/../a/./b/", "*")(b"/a/b/c")


def test_the_root_may_be_an_object() -> None:
    assert Matcher(b"/", "*")(b"/a")
    assert not Matcher(b"/", "*")(b"/")


def test_an_object_with_two_leading_slashes_means_nothing() -> None:
    assert not Matcher(b"//a")(b"/a/b")


def test_a_pattern_that_makes_the_official_agent_hang_is_answered_at_once() -> None:
    assert not Matcher(b"/a", "*a" * 2_000 + "b")(b"/a/" + b"a" * 100_000)


@settings(deadline=None, max_examples=300)
@given(pattern=st.text("ab*.", max_size=8), name=st.text("ab.", min_size=1, max_size=10))
def test_agrees_with_a_regular_expression(pattern: str, name: str) -> None:
    expected = re.fullmatch("".join(".*" if c == "*" else re.escape(c) for c in pattern), name) is not None
    assert Matcher(b"/o", pattern)(b"/o/" + name.encode()) is (expected or pattern == "**")
