"""Starting children and helper programs, and ending a child with all that it started."""

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.errors import ToolError
from agent.host.process import Child, Command, leave_draining, run_tool, start_child
from agent.host.process_table import describe, pipe_writers, read_entry, read_table, started_s
from agent.host.process_tree import end_tree
from agent.host.users import UserIds, find_user

LIMIT_S = 10.0
Start = Callable[..., Child]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def is_running(pid: int) -> bool:
    entry = read_entry(pid)
    return entry is not None and not entry.is_dead


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a shell program with its output in `tmp_path / "out"`."""
    children: list[Child] = []
    out = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o666)

    def run(*argv: str, env: dict[str, str] | None = None, user: UserIds | None = None) -> Child:
        command = Command(
            argv=argv, env=env or {"PATH": os.environ["PATH"]}, cwd=tmp_path, stdout=out, stderr=out, user=user
        )
        children.append(start_child(command))
        return children[-1]

    yield run
    os.close(out)
    for child in children:
        if child.exit_code() is None:
            end_tree(child, 0)
        child.wait(LIMIT_S)
        child.close()


def test_a_child_gets_exactly_its_environment_and_nothing_on_standard_input(start: Start, tmp_path: Path) -> None:
    assert start("/usr/bin/env", env={"A": "1 2"}).wait(LIMIT_S) == 0
    assert (tmp_path / "out").read_text() == "A=1 2\n"
    assert start("/bin/cat").wait(LIMIT_S) == 0


def test_a_child_has_its_own_session_and_a_plain_state(start: Start, tmp_path: Path) -> None:
    program = (
        "import os, signal; os.umask(mask := os.umask(0)); "
        "print(os.getsid(0) == os.getpid(), oct(mask), signal.pthread_sigmask(0, []),"
        " signal.getsignal(signal.SIGHUP) == signal.SIG_DFL, sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
    )
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    old_handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        child = start(sys.executable, "-I", "-S", "-c", program)
    finally:
        signal.signal(signal.SIGHUP, old_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
    assert child.wait(LIMIT_S) == 0
    assert (tmp_path / "out").read_text() == "True 0o22 set() True [0, 1, 2]\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_child_takes_on_ids_and_groups_of_a_user_without_a_login_shell(start: Start, tmp_path: Path) -> None:
    user = find_user("nobody")
    assert start("/bin/sh", "-c", "id -u; id -g; id -G", user=user).wait(LIMIT_S) == 0
    groups = " ".join(str(group) for group in user.groups)
    assert (tmp_path / "out").read_text() == f"{user.uid}\n{user.gid}\n{groups}\n"


def test_an_exit_code_is_negative_for_a_signal(start: Start) -> None:
    assert start("/bin/sh", "-c", "exit 7").wait(LIMIT_S) == 7
    assert start("/bin/sh", "-c", "kill -9 $$").wait(LIMIT_S) == -signal.SIGKILL


def test_the_start_time_is_the_kernels(start: Start) -> None:
    child = start("/bin/sleep", "60")
    assert child.started == started_s(child.pid)
    assert abs(child.started - time.clock_gettime(time.CLOCK_BOOTTIME)) < LIMIT_S
    assert child.wait(0.01) is None


def test_what_cannot_be_started_is_an_os_error(start: Start) -> None:
    with pytest.raises(FileNotFoundError):
        start("/no/such/program")


End = Callable[[Child, float], tuple[str, ...]]


@pytest.fixture(params=[True, False], ids=["control group", "reaper"])
def end(request: pytest.FixtureRequest) -> End:
    """Both ways to hold a tree together; the first falls back to the second where there are no control groups."""
    return functools.partial(end_tree, use_control_group=request.param)


def pids(tmp_path: Path, count: int) -> list[int]:
    file = tmp_path / "pids"
    wait_for(lambda: file.exists() and len(file.read_text().split()) >= count and file.read_text().endswith("\n"))
    return [int(pid) for pid in file.read_text().split()]


STUBBORN = """
trap '' TERM
(trap '' TERM; setsid sh -c 'echo $$ >> pids; while :; do sleep 60; done' &)
( (trap '' TERM; setsid -f sh -c 'echo $$ >> pids; while :; do sleep 60; done') )
echo $$ >> pids
while :; do sleep 60; done
"""


def test_nothing_of_a_stubborn_tree_survives(end: End, start: Start, tmp_path: Path) -> None:
    child = start("/bin/sh", "-c", STUBBORN)
    running = pids(tmp_path, 3)
    assert end(child, 0.1) == ()
    assert not any(map(is_running, running))
    assert child.wait(LIMIT_S) == -signal.SIGKILL


def test_orphans_are_found_when_the_script_itself_dies_of_term(end: End, start: Start, tmp_path: Path) -> None:
    script = "(trap '' TERM; setsid -f sh -c 'echo $$ >> pids; while :; do sleep 60; done'); exec sleep 60"
    child = start("/bin/sh", "-c", script)
    running = pids(tmp_path, 1)
    assert end(child, 0.2) == ()
    assert not any(map(is_running, running))
    assert child.wait(LIMIT_S) == -signal.SIGTERM


def test_what_is_started_during_the_grace_ends_too(end: End, start: Start, tmp_path: Path) -> None:
    script = "trap 'setsid -f sh -c \"echo \\$\\$ >> pids; trap : TERM; sleep 60\"; exit 0' TERM; echo $$ >> pids; "
    child = start("/bin/sh", "-c", script + "while :; do sleep 0.05; done")
    pids(tmp_path, 1)
    assert end(child, 0.3) == ()
    assert child.wait(LIMIT_S) == 0
    running = pids(tmp_path, 2)
    assert not any(map(is_running, running))


def test_a_script_that_obeys_term_may_clean_up(end: End, start: Start, tmp_path: Path) -> None:
    child = start("/bin/sh", "-c", "trap 'echo cleaned; exit 3' TERM; echo $$ >> pids; while :; do sleep 0.02; done")
    pids(tmp_path, 1)
    assert end(child, LIMIT_S) == ()
    assert child.wait(LIMIT_S) == 3
    assert (tmp_path / "out").read_text().endswith("cleaned\n")


def test_a_tree_that_forks_all_the_time_is_ended(end: End, start: Start, tmp_path: Path) -> None:
    script = "while :; do (trap '' TERM; setsid -f sleep 61.5); done"
    child = start("/bin/sh", "-c", script)
    wait_for(lambda: sum("sleep 61.5" in describe(pid) for pid in read_table()) > 3)
    assert end(child, 0.05) == ()
    mine = [describe(pid) for pid in read_table()]
    assert not [name for name in mine if "sleep 61.5" in name]


def test_other_children_of_ours_live_on(end: End, start: Start, tmp_path: Path) -> None:
    bystander, child = start("/bin/sleep", "60"), start("/bin/sleep", "60")
    assert end(child, 0.1) == ()
    assert child.wait(LIMIT_S) == -signal.SIGTERM
    assert bystander.exit_code() is None


def test_what_a_finished_child_left_behind_lives_on(start: Start, tmp_path: Path) -> None:
    first = start("/bin/sh", "-c", "setsid -f sh -c 'echo $$ >> pids; exec sleep 60'")
    assert first.wait(LIMIT_S) == 0
    (daemon,) = pids(tmp_path, 1)
    second = start("/bin/sleep", "60")
    end_tree(second, 0.1)
    second.wait(LIMIT_S)
    assert is_running(daemon)
    os.kill(daemon, signal.SIGKILL)
    wait_for(lambda: not is_running(daemon))


def test_the_caller_is_asked_to_pause_while_it_waits(start: Start, tmp_path: Path) -> None:
    pauses: list[float] = []

    def pause(limit_s: float) -> None:
        pauses.append(limit_s)
        time.sleep(limit_s)

    child = start("/bin/sh", "-c", "trap '' TERM; echo $$ >> pids; while :; do sleep 60; done")
    pids(tmp_path, 1)
    end_tree(child, 0.1, pause)
    assert pauses
    assert max(pauses) <= 0.1


def test_a_pipe_left_to_drain_takes_what_is_written_until_its_writers_are_gone() -> None:
    read_end, write_end = os.pipe()
    drainer = leave_draining(read_end)
    os.close(read_end)
    for _ in range(4):
        os.write(write_end, b"x" * 65536)  # more than fits a pipe: neither blocks nor breaks
    os.close(write_end)
    assert os.waitpid(drainer, 0)[1] == 0


def test_the_writers_of_a_pipe_are_found(start: Start, tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    command = Command(argv=("/bin/sleep", "60"), env={}, cwd=tmp_path, stdout=write_end, stderr=write_end)
    child = start_child(command)
    os.close(write_end)
    assert pipe_writers([read_end]) == (child.pid,)
    assert describe(child.pid) == f"pid {child.pid} (/bin/sleep 60)"
    end_tree(child, 0.1)
    child.wait(LIMIT_S)
    child.close()
    assert pipe_writers([read_end]) == ()
    os.close(read_end)


def test_a_tool_returns_what_it_said() -> None:
    result = run_tool(["/bin/sh", "-c", "cat; echo no >&2; exit 3"], timeout_s=LIMIT_S, input=b"in")
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"in", b"no\n")


def test_a_tool_sees_little_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert b"secret" not in run_tool(["env"], timeout_s=LIMIT_S).stdout


def test_a_tool_that_is_missing_is_named() -> None:
    with pytest.raises(ToolError, match="program 'no-such-tool' is not on this host") as caught:
        run_tool(["no-such-tool"], timeout_s=1)
    assert caught.value.hint == "install the package that holds no-such-tool"


def test_a_tool_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"program '/bin/sh' did not end within 0\.2 s"):
        run_tool(["/bin/sh", "-c", f"echo $$ > {tmp_path}/pids; sleep 60 & wait"], timeout_s=0.2)
    (pid,) = pids(tmp_path, 1)
    assert not is_running(pid)


def test_children_start_while_other_threads_work(start: Start) -> None:
    done = threading.Event()
    thread = threading.Thread(target=lambda: [None for _ in iter(done.is_set, True)])
    thread.start()
    try:
        assert [start("/bin/true").wait(LIMIT_S) for _ in range(5)] == [0] * 5
    finally:
        done.set()
        thread.join()
