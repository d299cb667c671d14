from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.safe_text import printable, printable_line, printable_path


def test_plain_text_stays_as_it_is() -> None:
    assert printable("grüße, 世界 ✓") == "grüße, 世界 ✓"


def test_control_characters_become_escapes() -> None:
    assert printable("a\x1b[31m\n\x00") == r"a\x1b[31m\n\x00"


def test_bytes_that_are_no_utf8_are_shown_in_hexadecimal() -> None:
    assert printable_path(b"/a/\xff\xc3\xa4") == r"/a/\xffä"


def test_characters_that_turn_text_round_are_escaped() -> None:
    assert printable("a\u202eb") == r"a\u202eb"


def test_colours_are_left_out_of_a_line_and_tabs_kept() -> None:
    assert printable_line("\x1b[1;31mred\x1b[0m\tplain\r") == "red\tplain"


def test_titles_and_links_are_left_out_of_a_line() -> None:
    assert printable_line("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b") == "ab"


def test_of_a_line_that_overwrites_itself_the_last_state_is_shown() -> None:
    assert printable_line("10 %\r50 %\r100 %") == "100 %"


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet=st.characters()))
def test_nothing_a_terminal_could_act_on_is_left(text: str) -> None:
    assert printable(text).isprintable()
    assert printable_line(text).replace("\t", "").isprintable()


@settings(deadline=None, max_examples=200)
@given(st.binary())
def test_any_file_name_can_be_encoded(name: bytes) -> None:
    printable_path(name).encode("utf-8")
