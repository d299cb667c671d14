"""Format and bounds of the script logs."""

import re
import time
from pathlib import Path

from agent.host.script_log import LogLimits, RotatingLog, ScriptLog

NOON = time.mktime((2026, 3, 1, 12, 0, 0, 0, 0, -1)) + 0.25


def test_every_line_gets_the_local_time_and_its_stream(tmp_path: Path) -> None:
    log = ScriptLog(tmp_path / "logs" / "scripts.log", "d-1", clock=lambda: NOON)
    log.write("", "LifecycleEvent - AfterInstall\n")
    log.write("[stdout]", "one\n\ntwo\n")
    log.close()
    assert (tmp_path / "logs" / "scripts.log").read_text() == (
        "2026-03-01 12:00:00 LifecycleEvent - AfterInstall\n"
        "2026-03-01 12:00:00 [stdout]one\n"
        "2026-03-01 12:00:00 [stdout]\n"
        "2026-03-01 12:00:00 [stdout]two\n"
    )


def test_the_deployments_log_names_the_deployment(tmp_path: Path) -> None:
    log = ScriptLog(tmp_path / "s.log", "d-1", deployments_log=tmp_path / "all" / "d.log", clock=lambda: NOON)
    log.write("[stderr]", "oops\n")
    log.close()
    assert (tmp_path / "all" / "d.log").read_text() == "[2026-03-01 12:00:00.250] [d-1][stderr]oops\n"


def test_a_full_log_is_rotated_and_the_oldest_dropped(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "log", LogLimits(max_bytes=10, files=3))
    for number in range(6):
        log.write(b"line %d\n" % number)
    log.close()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "log": "line 5\n",
        "log.1": "line 4\n",
        "log.2": "line 3\n",
    }


def test_a_single_file_starts_afresh(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "log", LogLimits(max_bytes=10, files=1))
    for number in range(3):
        log.write(b"line %d\n" % number)
    log.close()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["line 2\n"]


def test_two_writers_rotate_once(tmp_path: Path) -> None:
    limits = LogLimits(max_bytes=20, files=8)
    first, second = RotatingLog(tmp_path / "log", limits), RotatingLog(tmp_path / "log", limits)
    for number in range(8):
        (first if number % 2 else second).write(b"line %d\n" % number)
    first.close()
    second.close()
    lines = "".join(path.read_text() for path in sorted(tmp_path.iterdir(), reverse=True))
    assert sorted(re.findall(r"line \d", lines)) == [f"line {number}" for number in range(8)]
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 20


def test_a_log_that_cannot_be_written_is_reported_once_and_the_other_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = ScriptLog(tmp_path / "file" / "scripts.log", "d-1", deployments_log=tmp_path / "all.log")
    log.write("", "one\n")
    log.write("", "two\n")
    assert list(log.take_problems()) == [f"{tmp_path}/file/scripts.log: script output is no longer logged: File exists"]
    assert list(log.take_problems()) == []
    log.close()
    assert (tmp_path / "all.log").read_text().count("\n") == 2


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "s.log").symlink_to(tmp_path / "victim")
    log = ScriptLog(tmp_path / "s.log", "d-1")
    log.write("", "x\n")
    assert len(list(log.take_problems())) == 1
    assert (tmp_path / "victim").read_text() == "precious"
