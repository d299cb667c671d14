"""The scripts of one lifecycle event: order, environment, logs, what a listener is told."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.appspec.model import HookScript, Position
from agent.core.deployment import Deployment, DeploymentId, GroupId
from agent.core.diagnostics import LogTail
from agent.core.hook_script import FailedEvent
from agent.core.layout import DeploymentDir
from agent.core.progress import Progress, ScriptEnded, ScriptOutput, ScriptStarted, Warned
from agent.core.revision import LocalDirectoryRevision
from agent.deploy.hook_recorder import SHOWN_PER_WINDOW, WINDOW_S, LineDisplay
from agent.deploy.hooks import HookSettings, HooksRequest, HooksResult, prepare_script, run_hooks
from agent.errors import DiagnosticsCode, HookFailedError, HookMissingError
from agent.host.script_log import LogLimits

AT = Position(line=1, column=1)


class Event:
    """One lifecycle event under test: its folders, scripts, and all that was told."""

    def __init__(self, tmp_path: Path) -> None:
        self.told: list[Progress] = []
        self.tail = LogTail()
        self.archive = tmp_path / "archive"
        self.archive.mkdir()
        deployment = Deployment(
            deployment_id=DeploymentId("d-1"),
            group_id=GroupId("gid"),
            group_name="group",
            application="shop",
            revision=LocalDirectoryRevision(path=self.archive),
        )
        self.request = HooksRequest(
            deployment=deployment,
            event="AfterInstall",
            archive=self.archive,
            scripts=(),
            folder=DeploymentDir(tmp_path / "deployment"),
            settings=HookSettings(inherited_env=dict(os.environ), grace_s=0.2, drain_s=0.1),
        )

    def add(self, name: str, body: str, *, timeout_s: int = 10, runas: str | None = None, sudo: bool = False) -> None:
        (self.archive / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.archive / name).chmod(0o755)
        script = HookScript(location=name, timeout_s=timeout_s, runas=runas, sudo=sudo, position=AT)
        self.request = replace(self.request, scripts=(*self.request.scripts, script))

    def set(self, **settings: object) -> None:
        changed = replace(self.request.settings, **settings)  # type: ignore[arg-type]  # tests name fields of it
        self.request = replace(self.request, settings=changed)

    def run(self) -> HooksResult:
        return run_hooks(self.request, self.told.append, self.tail)

    def log(self) -> str:
        return re.sub(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", self.request.folder.script_log.read_text())

    def lines(self) -> list[str]:
        return [one.line for one in self.told if isinstance(one, ScriptOutput)]


@pytest.fixture
def event(tmp_path: Path) -> Event:
    return Event(tmp_path)


def test_scripts_run_in_order_and_everything_is_logged(event: Event) -> None:
    event.add("a.sh", "echo one; echo two >&2")
    event.add("b.sh", "echo three")
    assert event.run().scripts_run == 2
    assert event.log() == event.tail.text()
    assert event.log().startswith("LifecycleEvent - AfterInstall\nScript - a.sh\n[std")
    assert event.log().endswith("Script - b.sh\n[stdout]three\n")
    assert event.lines() == ["one", "two", "three"]


def test_a_listener_hears_of_start_output_and_end(event: Event) -> None:
    event.add("a.sh", "echo $$", timeout_s=7)
    event.run()
    started, output, ended = event.told
    assert isinstance(started, ScriptStarted)
    assert isinstance(output, ScriptOutput)
    assert isinstance(ended, ScriptEnded)
    assert (started.event, started.location, started.timeout_s) == ("AfterInstall", "a.sh", 7)
    assert output.line == str(started.pid)
    assert ended.exit_code == 0


def test_the_first_failure_ends_the_event_and_the_tail_tells_of_it(event: Event) -> None:
    event.add("a.sh", "echo because >&2; exit 3")
    event.add("b.sh", "echo never")
    with pytest.raises(HookFailedError) as caught:
        event.run()
    assert (caught.value.script, caught.value.exit_code) == ("a.sh", 3)
    assert event.tail.text() == "LifecycleEvent - AfterInstall\nScript - a.sh\n[stderr]because\n"


def test_a_script_that_never_started_is_in_the_log_all_the_same(event: Event) -> None:
    event.add("a.sh", "true")
    (event.archive / "a.sh").unlink()
    with pytest.raises(HookMissingError):
        event.run()
    assert event.log() == "LifecycleEvent - AfterInstall\nScript - a.sh\n"
    assert event.told == []


def test_an_event_without_scripts_writes_nothing(event: Event) -> None:
    assert event.run().scripts_run == 0
    assert not event.request.folder.script_log.exists()


def test_a_script_never_sees_the_agents_credentials(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "top secret")
    event.set(
        inherited_env={**os.environ, "AWS_ACCESS_KEY_ID": "top secret"}, pass_env=("*",), extra_env={"COLOUR": "blue"}
    )
    event.add("a.sh", "env; tr '\\0' '\\n' < /proc/$$/environ")
    event.run()
    assert "top secret" not in event.log()
    assert "[stdout]COLOUR=blue" in event.log()
    assert "[stdout]DEPLOYMENT_GROUP_ID=gid" in event.log()


def test_on_failure_is_told_what_failed(event: Event) -> None:
    failed = FailedEvent(event="Install", code=DiagnosticsCode.UNKNOWN_ERROR, message="no space")
    event.request = replace(event.request, event="OnFailure", failed=failed)
    event.add("a.sh", 'echo "$FAILED_LIFECYCLE_EVENT $FAILED_ERROR_CODE $FAILED_MESSAGE"')
    event.run()
    assert event.lines() == ["Install 5 no space"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_script_runs_as_its_user_with_that_users_variables(event: Event, tmp_path: Path) -> None:
    for folder in (event.archive, tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    event.add("a.sh", 'echo "$(id -un) $USER $LOGNAME $SHELL"', runas="nobody", sudo=True)
    event.run()
    (started,) = [one for one in event.told if isinstance(one, ScriptStarted)]
    assert started.runas == "nobody"
    assert event.lines() == ["nobody nobody nobody /bin/sh"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_an_unknown_user_is_the_scripts_failure(event: Event) -> None:
    event.add("a.sh", "true", runas="no-such-user")
    with pytest.raises(HookFailedError, match=r"a\.sh: runas: user 'no-such-user' does not exist") as caught:
        event.run()
    assert caught.value.script == "a.sh"
    assert "useradd" in caught.value.hint


def test_held_output_is_reported(event: Event) -> None:
    event.add("a.sh", "sleep 60 & echo $!")
    result = event.run()
    pid = int(event.lines()[0])
    try:
        assert result.held_open == (f"pid {pid} (sleep 60)",)
        assert [one.message for one in event.told if isinstance(one, Warned)] == [
            f"a.sh: ended, but its output is still held by pid {pid} (sleep 60)"
        ]
    finally:
        os.kill(pid, 9)


def test_logs_stay_within_bounds(event: Event) -> None:
    event.set(log=LogLimits(max_bytes=100_000, files=2), deployments_log=event.archive.parent / "all.log")
    event.add("a.sh", "seq 50000")
    event.run()
    logs = event.request.folder.logs
    assert sorted(os.listdir(logs)) == ["scripts.log", "scripts.log.1"]
    assert (logs / "scripts.log").read_text().endswith("[stdout]50000\n")
    assert "[d-1][stdout]50000\n" in (event.archive.parent / "all.log").read_text()


def test_a_log_that_cannot_be_written_does_not_fail_the_event(event: Event) -> None:
    event.request.folder.path.mkdir()
    event.request.folder.logs.write_text("a file in the way")
    event.add("a.sh", "echo fine")
    assert event.run().scripts_run == 1
    warned = [one for one in event.told if isinstance(one, Warned)]
    assert len(warned) == 1
    assert "script output is no longer logged" in warned[0].message
    assert event.tail.text().endswith("[stdout]fine\n")


def test_how_a_script_would_start_can_be_asked(event: Event) -> None:
    event.add("a.sh", "true", timeout_s=5)
    request = prepare_script(event.request, event.request.scripts[0])
    assert (request.archive, request.timeout_s, request.env["LIFECYCLE_EVENT"]) == (event.archive, 5, "AfterInstall")


# What a listener sees of a flood


def display(told: list[str], now: list[float]) -> LineDisplay:
    return LineDisplay(lambda one: told.append(one.line) if isinstance(one, ScriptOutput) else None, lambda: now[0])


def numbered(start: int, count: int) -> str:
    return "".join(f"{number}\n" for number in range(start, start + count))


def test_up_to_the_limit_every_line_is_shown() -> None:
    told: list[str] = []
    display(told, [1.0]).show("stdout", numbered(0, SHOWN_PER_WINDOW))
    assert len(told) == SHOWN_PER_WINDOW


def test_beyond_it_lines_are_counted_and_the_last_are_shown_in_the_end() -> None:
    told: list[str] = []
    shown = display(told, [1.0])
    shown.show("stdout", numbered(0, SHOWN_PER_WINDOW))
    shown.show("stdout", numbered(5000, 100))
    shown.show("stderr", numbered(6000, 100))
    assert len(told) == SHOWN_PER_WINDOW
    shown.flush()
    assert told[SHOWN_PER_WINDOW] == "(180 lines left out here; the script log has them)"
    assert told[SHOWN_PER_WINDOW + 1 :] == [str(number) for number in range(6080, 6100)]


def test_a_new_stretch_of_time_has_room_again() -> None:
    told: list[str] = []
    now = [1.0]
    shown = display(told, now)
    shown.show("stdout", numbered(0, SHOWN_PER_WINDOW + 1))
    now[0] += 2 * WINDOW_S
    shown.show("stdout", "after\n")
    assert told[0] == f"({SHOWN_PER_WINDOW + 1 - 20} lines left out here; the script log has them)"
    assert told[-2:] == [str(SHOWN_PER_WINDOW), "after"]
