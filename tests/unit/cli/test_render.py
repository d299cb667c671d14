import io
import json
from pathlib import Path

import pytest

from agent.cli.render import Closing, Opening, choose_renderer, closing_lines
from agent.cli.render_json import JsonRenderer
from agent.cli.render_live import LiveRenderer
from agent.cli.render_plain import PlainRenderer, exit_text
from agent.core.deployment import Deployment, DeploymentId, GroupId
from agent.core.layout import DeploymentDir
from agent.core.lifecycle import LOCAL_ORDER
from agent.core.progress import (
    BytesDone,
    EventEnded,
    EventStarted,
    Outcome,
    Progress,
    ScriptEnded,
    ScriptOutput,
    ScriptStarted,
    Warned,
    Work,
)
from agent.core.revision import LocalDirectoryRevision
from agent.deploy.run import RunResult
from agent.errors import DiagnosticsCode
from agent.journal.rows import State

FOLDER = DeploymentDir(Path("/root/group/d-1-local"))
OPENING = Opening(
    deployment=Deployment(
        deployment_id=DeploymentId("d-1-local"),
        group_id=GroupId("group"),
        group_name="Group",
        application="app",
        revision=LocalDirectoryRevision(path=Path("/site")),
    ),
    folder=FOLDER,
    events=LOCAL_ORDER,
)
SUCCESS = RunResult(state=State.SUCCEEDED, folder=FOLDER.path)
FAILURE = RunResult(
    state=State.FAILED,
    folder=FOLDER.path,
    failed_event="AfterInstall",
    code=DiagnosticsCode.SCRIPT_FAILED,
    message="s.sh: exit code 3\nand more",
    hint="mend it",
    script="s.sh",
)
STORY: tuple[Progress, ...] = (
    EventStarted(event="DownloadBundle"),
    BytesDone(work=Work.DOWNLOAD, done=1, total=None),
    BytesDone(work=Work.UNPACK, done=10, total=10),
    EventEnded(event="DownloadBundle", outcome=Outcome.SUCCEEDED, duration_s=0.5, note="3 files"),
    EventStarted(event="BeforeInstall"),
    EventEnded(event="BeforeInstall", outcome=Outcome.SKIPPED, duration_s=0.0, note="no scripts"),
    EventStarted(event="AfterInstall"),
    ScriptStarted(event="AfterInstall", location="s.sh", pid=1, timeout_s=5),
    ScriptOutput(stream="stdout", line="\x1b[32mgreen\x1b[0m"),
    ScriptOutput(stream="stderr", line="\udcff"),
    ScriptEnded(event="AfterInstall", location="s.sh", exit_code=-9, duration_s=1.0),
    Warned(message="odd", hint="look"),
    EventEnded(event="AfterInstall", outcome=Outcome.FAILED, duration_s=1.0, note="s.sh: exit code 3"),
)


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_plain_lines_tell_the_story() -> None:
    stream = io.StringIO()
    renderer = PlainRenderer(stream)
    for progress in STORY:
        renderer.listen(progress)
    renderer.close()
    assert stream.getvalue().splitlines() == [
        "DownloadBundle      started",
        "DownloadBundle      succeeded in 0.50 s, 3 files",
        "BeforeInstall       skipped, no scripts",
        "AfterInstall        s.sh started, time limit 5 s",
        "    | green",
        r"    ! \xff",
        "AfterInstall        s.sh killed by SIGKILL after 1.00 s",
        "warning: odd (look)",
        "AfterInstall        failed in 1.00 s",
    ]


def test_json_lines_are_one_object_each_with_a_type_and_a_time() -> None:
    stream = io.StringIO()
    renderer = JsonRenderer(stream)
    renderer.begin(OPENING)
    for progress in STORY:
        renderer.listen(progress)
    renderer.end(Closing(result=FAILURE, duration_s=2.0, script=Path("/root/s.sh")))
    renderer.close()
    objects = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [item["type"] for item in objects[:5]] == [
        "deployment-started", "event-started", "bytes-done", "bytes-done", "event-ended",
    ]  # fmt: skip
    assert all(item["at"].endswith("Z") for item in objects)
    assert objects[-1]["code"] == 4
    assert objects[-1]["script_path"] == "/root/s.sh"


def test_the_live_view_shows_every_event_and_the_tail_of_a_failed_script() -> None:
    stream = Tty()
    renderer = LiveRenderer(stream)
    renderer.begin(OPENING)
    for progress in STORY:
        renderer.listen(progress)
    renderer.end(Closing(result=FAILURE, duration_s=2.0))
    renderer.close()
    text = stream.getvalue()
    for wanted in ("BeforeBlockTraffic", "no scripts", "| green", r"| \xff", "warning: odd (look)", "hint: mend it"):
        assert wanted in text


def test_an_event_nobody_announced_is_added_to_the_live_view() -> None:
    stream = Tty()
    renderer = LiveRenderer(stream)
    renderer.begin(OPENING)
    renderer.listen(EventStarted(event="OnFailure"))
    renderer.listen(EventEnded(event="OnFailure", outcome=Outcome.SUCCEEDED, duration_s=0.1, note="1 script"))
    renderer.end(Closing(result=FAILURE, duration_s=2.0))
    assert "OnFailure" in stream.getvalue()


def test_a_failure_names_event_reason_hint_script_and_log() -> None:
    assert closing_lines(Closing(result=FAILURE, duration_s=2.0, script=Path("/a/s.sh"))) == [
        "AfterInstall failed: s.sh: exit code 3",
        "  and more",
        "hint: mend it",
        "Failed script: /a/s.sh",
        "Output of the scripts: /root/group/d-1-local/logs/scripts.log",
        "Deployment d-1-local failed after 2.00 s",
    ]


def test_a_success_names_log_and_appspec() -> None:
    assert closing_lines(Closing(result=SUCCESS, duration_s=0.3)) == [
        "Output of the scripts: /root/group/d-1-local/logs/scripts.log",
        "The AppSpec is valid; deployment d-1-local succeeded in 0.30 s",
    ]


def test_a_stream_that_was_closed_stops_nothing() -> None:
    stream = io.StringIO()
    renderer = PlainRenderer(stream)
    stream.close()
    for progress in STORY:
        renderer.listen(progress)
    renderer.end(Closing(result=SUCCESS, duration_s=0.3))
    renderer.close()


@pytest.mark.parametrize(
    ("stream", "as_json", "plain", "term", "kind"),
    [
        (Tty(), False, False, "xterm", LiveRenderer),
        (Tty(), False, True, "xterm", PlainRenderer),
        (Tty(), False, False, "dumb", PlainRenderer),
        (Tty(), True, False, "xterm", JsonRenderer),
        (io.StringIO(), False, False, "xterm", PlainRenderer),
    ],
)
def test_the_view_suits_where_the_output_goes(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, as_json: bool, plain: bool, term: str, kind: type
) -> None:
    monkeypatch.setenv("TERM", term)
    renderer = choose_renderer(stream, as_json=as_json, plain=plain)
    renderer.close()
    assert isinstance(renderer, kind)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "exit 0"),
        (3, "exit 3"),
        (-15, "killed by SIGTERM"),
        (-99, "killed by signal 99"),
        (None, "did not end by itself"),
    ],
)
def test_how_a_script_ended(code: int | None, text: str) -> None:
    assert exit_text(code) == text
