"""Bytes of a script become whole lines of clean text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.script_output import LINE_LIMIT_BYTES, LineSplitter


def split(*chunks: bytes) -> str:
    splitter = LineSplitter()
    return "".join(map(splitter.feed, chunks)) + splitter.flush()


def test_a_line_is_held_back_until_it_is_whole() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"one\ntw") == "one\n"
    assert splitter.feed(b"o") == ""
    assert splitter.feed(b"\nthree") == "two\n"
    assert splitter.flush() == "three\n"
    assert splitter.flush() == ""


def test_an_endless_line_is_cut() -> None:
    lines = split(*[b"x" * LINE_LIMIT_BYTES] * 3, b"end").split("\n")
    assert max(map(len, lines)) <= LINE_LIMIT_BYTES
    assert "".join(lines) == "x" * 3 * LINE_LIMIT_BYTES + "end"


def test_a_long_line_followed_by_others_is_cut() -> None:
    lines = split(b"x" * (LINE_LIMIT_BYTES - 1), b"yyy\nshort\n").split("\n")
    assert [len(line) for line in lines] == [LINE_LIMIT_BYTES, 2, 5, 0]


def test_a_cut_does_not_split_a_character() -> None:
    text = "a" + "ä" * LINE_LIMIT_BYTES
    data = text.encode()
    chunks = [data[at : at + LINE_LIMIT_BYTES] for at in range(0, len(data), LINE_LIMIT_BYTES)]
    assert split(*chunks).replace("\n", "") == text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (b"\x1b[1;31mred\x1b[0m\n", "red\n"),
        (b"\x1b]0;a title\x07text\n", "text\n"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n", "link\n"),
        (b"\x1b(Bplain\x1b[2K\n", "plain\n"),
        (b"windows\r\n", "windows\n"),
        (b"10%\r20%\n", "10%\r20%\n"),
        (b"nul\0here\n", "nul?here\n"),
        (b"latin \xe9\n", "latin \ufffd\n"),
        ("snow ☃\n".encode(), "snow ☃\n"),
    ],
)
def test_lines_are_cleaned(raw: bytes, clean: str) -> None:
    assert split(raw) == clean


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=200), max_size=20))
def test_chunk_borders_do_not_matter(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    assert split(*chunks) == split(whole)


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet=st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=100))
def test_clean_text_passes_unchanged(text: str) -> None:
    assert split(text.encode() + b"\n") == text + "\n"
