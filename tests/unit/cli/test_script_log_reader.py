from contextlib import closing
from pathlib import Path

import pytest

from agent.cli.script_log_reader import ScriptLogReader


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "scripts.log"


def rotate(log: Path) -> None:
    files = [log, *(log.with_name(f"{log.name}.{number}") for number in range(1, 9))]
    for older, newer in zip(reversed(files), list(reversed(files))[1:], strict=False):
        if newer.exists():
            newer.rename(older)


def new_text(reader: ScriptLogReader) -> str:
    return b"".join(reader.read_new()).decode()


def test_rotated_files_are_read_oldest_first(log: Path) -> None:
    for text in ("one\n", "two\n", "three\n"):
        rotate(log)
        log.write_text(text)
    with closing(ScriptLogReader(log)) as reader:
        assert new_text(reader) == "one\ntwo\nthree\n"


def test_only_what_is_new_is_read_again(log: Path) -> None:
    log.write_text("one\n")
    with closing(ScriptLogReader(log)) as reader:
        assert new_text(reader) == "one\n"
        assert new_text(reader) == ""
        with log.open("a") as file:
            file.write("two\n")
        assert new_text(reader) == "two\n"


def test_nothing_is_lost_or_read_twice_across_several_rotations(log: Path) -> None:
    log.write_text("one\n")
    with closing(ScriptLogReader(log)) as reader:
        assert new_text(reader) == "one\n"
        with log.open("a") as file:
            file.write("end of one\n")
        for text in ("two\n", "three\n", "four\n"):
            rotate(log)
            log.write_text(text)
        assert new_text(reader) == "end of one\ntwo\nthree\nfour\n"
        assert new_text(reader) == ""


def test_a_log_that_is_not_there_yet_is_waited_for(log: Path) -> None:
    with closing(ScriptLogReader(log)) as reader:
        assert new_text(reader) == ""
        log.write_text("one\n")
        assert new_text(reader) == "one\n"
