"""One hook script as a real child: how it is started, watched and judged, and what becomes of its output."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.errors import (
    HookCancelledError,
    HookFailedError,
    HookMissingError,
    HookNotExecutableError,
    HookOutputOpenError,
    HookTimeoutError,
)
from agent.host.process_table import read_entry
from agent.host.script import Observer, ScriptRequest, ScriptResult, run_script
from agent.host.users import find_user

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
LIMIT_S = 10.0


@dataclass
class Seen:
    """What the observer was told."""

    blocks: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    exit_codes: list[int | None] = field(default_factory=list)

    def output(self, stream: str = "stdout") -> str:
        return "".join(lines for name, lines in self.blocks if name == stream)

    def observer(self) -> Observer:
        return Observer(
            started=self.pids.append,
            output=lambda stream, lines: self.blocks.append((stream, lines)),
            warned=lambda message, hint: self.warnings.append(f"{message} | {hint}"),
            ended=lambda exit_code, _: self.exit_codes.append(exit_code),
        )


@dataclass
class Runner:
    """Runs one script text, by default named `run.sh`."""

    archive: Path
    seen: Seen = field(default_factory=Seen)
    stop: threading.Event = field(default_factory=threading.Event)
    request: ScriptRequest = field(init=False)

    def __post_init__(self) -> None:
        env = {"PATH": os.environ["PATH"]}
        self.request = ScriptRequest(
            location="run.sh", archive=self.archive, env=env, timeout_s=LIMIT_S, grace_s=0.2, drain_s=0.1
        )

    def write(self, text: str | bytes, *, mode: int = 0o755, name: str = "run.sh") -> Path:
        path = self.archive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        self.request = replace(self.request, location=name)
        return path

    def __call__(self, text: str | bytes, **changes: object) -> ScriptResult:
        self.write(text)
        return self.run(**changes)

    def run(self, **changes: object) -> ScriptResult:
        request = replace(self.request, **changes)  # type: ignore[arg-type]  # tests name fields of the request
        return run_script(request, self.seen.observer(), self.stop)


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    archive = tmp_path / "archive"
    archive.mkdir()
    return Runner(archive)


def sh(body: str) -> str:
    return f"#!/bin/sh\n{body}\n"


def is_running(pid: int) -> bool:
    entry = read_entry(pid)
    return entry is not None and not entry.is_dead


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def left_over(run: Runner) -> Iterator[Callable[[], int]]:
    """Return the pid that a script wrote to `pid` for something it left running; ended afterwards."""

    def pid() -> int:
        file = run.archive / "pid"
        wait_for(lambda: file.exists() and file.read_text().endswith("\n"))
        return int(file.read_text())

    yield pid
    if (run.archive / "pid").exists() and is_running(pid()):
        os.kill(pid(), signal.SIGKILL)
        wait_for(lambda: not is_running(pid()))


# Starting


def test_a_script_runs_in_the_archive_under_its_full_name(run: Runner) -> None:
    assert run(sh("pwd; echo $0 $#")).exit_code == 0
    assert run.seen.output() == f"{run.archive}\n{run.archive}/run.sh 0\n"
    assert len(run.seen.pids) == 1
    assert run.seen.exit_codes == [0]


@pytest.mark.parametrize(
    "name", ["with space.sh", "quote'\".sh", "new\nline.sh", "$(touch owned).sh", "-dash.sh", "ü.sh"]
)
def test_a_name_is_one_argument(run: Runner, name: str) -> None:
    run.write(sh("echo ran"), name=f"sub dir/{name}")
    run.run()
    assert run.seen.output() == "ran\n"
    assert not (run.archive / "owned").exists()


def test_a_leading_slash_counts_from_the_archive(run: Runner) -> None:
    run.write(sh("echo ran"))
    run.run(location="//run.sh")
    assert run.seen.output() == "ran\n"


@ROOT_ONLY
@pytest.mark.parametrize("name", ["nobody", "www-data"])
def test_a_user_without_a_login_shell_runs_a_script(run: Runner, name: str) -> None:
    user = find_user(name)
    run(sh("id -un; id -g; echo oops > /dev/stderr"), user=user)
    assert run.seen.output() == f"{name}\n{user.gid}\n"
    assert run.seen.output("stderr") == "oops\n"


@ROOT_ONLY
def test_a_script_that_its_user_may_not_execute_is_explained(run: Runner) -> None:
    run.write(sh("true"), mode=0o700)
    with pytest.raises(HookFailedError, match=f"run.sh: user 'nobody' may not execute {run.archive}/run.sh") as caught:
        run.run(user=find_user("nobody"))
    assert "noexec" in caught.value.hint


def test_a_script_without_a_first_line_runs_in_the_shell(run: Runner) -> None:
    run("echo shell $0\n")
    assert run.seen.output() == f"shell {run.archive}/run.sh\n"


def test_an_empty_script_succeeds(run: Runner) -> None:
    assert run("").exit_code == 0


def test_a_missing_execute_bit_is_added_and_said(run: Runner) -> None:
    path = run.write(sh("echo ran"), mode=0o640)
    run.run()
    assert path.stat().st_mode & 0o777 == 0o751
    assert run.seen.warnings == ["run.sh: had no execute bit; added | chmod +x run.sh before bundling it"]


def test_an_execute_bit_that_cannot_be_added_is_code_two(run: Runner) -> None:
    path = run.write(sh("true"), mode=0o644)
    try:
        subprocess.run(["chattr", "+i", str(path)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root and a file system with immutable files")
    try:
        with pytest.raises(HookNotExecutableError, match="has no execute bit and none could be added") as caught:
            run.run()
        assert "chmod +x" in caught.value.hint
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def test_a_missing_script_is_code_one(run: Runner) -> None:
    with pytest.raises(HookMissingError, match=r"no\.sh: no such script in the bundle") as caught:
        run.run(location="no.sh")
    assert caught.value.script == "no.sh"
    assert "bundle's root" in caught.value.hint
    assert run.seen.pids == []


@pytest.mark.parametrize("location", ["../outside.sh", "a/../../outside.sh", "link.sh", "folder/outside.sh"])
def test_a_script_outside_the_archive_is_refused(run: Runner, location: str) -> None:
    outside = run.archive.parent / "outside.sh"
    outside.write_text(sh("true"))
    (run.archive / "a").mkdir()
    (run.archive / "link.sh").symlink_to(outside)
    (run.archive / "folder").symlink_to(run.archive.parent)
    with pytest.raises(HookMissingError, match="leads out of the bundle"):
        run.run(location=location)


def test_dots_that_stay_inside_are_fine(run: Runner) -> None:
    run.write(sh("echo ran"), name="a/x.sh")
    run.run(location="a/../a/x.sh")
    assert run.seen.output() == "ran\n"


def test_a_folder_is_no_script(run: Runner) -> None:
    (run.archive / "d").mkdir()
    with pytest.raises(HookFailedError, match="d: is a directory"):
        run.run(location="d")


def test_a_fifo_is_no_script(run: Runner) -> None:
    os.mkfifo(run.archive / "f")
    with pytest.raises(HookFailedError, match="f: is not a regular file"):
        run.run(location="f")


def test_a_missing_interpreter_is_named(run: Runner) -> None:
    with pytest.raises(
        HookFailedError, match="its interpreter '/usr/bin/python0' .line 1. is not on this host"
    ) as caught:
        run("#!/usr/bin/python0 -x\n")
    assert caught.value.hint == "install /usr/bin/python0, or change the script's first line"
    assert caught.value.exit_code is None


@pytest.mark.parametrize("first", ["#!/bin/bash", "#! /usr/bin/env bash"])
def test_windows_line_ends_in_the_first_line_are_explained(run: Runner, first: str) -> None:
    with pytest.raises(
        HookFailedError, match="line 1 ends in CRLF .Windows line ends., so its interpreter would be"
    ) as e:
        run(f"{first}\r\necho hi\r\n")
    assert "sed -i" in e.value.hint


def test_windows_line_ends_elsewhere_are_hinted_at(run: Runner) -> None:
    with pytest.raises(HookFailedError) as caught:
        run("#!/bin/sh\nexit 3\r\n")
    assert "Windows line ends" in caught.value.hint


def test_a_binary_for_another_machine_is_explained(run: Runner) -> None:
    with pytest.raises(HookFailedError, match="is no program for this machine"):
        run(b"\x7fELF\0\0\0\0\0\0")


# Ending


def test_an_exit_code_fails_the_script(run: Runner) -> None:
    with pytest.raises(HookFailedError, match=r"run\.sh: failed with exit code 3") as caught:
        run(sh("echo before; exit 3"))
    assert caught.value.exit_code == 3
    assert run.seen.output() == "before\n"
    assert run.seen.exit_codes == [3]


def test_a_program_not_found_is_hinted_at(run: Runner) -> None:
    with pytest.raises(HookFailedError) as caught:
        run(sh("no-such-program-at-all"))
    assert caught.value.hint.startswith("127:")


def test_death_by_signal_is_named(run: Runner) -> None:
    with pytest.raises(HookFailedError, match=r"killed by signal 9 \(SIGKILL\)") as caught:
        run(sh("kill -9 $$"))
    assert caught.value.exit_code is None
    assert "memory" in caught.value.hint
    assert run.seen.exit_codes == [-9]


def test_a_timed_out_script_takes_its_children_along(run: Runner, left_over: Callable[[], int]) -> None:
    for_ever = "while :; do sleep 60; done"
    body = f"trap '' TERM; setsid -f sh -c 'echo $$ > pid; {for_ever}'; echo out; {for_ever}"
    with pytest.raises(HookTimeoutError, match=r"run\.sh: timed out after 0\.5 s$") as caught:
        run(sh(body), timeout_s=0.5)
    assert not is_running(left_over())
    assert "raise its timeout" in caught.value.hint
    assert run.seen.output() == "out\n"
    assert run.seen.warnings == []
    assert run.seen.exit_codes == [-9]


def test_what_a_script_says_while_it_is_ended_is_kept(run: Runner) -> None:
    body = "trap 'head -c 3000000 /dev/zero | tr \"\\0\" x; echo; echo bye; exit 0' TERM; while :; do sleep 0.02; done"
    with pytest.raises(HookTimeoutError):
        run(sh(body), timeout_s=0.3, grace_s=LIMIT_S)
    assert run.seen.output().endswith("x\nbye\n")


def test_stop_ends_a_script_and_its_children(run: Runner, left_over: Callable[[], int]) -> None:
    run.write(sh("setsid -f sh -c 'echo $$ > pid; exec sleep 60'; sleep 60"))

    def stop() -> None:
        left_over()
        run.stop.set()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(HookCancelledError, match=r"run\.sh: stopped by the operator"):
        run.run()
    stopper.join()
    assert not is_running(left_over())


def test_an_observer_that_fails_leaves_nothing_running(run: Runner, left_over: Callable[[], int]) -> None:
    run.write(
        sh("setsid -f sh -c 'echo $$ > pid; exec sleep 60'; while [ ! -s pid ]; do sleep 0.01; done; echo x; sleep 60")
    )

    def fail(stream: str, lines: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_script(run.request, replace(run.seen.observer(), output=fail), run.stop)
    assert not is_running(left_over())


# Output


def test_both_streams_arrive_and_the_last_line_gets_its_end(run: Runner) -> None:
    run(sh("printf 'one\\ntwo'; printf 'three\\nfour' >&2"))
    assert run.seen.output() == "one\ntwo\n"
    assert run.seen.output("stderr") == "three\nfour\n"


def test_three_hundred_thousand_lines_arrive(run: Runner) -> None:
    run(sh("seq 300000"))
    assert run.seen.output() == "".join(f"{number}\n" for number in range(1, 300_001))


def test_output_written_right_before_the_end_arrives(run: Runner) -> None:
    run(sh("exec head -c 900000 /dev/zero"), drain_s=0)
    assert run.seen.output().count("?") == 900_000


def test_binary_output_becomes_text_in_bounded_pieces(run: Runner) -> None:
    sizes: list[int] = []
    run.write(sh("exec head -c 20000000 /dev/urandom"))
    observer = replace(run.seen.observer(), output=lambda _, lines: sizes.append(len(lines)))
    run_script(run.request, observer, run.stop)
    assert sum(sizes) > 10_000_000
    assert max(sizes) <= 140_000


def test_an_endless_line_ends_with_the_time_limit(run: Runner) -> None:
    sizes: list[int] = []
    run.write(sh("yes | tr -d '\\n'"))
    observer = replace(run.seen.observer(), output=lambda _, lines: sizes.append(len(lines)))
    with pytest.raises(HookTimeoutError):
        run_script(replace(run.request, timeout_s=0.3), observer, run.stop)
    assert max(sizes) <= 140_000


def test_a_closed_output_is_no_reason_to_spin(run: Runner) -> None:
    before = time.process_time()
    run(sh("exec >/dev/null 2>&1; sleep 0.5"))
    assert time.process_time() - before < 0.25


DAEMON = (
    "sh -c 'echo $$ > pid; while [ ! -e go ]; do sleep 0.02; done; echo late; echo late; touch alive; exec sleep 60' &"
)


def test_output_held_open_is_a_warning_with_the_holders_name(run: Runner, left_over: Callable[[], int]) -> None:
    result = run(sh(f"{DAEMON} while [ ! -s pid ]; do sleep 0.01; done; echo started"))
    assert any(f"pid {left_over()} (sh -c echo" in holder for holder in result.held_open)
    assert "run.sh: ended, but its output is still held by pid " in run.seen.warnings[0]
    assert "> /var/log/program.log 2>&1 &" in run.seen.warnings[0]
    assert run.seen.output() == "started\n"


def test_a_daemon_that_holds_the_output_can_go_on_writing(run: Runner, left_over: Callable[[], int]) -> None:
    run(sh(DAEMON))
    (run.archive / "go").touch()
    wait_for((run.archive / "alive").exists)
    assert is_running(left_over())


def test_held_output_can_be_a_failure(run: Runner, left_over: Callable[[], int]) -> None:
    with pytest.raises(HookOutputOpenError, match="ended with exit code 0, but its output is still held by pid"):
        run(sh(DAEMON), output_open_is_failure=True)
    assert is_running(left_over())


def test_the_exit_code_decides_also_when_output_is_held(run: Runner, left_over: Callable[[], int]) -> None:
    with pytest.raises(HookFailedError, match="failed with exit code 5"):
        run(sh(f"{DAEMON} exit 5"), output_open_is_failure=True)
    assert is_running(left_over())


def test_an_endless_writer_left_behind_does_not_hold_us_up(run: Runner, left_over: Callable[[], int]) -> None:
    sizes: list[int] = []
    run.write(sh("sh -c 'echo $$ > pid; exec yes' & while [ ! -s pid ]; do sleep 0.01; done"))
    observer = replace(run.seen.observer(), output=lambda _, lines: sizes.append(len(lines)))
    assert len(run_script(run.request, observer, run.stop).held_open) == 1
    assert is_running(left_over())


def test_a_short_after_effect_is_waited_for(run: Runner) -> None:
    run(sh("(sleep 0.1; echo late) &"), drain_s=LIMIT_S)
    assert run.seen.output() == "late\n"
    assert run.seen.warnings == []
