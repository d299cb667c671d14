"""The journal opens, migrates and refuses; its history rows come back as they went in."""

import os
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.deployment import Deployment, DeploymentId, GroupId
from agent.core.progress import ScriptStarted
from agent.core.revision import LocalDirectoryRevision
from agent.errors import AgentFault
from agent.journal.archives import archive_digests, forget_archive, record_archive
from agent.journal.history import Ending, History
from agent.journal.journal import Journal
from agent.journal.rows import GroupState, Owner, State

ID = DeploymentId("d-1")
GROUP = GroupId("blog")
DEPLOYMENT = Deployment(
    deployment_id=ID,
    group_id=GROUP,
    group_name="Blog fleet",
    application="blog",
    revision=LocalDirectoryRevision(path=Path("/srv/build")),
)
OWNER = Owner(pid=42, started=1.5)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "state" / "journal.db") as opened:
        yield opened


@pytest.fixture
def history(journal: Journal) -> History:
    history = History(journal)
    history.begin_deployment(DEPLOYMENT, folder="/root/blog/d-1", owner=OWNER, at=100.0)
    return history


def test_only_the_owner_may_read_the_journal(journal: Journal) -> None:
    assert stat.S_IMODE(os.stat(journal.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(journal.path.parent).st_mode) == 0o700


def test_a_commit_is_on_disk_when_it_returns(journal: Journal) -> None:
    assert journal.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert journal.connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_an_exception_undoes_the_transaction(journal: Journal) -> None:
    with pytest.raises(RuntimeError), journal.transaction() as connection:
        connection.execute("INSERT INTO group_state (group_id) VALUES ('x')")
        raise RuntimeError
    assert journal.connection.execute("SELECT count(*) FROM group_state").fetchone() == (0,)


def test_a_journal_of_a_newer_agent_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(AgentFault, match="newer agent") as caught:
        Journal.open(path)
    assert "install the newer agent" in caught.value.hint
    assert path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system, which takes root")
def test_a_journal_on_a_read_only_file_system_can_be_read(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True)
    try:
        path = tmp_path / "journal.db"
        with Journal.open(path) as journal:
            History(journal).begin_deployment(DEPLOYMENT, folder="", owner=OWNER, at=1.0)
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        with Journal.open_to_read(path) as journal:
            assert [row.deployment_id for row in History(journal).deployments()] == [ID]
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_damaged_journal_is_a_fault_that_says_where(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is no database, " * 100)
    with pytest.raises(AgentFault, match=r"journal\.db"):
        Journal.open(path)


def test_a_deployment_reads_back_as_it_was_written(history: History) -> None:
    row = history.deployment(ID)
    assert row is not None
    assert (row.group_id, row.application, row.state, row.owner) == (GROUP, "blog", State.RUNNING, OWNER)
    assert row.revision == '{"kind": "LocalDirectory", "path": "/srv/build"}'
    assert history.unfinished() == (row,)


def test_an_id_used_twice_is_a_fault(history: History) -> None:
    with pytest.raises(AgentFault, match="deployment_id"):
        history.begin_deployment(DEPLOYMENT, folder="/x", owner=OWNER, at=1.0)


def test_a_success_becomes_the_last_good_deployment(history: History) -> None:
    history.end_deployment(ID, State.SUCCEEDED, at=101.0)
    assert history.group_state(GROUP) == GroupState(last_good_deployment_id=ID)


def test_a_failure_leaves_the_last_good_deployment(history: History) -> None:
    history.end_deployment(ID, State.FAILED, at=101.0)
    assert history.group_state(GROUP) == GroupState()


def test_events_and_scripts_keep_their_order(history: History) -> None:
    script = ScriptStarted(event="", location="a.sh", pid=1, timeout_s=5, runas="www")
    for name in ("BeforeInstall", "AfterInstall"):
        event = history.begin_event(ID, name, at=1.0)
        run = history.begin_script(event, script, at=1.0, pid_started=2.0)
        history.end_script(run, exit_code=3, duration_s=0.5)
        ending = Ending(state=State.FAILED, code=4, message="no", hint="mend", script="a.sh", log_tail="t")
        history.end_event(event, ending, at=2.0, duration_s=1.0)
    events = history.events(ID)
    assert [event.name for event in events] == ["BeforeInstall", "AfterInstall"]
    assert (events[0].state, events[0].code, events[0].log_tail) == (State.FAILED, 4, "t")
    assert [(run.location, run.exit_code) for run in history.scripts(events[1].seq)] == [("a.sh", 3)]


def test_an_interrupted_deployment_closes_its_running_event(history: History) -> None:
    history.begin_event(ID, "Install", at=1.0)
    (row,) = history.unfinished()
    history.close_interrupted(row, Ending(state=State.INTERRUPTED, code=7, message="died"), at=3.0)
    assert history.unfinished() == ()
    assert history.events(ID)[0].code == 7


def test_deployments_come_newest_first_by_group(history: History) -> None:
    for number, group in ((2, "other"), (3, "blog")):
        deployment = Deployment(
            deployment_id=DeploymentId(f"d-{number}"),
            group_id=GroupId(group),
            group_name="",
            application="",
            revision=DEPLOYMENT.revision,
        )
        history.begin_deployment(deployment, folder="", owner=OWNER, at=1.0)
    assert [row.deployment_id for row in history.deployments()] == ["d-3", "d-2", "d-1"]
    assert [row.deployment_id for row in history.deployments(group_id=GROUP, limit=1)] == ["d-3"]


def test_archive_digests_are_replaced_and_forgotten(journal: Journal, history: History) -> None:
    assert history.deployment(ID)
    record_archive(journal, ID, [(b"old", 1, 2, 3, b"x")])
    record_archive(journal, ID, [(b"a\xff\n", 1, 2, 3, b"d" * 32)])
    assert archive_digests(journal, ID) == {b"a\xff\n": (1, 2, 3, b"d" * 32)}
    forget_archive(journal, ID)
    assert archive_digests(journal, ID) == {}
