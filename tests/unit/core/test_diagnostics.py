"""The diagnostics text and the tail of the script log in it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.diagnostics import (
    PAYLOAD_LIMIT,
    TAIL_LIMIT_BYTES,
    LogTail,
    diagnostics_payload,
    success_payload,
)
from agent.errors import DiagnosticsCode

ANY_TEXT = st.text(alphabet=st.characters(), max_size=300)


def parse(payload: str) -> dict[str, object]:
    assert len(payload.encode()) <= PAYLOAD_LIMIT
    parsed = json.loads(payload)
    assert set(parsed) == {"error_code", "script_name", "message", "log"}
    assert isinstance(parsed, dict)
    return parsed


def test_the_payload_has_exactly_the_four_keys_and_a_number_as_code() -> None:
    payload = diagnostics_payload(DiagnosticsCode.SCRIPT_FAILED, "scripts/start.sh", "it failed", "[stderr]oops\n")
    assert parse(payload) == {
        "error_code": 4,
        "script_name": "scripts/start.sh",
        "message": "it failed",
        "log": "[stderr]oops\n",
    }


def test_success_says_succeeded_with_a_note_behind_it() -> None:
    assert parse(success_payload("CompletedNoopCommand")) == {
        "error_code": 0,
        "script_name": "",
        "message": "Succeeded: CompletedNoopCommand",
        "log": "",
    }


def test_the_oldest_lines_of_the_log_go_first_when_the_payload_is_too_long() -> None:
    log = "".join(f"[stdout]line {number}\n" for number in range(2000))
    parsed = parse(diagnostics_payload(DiagnosticsCode.SCRIPT_FAILED, "s", "the message", log))
    assert parsed["message"] == "the message"
    kept = str(parsed["log"]).splitlines()
    assert kept[-1] == "[stdout]line 1999"
    assert kept[0].startswith("[stdout]line ")
    assert len(kept) > 300


def test_one_log_line_that_is_too_long_keeps_its_end() -> None:
    parsed = parse(diagnostics_payload(DiagnosticsCode.SCRIPT_FAILED, "s", "m", "x" * 20_000 + "the end\n"))
    assert str(parsed["log"]).endswith("xthe end\n")


def test_a_message_that_is_too_long_is_cut_at_its_end_after_the_log_is_gone() -> None:
    parsed = parse(diagnostics_payload(DiagnosticsCode.UNKNOWN_ERROR, "s", "start " + "y" * 20_000, "log\n"))
    assert parsed["log"] == ""
    assert str(parsed["message"]).startswith("start y")
    assert str(parsed["message"]).endswith("…")


@pytest.mark.parametrize("character", ["\x00", '"', "\\", "ä", "\U0001f600", "\n", "\udcff", "\ud800"])
def test_the_limit_holds_after_escaping(character: str) -> None:
    text = character * 9000
    parse(diagnostics_payload(DiagnosticsCode.SCRIPT_FAILED, text, text, text))


@settings(deadline=None, max_examples=60)
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, st.sampled_from([1, 20, 60]))
def test_any_text_gives_a_valid_payload_within_the_limit(script: str, message: str, log: str, times: int) -> None:
    payload = diagnostics_payload(DiagnosticsCode.SCRIPT_FAILED, script, message * times, log * times)
    parse(payload.encode().decode())


def test_the_tail_keeps_the_newest_whole_lines() -> None:
    tail = LogTail(limit_bytes=20)
    tail.add("[stdout]", "one\ntwo\nthree\n")
    assert tail.text() == "[stdout]three\n"
    tail.add("", "x\n")
    assert tail.text() == "[stdout]three\nx\n"


def test_the_tail_of_one_long_line_is_its_end() -> None:
    tail = LogTail()
    tail.add("[stdout]", "short\n")
    tail.add("[stdout]", "a" * 100_000 + "the end\n")
    assert tail.text().endswith("athe end\n")
    assert len(tail.text().encode()) == TAIL_LIMIT_BYTES


def test_an_empty_line_is_an_entry() -> None:
    tail = LogTail()
    tail.add("[stdout]", "\n")
    assert tail.text() == "[stdout]\n"


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["", "[stdout]"]), ANY_TEXT), min_size=1), st.integers(2, 200))
def test_the_tail_is_bounded_and_never_empty_after_output(entries: list[tuple[str, str]], limit: int) -> None:
    tail = LogTail(limit)
    for tag, text in entries:
        tail.add(tag, text.encode(errors="replace").decode() + "\n")
    assert 0 < len(tail.text().encode()) <= limit


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(alphabet="aä\n", max_size=50), min_size=1, max_size=10), st.integers(2, 60))
def test_the_tail_does_not_depend_on_how_lines_were_grouped(blocks: list[str], limit: int) -> None:
    grouped, single = LogTail(limit), LogTail(limit)
    for block in blocks:
        grouped.add("[t]", block + "\n")
        for line in block.split("\n"):
            single.add("[t]", line + "\n")
    assert grouped.text() == single.text()
