"""A whole deployment in this process: order, failure, OnFailure, retention, recovery, and what is left on record."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.core.deployment import Deployment, DeploymentCreator, DeploymentId, DeploymentType, parse_group_id
from agent.core.install_model import Kind
from agent.core.install_steps import Occupant, Step, StepKind, TempNames
from agent.core.layout import Layout
from agent.core.lifecycle import LOCAL_ORDER
from agent.core.progress import EventEnded, Outcome, Progress, ScriptStarted, Warned
from agent.core.retention import RetentionLimits
from agent.core.revision import LocalDirectoryRevision
from agent.deploy.context import Host, RunSettings
from agent.deploy.dry_run import plan_deployment
from agent.deploy.hooks import HookSettings
from agent.deploy.interrupted import recover_host
from agent.deploy.run import RunResult, run_deployment
from agent.errors import DestinationLockedError, DiagnosticsCode, InstallError
from agent.host.lock import HostLock
from agent.host.process_table import read_entry
from agent.journal.history import History
from agent.journal.installs import Installs
from agent.journal.journal import Journal
from agent.journal.rows import Owner, State
from agent.sources.fetch import FetchOptions

GROUP = parse_group_id("blog")


@dataclass
class Site:
    """A host with a deployment root, and bundles to put on it."""

    base: Path
    journal: Journal
    told: list[Progress] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    settings: RunSettings = field(init=False)
    deployed: int = 0

    def __post_init__(self) -> None:
        self.settings = RunSettings(
            layout=Layout(self.base / "root"),
            hooks=HookSettings(grace_s=0.3, extra_env={"TRACE": str(self.trace)}),
            fetch=FetchOptions(),
        )

    @property
    def trace(self) -> Path:
        return self.base / "trace"

    @property
    def site(self) -> Path:
        return self.base / "www"

    @property
    def host(self) -> Host:
        return Host(journal=self.journal, settings=self.settings, listener=self.told.append, stop=self.stop)

    def bundle(self, version: str, scripts: Mapping[str, str]) -> Path:
        """A folder with one page and, for each event, a script of the given text."""
        folder = self.base / f"bundle-{version}"
        folder.mkdir()
        (folder / "page").write_text(version)
        hooks = ""
        for event, text in scripts.items():
            (folder / event).write_text(f"#!/bin/sh\n{text}\n")
            (folder / event).chmod(0o755)
            hooks += f"  {event}:\n    - location: {event}\n      timeout: 20\n"
        files = f"files:\n  - source: page\n    destination: {self.site}\n"
        (folder / "appspec.yml").write_text(f"version: 0.0\nos: linux\n{files}hooks:\n{hooks}")
        return folder

    def deployment(self, bundle: Path) -> Deployment:
        self.deployed += 1
        return Deployment(
            deployment_id=DeploymentId(f"d-{self.deployed}"),
            group_id=GROUP,
            group_name="Blog fleet",
            application="blog",
            revision=LocalDirectoryRevision(path=bundle),
        )

    def deploy(self, version: str, **scripts: str) -> RunResult:
        return run_deployment(self.deployment(self.bundle(version, scripts)), LOCAL_ORDER, self.host)

    def traced(self) -> list[str]:
        return self.trace.read_text().splitlines() if self.trace.exists() else []

    def outcomes(self) -> dict[str, Outcome]:
        return {told.event: told.outcome for told in self.told if isinstance(told, EventEnded)}

    def warnings(self) -> list[str]:
        return [told.message for told in self.told if isinstance(told, Warned)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Journal.open(Layout(tmp_path / "root").journal) as journal:
        yield Site(base=tmp_path, journal=journal)


NOTE = 'echo "$LIFECYCLE_EVENT $DEPLOYMENT_ID" >> "$TRACE"'


def test_a_success_is_on_record_and_the_last_good_one(site: Site) -> None:
    result = site.deploy("1", AfterInstall=NOTE)
    assert (result.state, result.code) == (State.SUCCEEDED, DiagnosticsCode.SUCCESS)
    history = History(site.journal)
    row = history.deployment(DeploymentId("d-1"))
    assert row is not None
    assert row.state is State.SUCCEEDED
    assert history.group_state(GROUP).last_good_deployment_id == "d-1"
    assert [event.name for event in history.events(row.deployment_id)] == list(LOCAL_ORDER)
    assert site.outcomes()["AfterInstall"] is Outcome.SUCCEEDED
    assert site.outcomes()["BeforeInstall"] is Outcome.SKIPPED


def test_the_first_failure_ends_the_deployment_with_its_code_and_tail(site: Site) -> None:
    result = site.deploy("1", BeforeInstall="echo why >&2; exit 9", AfterInstall=NOTE)
    assert (result.state, result.failed_event, result.script) == (State.FAILED, "BeforeInstall", "BeforeInstall")
    assert result.code is DiagnosticsCode.SCRIPT_FAILED
    assert "exit code 9" in result.message
    event = History(site.journal).events(DeploymentId("d-1"))[-1]
    assert (event.name, event.code) == ("BeforeInstall", 4)
    assert event.log_tail.endswith("[stderr]why\n")
    assert not site.site.exists()
    assert site.traced() == []


def test_on_failure_is_told_what_failed(site: Site) -> None:
    note = 'echo "$FAILED_LIFECYCLE_EVENT $FAILED_SCRIPT $FAILED_ERROR_CODE $FAILED_EXIT_CODE" >> "$TRACE"'
    result = site.deploy("1", AfterInstall="exit 9", OnFailure=note)
    assert result.failed_event == "AfterInstall"
    assert site.traced() == ["AfterInstall AfterInstall 4 9"]


def test_on_failure_that_fails_changes_nothing_about_the_outcome(site: Site) -> None:
    result = site.deploy("1", AfterInstall="exit 9", OnFailure="exit 1")
    assert result.failed_event == "AfterInstall"
    assert any("OnFailure did not succeed either" in warning for warning in site.warnings())


def test_on_failure_does_not_run_after_a_success(site: Site) -> None:
    site.deploy("1", OnFailure=NOTE)
    assert site.traced() == []


def test_a_failing_stop_script_of_the_revision_before_fails_the_deployment(site: Site) -> None:
    site.deploy("1", ApplicationStop="exit 1")
    result = site.deploy("2")
    assert (result.failed_event, result.state) == ("ApplicationStop", State.FAILED)
    assert (site.site / "page").read_text() == "1"


def test_a_failing_stop_script_can_be_ignored(site: Site) -> None:
    site.settings = replace(site.settings, ignore_stop_failures=True)
    site.deploy("1", ApplicationStop="exit 1")
    assert site.deploy("2").state is State.SUCCEEDED
    assert any("ApplicationStop failed and is ignored" in warning for warning in site.warnings())
    assert (site.site / "page").read_text() == "2"


def test_a_vanished_revision_before_says_how_to_go_on(site: Site) -> None:
    site.deploy("1", ApplicationStop=NOTE)
    pointer = site.settings.layout.last_successful_install(GROUP)
    (site.base / "root/blog/d-1").rename(site.base / "elsewhere")
    result = site.deploy("2")
    assert "d-1, which is gone" in result.message
    assert str(pointer) in result.hint
    pointer.unlink()
    assert site.deploy("3").state is State.SUCCEEDED


def test_a_blue_green_rollback_stops_what_was_unpacked_last(site: Site) -> None:
    version = 'echo "$(cat page) $LIFECYCLE_EVENT" >> "$TRACE"'
    site.deploy("good", BeforeBlockTraffic=version, ApplicationStop=version, BeforeAllowTraffic=version)
    site.deploy("bad", AfterInstall="exit 1", BeforeBlockTraffic=version, ApplicationStop=version)
    site.trace.unlink()
    pointer = site.settings.layout.last_successful_install(GROUP)
    pointer.write_text(f"{site.base}/root/blog/d-1\n")
    rollback = replace(
        site.deployment(site.bundle("back", {})),
        creator=DeploymentCreator.ROLLBACK,
        deployment_type=DeploymentType.BLUE_GREEN,
    )
    run_deployment(rollback, ["BeforeBlockTraffic", "ApplicationStop", "BeforeAllowTraffic"], site.host)
    assert site.traced() == ["bad BeforeBlockTraffic", "good ApplicationStop", "good BeforeAllowTraffic"]


def test_old_revisions_go_and_the_good_one_stays(site: Site) -> None:
    site.settings = replace(site.settings, retention=RetentionLimits(max_revisions=2))
    site.deploy("1")
    for number in range(2, 6):
        site.deploy(str(number), BeforeInstall="exit 1")
    assert sorted(os.listdir(site.base / "root/blog")) == ["d-1", "d-5"]


def test_an_old_revision_that_resists_is_a_warning(site: Site) -> None:
    if os.geteuid() != 0:
        pytest.skip("makes a folder immutable, which takes root")
    site.settings = replace(site.settings, retention=RetentionLimits(max_revisions=1))
    site.deploy("1")
    stuck = site.base / "root/blog/d-1/logs"
    stuck.mkdir(exist_ok=True)
    if subprocess.run(["chattr", "+i", stuck], check=False, capture_output=True).returncode:
        pytest.skip("this file system knows no immutable folders")
    try:
        assert site.deploy("2").state is State.SUCCEEDED
        assert any("old revision not deleted" in warning for warning in site.warnings())
    finally:
        subprocess.run(["chattr", "-i", stuck], check=True)


def test_nothing_is_deleted_while_it_cannot_be_told_what_must_stay(site: Site) -> None:
    site.settings = replace(site.settings, retention=RetentionLimits(max_revisions=1))
    site.deploy("1")
    pointer = site.settings.layout.most_recent_install(GROUP)
    spoil = f"rm {pointer} && mkdir {pointer}"
    assert site.deploy("2", ValidateService=spoil).state is State.SUCCEEDED
    assert any("old revisions not deleted" in warning for warning in site.warnings())
    assert sorted(os.listdir(site.base / "root/blog")) == ["d-1", "d-2"]


def test_stop_ends_the_script_and_is_recorded_as_cancelled(site: Site) -> None:
    def stop_at_script(progress: Progress) -> None:
        if isinstance(progress, ScriptStarted):
            site.stop.set()

    deployment = site.deployment(site.bundle("1", {"AfterInstall": "sleep 60", "OnFailure": NOTE}))
    result = run_deployment(deployment, LOCAL_ORDER, replace(site.host, listener=stop_at_script))
    assert (result.state, result.failed_event) == (State.CANCELLED, "AfterInstall")
    assert History(site.journal).unfinished() == ()
    assert site.traced() == []


def test_a_group_in_use_is_refused_and_nothing_recorded(site: Site) -> None:
    lock = HostLock(site.settings.layout.locks, DeploymentId("d-other"), GROUP)
    lock.acquire()
    with pytest.raises(DestinationLockedError, match="d-other"):
        site.deploy("1")
    lock.release()
    assert list(History(site.journal).deployments()) == []


def test_where_the_revision_before_installed_is_locked_as_well(site: Site) -> None:
    site.deploy("1")
    elsewhere = site.bundle("2", {})
    spec = (elsewhere / "appspec.yml").read_text()
    (elsewhere / "appspec.yml").write_text(spec.replace(str(site.site), str(site.base / "moved")))
    other = HostLock(site.settings.layout.locks, DeploymentId("d-other"), parse_group_id("shop"))
    other.acquire()
    other.add_destinations([os.fsencode(site.site)])
    result = run_deployment(site.deployment(elsewhere), LOCAL_ORDER, site.host)
    other.release()
    assert result.failed_event == "Install"
    assert "held by deployment d-other" in result.message
    assert (site.site / "page").read_text() == "1"


def test_an_appspec_that_does_less_than_it_says_is_told(site: Site) -> None:
    bundle = site.bundle("1", {})
    with (bundle / "appspec.yml").open("a") as appspec:
        appspec.write("AfterInstall:\n  - location: page\n")
    assert run_deployment(site.deployment(bundle), LOCAL_ORDER, site.host).state is State.SUCCEEDED
    (warning,) = site.warnings()
    assert warning.startswith("AppSpec: line 7: AfterInstall: a lifecycle event at top level is ignored")


def test_what_the_appspec_asks_for_is_written_down(site: Site) -> None:
    site.deploy("1", AfterInstall=NOTE, ValidateService=NOTE)
    rows = site.journal.connection.execute("SELECT event, location, timeout_s FROM hook ORDER BY event").fetchall()
    assert rows == [("AfterInstall", "AfterInstall", 20), ("ValidateService", "ValidateService", 20)]
    row = History(site.journal).deployment(DeploymentId("d-1"))
    assert row is not None
    assert row.bundle is not None
    assert json.loads(row.bundle)["type"] == "directory"


@pytest.fixture
def orphaned_in(site: Site) -> Callable[[str], int]:
    """Kill a `run-local` while it runs a script of the given event; returns the pid of the script, which runs on."""

    def kill(event: str) -> int:
        bundle = site.bundle("killed", {event: 'echo up >> "$TRACE"; sleep 60'})
        config = site.base / "agent.yml"
        config.write_text(f"root_dir: {site.base / 'root'}\nhook_environment: {{TRACE: {site.trace}}}\n")
        child = subprocess.Popen(
            [Path(sys.executable).with_name("agentctl"), "run-local", "-c", config, "-l", bundle, "-g", "blog"],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while not (site.traced() and History(site.journal).scripts_without_end(GROUP)):
            assert time.monotonic() < deadline, "the script did not start"
            time.sleep(0.01)
        (script,) = (int(pid) for pid in _children(child.pid))
        child.kill()
        child.wait()
        return script

    return kill


@pytest.fixture
def killed_in(orphaned_in: Callable[[str], int]) -> Callable[[str], None]:
    """Kill a `run-local` and the script of the given event that it runs."""
    return lambda event: _end(orphaned_in(event))


def _end(script: int) -> None:
    os.killpg(script, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (entry := read_entry(script)) is not None and not entry.is_dead:
        assert time.monotonic() < deadline, "the script did not end"
        time.sleep(0.01)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_killed_deployment_is_recorded_as_interrupted_once(site: Site, killed_in: Callable[[str], None]) -> None:
    killed_in("AfterInstall")
    (line,) = recover_host(site.journal, site.settings.layout)
    assert "interrupted in AfterInstall" in line
    assert recover_host(site.journal, site.settings.layout) == ()
    (row,) = History(site.journal).deployments()
    event = History(site.journal).events(row.deployment_id)[-1]
    assert (row.state, event.code) == (State.INTERRUPTED, DiagnosticsCode.FAILED_AFTER_RESTART)
    assert site.traced() == ["up"]


def test_the_next_deployment_recovers_what_a_killed_one_left(site: Site, killed_in: Callable[[str], None]) -> None:
    killed_in("BeforeInstall")
    assert site.deploy("2").state is State.SUCCEEDED
    assert any("interrupted in BeforeInstall" in warning for warning in site.warnings())
    assert (site.site / "page").read_text() == "2"


def test_a_script_that_outlived_its_deployment_is_not_joined_by_another(
    site: Site, orphaned_in: Callable[[str], int]
) -> None:
    script = orphaned_in("BeforeInstall")
    try:
        with pytest.raises(DestinationLockedError, match=f"'BeforeInstall' of deployment .* still runs .pid {script}"):
            site.deploy("2")
    finally:
        _end(script)
    assert not site.site.exists()
    assert site.deploy("3").state is State.SUCCEEDED


def test_a_live_deployment_is_not_recovered(site: Site) -> None:
    found: list[tuple[str, ...]] = []

    def recover_meanwhile(progress: Progress) -> None:
        if isinstance(progress, ScriptStarted):
            found.append(recover_host(site.journal, site.settings.layout))

    deployment = site.deployment(site.bundle("1", {"AfterInstall": "true"}))
    result = run_deployment(deployment, LOCAL_ORDER, replace(site.host, listener=recover_meanwhile))
    assert result.state is State.SUCCEEDED
    assert found == [()]


def test_a_dry_run_tells_plan_and_scripts_and_leaves_the_host(site: Site) -> None:
    site.deploy("1", ApplicationStop="true")
    before = sorted(path for path in site.base.rglob("*") if ".deploy-agent" not in path.parts)
    dry = plan_deployment(site.deployment(site.bundle("2", {"AfterInstall": "true"})), LOCAL_ORDER, site.host)
    assert [os.path.basename(file.path) for file in dry.plan.files] == [b"page"]
    assert [(script.event, script.location) for script in dry.scripts] == [
        ("ApplicationStop", "ApplicationStop"),
        ("AfterInstall", "AfterInstall"),
    ]
    after = sorted(path for path in site.base.rglob("*") if ".deploy-agent" not in path.parts)
    assert [path for path in after if "bundle-2" not in str(path)] == before
    assert (site.site / "page").read_text() == "1"


@pytest.fixture
def half_done(site: Site) -> Callable[[Path], None]:
    """Leave an Install of group `other` behind that has begun to replace a path, as a killed process would."""

    def leave(path: Path) -> None:
        other = replace(site.deployment(site.base), group_id=parse_group_id("other"), deployment_id=DeploymentId("o-1"))
        dead = Owner(pid=2**22 + 1, started=0.0)
        History(site.journal).begin_deployment(other, folder=str(site.base / "o-1"), owner=dead, at=0.0)
        names = TempNames(token="0" * 12)
        installs = Installs(site.journal)
        row = installs.begin(other.deployment_id, other.group_id, names, [os.fsencode(path.parent)], at=0.0)
        old = Occupant(ino=1, kind=Kind.FILE, size=1, mtime_ns=1)
        temp = os.fsencode(path.parent / ".hidden")
        step = Step(kind=StepKind.SWAP, path=os.fsencode(path), temp=temp, staged=2, old=old)
        installs.begin_commit(row, [step], [])

    return leave


def test_nothing_is_installed_over_what_another_process_is_recovering(
    site: Site, half_done: Callable[[Path], None]
) -> None:
    half_done(site.site / "page")
    other = HostLock(site.settings.layout.locks, DeploymentId("recovery-of-other"), parse_group_id("other"))
    other.acquire()
    result = site.deploy("1")
    other.release()
    assert (result.state, result.failed_event) == (State.FAILED, "Install")
    assert (
        result.message == f"destination '{site.site}': Install of o-1 (deployment group 'other') is not finished there"
    )
    assert result.hint == "run `agentctl recover`, then deploy again"
    assert not site.site.exists()


def test_what_cannot_be_recovered_elsewhere_is_a_warning(site: Site, half_done: Callable[[Path], None]) -> None:
    elsewhere = site.base / "elsewhere/page"
    elsewhere.parent.mkdir()
    elsewhere.write_text("foreign")
    (elsewhere.parent / ".hidden").write_text("foreign")
    half_done(elsewhere)
    with pytest.raises(InstallError):
        recover_host(site.journal, site.settings.layout)
    assert site.deploy("1").state is State.SUCCEEDED
    assert any("not all be put back" in warning for warning in site.warnings())
