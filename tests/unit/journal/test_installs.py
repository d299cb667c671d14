"""Install transactions and the ownership table: what is written together, and read back as it was."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.appspec.model import AclEntry
from agent.core.deployment import DeploymentId, GroupId
from agent.core.install_model import Attributes, Kind, Recorded
from agent.core.install_steps import Change, FileChange, Occupant, Step, StepKind, TempNames
from agent.journal.installs import InstallRow, Installs, InstallState
from agent.journal.journal import Journal

GROUP = GroupId("blog")
DEPLOYMENT = DeploymentId("d-1")
NAMES = TempNames(token="0123456789ab")
ODD = b"/srv/\xff\n name"
STEPS = (
    Step(kind=StepKind.CREATE, path=ODD, temp=NAMES.name(1), staged=2**63 - 1),
    Step(
        kind=StepKind.ATTRIBUTES,
        path=b"/srv/x",
        old=Occupant(ino=1, kind=Kind.FILE, size=2, mtime_ns=3),
        old_attributes=Attributes(mode=0o644, acl=(), context=""),
        new_attributes=Attributes(
            mode=0o600, acl=(AclEntry(default=False, kind="user", name="1", perms="r--"),), default_acl=()
        ),
    ),
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.connection.execute(
            "INSERT INTO deployment (deployment_id, group_id, group_name, application, revision, options, folder,"
            " state, pid, pid_started, created_at)"
            " VALUES ('d-1', 'blog', 'blog', 'site', '{}', '{}', '/', 'running', 1, 0, 0)"
        )
        yield journal


@pytest.fixture
def installs(journal: Journal) -> Installs:
    return Installs(journal)


@pytest.fixture
def row(installs: Installs) -> InstallRow:
    return installs.begin(DEPLOYMENT, GROUP, NAMES, [b"/srv", ODD], at=1.0)


def present(path: Path, sha256: bytes | None = None) -> tuple[FileChange, os.stat_result]:
    change = FileChange(path=os.fsencode(path), change=Change.CREATED, kind=Kind.FILE, sha256=sha256, acl="x")
    return change, os.lstat(path)


def test_a_new_transaction_is_staging_and_knows_its_folders(installs: Installs, row: InstallRow) -> None:
    assert installs.unfinished() == (row,)
    assert row.state is InstallState.STAGING
    assert set(installs.folders(row)) == {b"/srv", ODD}


def test_steps_and_changes_are_read_back_as_they_were(installs: Installs, row: InstallRow) -> None:
    changes = (FileChange(path=ODD, change=Change.REPLACED, kind=Kind.SYMLINK, sha256=b"d", context="u:r:t:s0"),)
    installs.begin_commit(row, STEPS, changes)
    assert installs.steps(row) == STEPS
    assert installs.changes(DEPLOYMENT) == changes
    assert installs.unfinished()[0].state is InstallState.COMMITTING


def test_finishing_records_what_is_ours_and_forgets_what_is_not(
    installs: Installs, row: InstallRow, tmp_path: Path
) -> None:
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("22")
    installs.begin_finish(row, [present(tmp_path / "one")], [])
    installs.begin_finish(row, [present(tmp_path / "two", b"digest")], [os.fsencode(tmp_path / "one")])
    (record,) = installs.recorded(GROUP).values()
    assert record.path == os.fsencode(tmp_path / "two")
    assert (record.size, record.sha256, record.acl, record.kind) == (2, b"digest", "x", Kind.FILE)
    assert record.ctime_ns == os.stat(tmp_path / "two").st_ctime_ns
    assert installs.unfinished()[0].state is InstallState.FINISHING


def test_an_end_leaves_no_steps_and_no_folders(installs: Installs, row: InstallRow) -> None:
    installs.begin_commit(row, STEPS, ())
    installs.end(row, InstallState.DONE, at=2.0)
    assert installs.unfinished() == ()
    assert installs.steps(row) == ()
    assert installs.folders(row) == ()


def test_an_aborted_install_changed_nothing(installs: Installs, row: InstallRow) -> None:
    installs.begin_commit(row, STEPS, [FileChange(path=ODD, change=Change.CREATED, kind=Kind.FILE)])
    installs.begin_undo(row)
    installs.end(row, InstallState.ABORTED, at=2.0)
    assert installs.changes(DEPLOYMENT) == ()


def test_taking_over_leaves_records_of_ours(installs: Installs, row: InstallRow, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    installs.begin_finish(row, [present(tmp_path / "one", b"ours")], [])
    (known,) = installs.recorded(GROUP).values()
    other = Recorded(
        path=ODD, group_id="blog", deployment_id="d-0", kind=Kind.FILE, mode=0o644, uid=0, gid=0, size=1, mtime_ns=1,
        ino=1, ctime_ns=1, sha256=None, acl=None, context=None,
    )  # fmt: skip
    assert not installs.is_taken_over(GROUP)
    installs.take_over(GROUP, [other, known], at=1.0)
    assert installs.is_taken_over(GROUP)
    assert installs.recorded(GROUP) == {known.path: known, ODD: other}
    assert installs.recorded_everywhere() == installs.recorded(GROUP)
