"""Install transactions and the ownership table as typed rows. Knows what is written together; decides nothing.

An install moves through its states only here, each move one durable transaction. What a state promises:
`staging` nothing but hidden names exists; `committing` all new content is durable under hidden names and the steps
are known, roll forward; `undoing` roll back; `finishing` the new tree is whole and durable, the old content may go.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NewType

from agent.compat import StrEnum
from agent.core.appspec.model import AclEntry
from agent.core.deployment import DeploymentId, GroupId
from agent.core.install_model import Attributes, Kind, Recorded
from agent.core.install_steps import Change, FileChange, Occupant, Step, StepKind, TempNames
from agent.journal.journal import Journal

InstallSeq = NewType("InstallSeq", int)


class InstallState(StrEnum):
    """Where an install transaction stands; the module says what each state promises."""

    STAGING = "staging"
    COMMITTING = "committing"
    UNDOING = "undoing"
    FINISHING = "finishing"
    DONE = "done"
    ABORTED = "aborted"


OPEN_STATES = (InstallState.STAGING, InstallState.COMMITTING, InstallState.UNDOING, InstallState.FINISHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallRow:
    """One install transaction."""

    seq: InstallSeq
    deployment_id: DeploymentId
    group_id: GroupId
    names: TempNames
    state: InstallState


_RECORDED = "path, group_id, deployment_id, kind, mode, uid, gid, size, mtime_ns, ino, ctime_ns, sha256, acl, context"
_INSERT_RECORDED = f"INSERT OR REPLACE INTO installed ({_RECORDED}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_KINDS = {kind.value: kind for kind in Kind}  # found sooner than Kind(value) is
_STEP = "kind, path, temp, staged, old_kind, old_ino, old_size, old_mtime_ns, attributes"


class Installs:
    """Typed access to the install tables of one open journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def begin(
        self, deployment_id: DeploymentId, group_id: GroupId, names: TempNames, folders: Iterable[bytes], *, at: float
    ) -> InstallRow:
        """Record the intent to stage content under hidden names in `folders`."""
        with self._journal.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO install (deployment_id, group_id, token, state, started_at) VALUES (?,?,?,?,?)",
                (deployment_id, group_id, names.token, InstallState.STAGING, at),
            )
            assert cursor.lastrowid is not None
            seq = InstallSeq(cursor.lastrowid)
            connection.executemany(
                "INSERT INTO install_folder (install_seq, path) VALUES (?,?)", ((seq, folder) for folder in folders)
            )
        return InstallRow(
            seq=seq, deployment_id=deployment_id, group_id=group_id, names=names, state=InstallState.STAGING
        )

    def begin_commit(self, row: InstallRow, steps: Sequence[Step], changes: Sequence[FileChange]) -> None:
        """Record what commit will do and what will then be ours: from here on the install rolls forward."""
        with self._journal.transaction() as connection:
            connection.executemany(
                f"INSERT INTO install_step (install_seq, position, {_STEP}) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                ((row.seq, position, *_step_row(step)) for position, step in enumerate(steps)),
            )
            connection.execute("DELETE FROM file_change WHERE deployment_id = ?", (row.deployment_id,))
            connection.executemany(
                "INSERT INTO file_change (deployment_id, path, change, kind, sha256, acl, context)"
                " VALUES (?,?,?,?,?,?,?)",
                (
                    (row.deployment_id, path, change.value, kind.value, sha256, acl, context)
                    for path, change, kind, sha256, acl, context in changes
                ),
            )
            _set_state(connection, row, InstallState.COMMITTING)

    def begin_undo(self, row: InstallRow) -> None:
        """Record that the old tree comes back."""
        with self._journal.transaction() as connection:
            _set_state(connection, row, InstallState.UNDOING)

    def begin_finish(
        self, row: InstallRow, present: Iterable[tuple[FileChange, os.stat_result]], gone: Iterable[bytes]
    ) -> None:
        """Record that the new tree stands: what is `present` is ours from now on, the paths in `gone` no longer."""
        with self._journal.transaction() as connection:
            connection.executemany("DELETE FROM installed WHERE path = ?", ((path,) for path in gone))
            connection.executemany(_INSERT_RECORDED, (_present_row(row, *item) for item in present))
            _set_state(connection, row, InstallState.FINISHING)

    def end(self, row: InstallRow, state: InstallState, *, at: float, gone: Iterable[bytes] = ()) -> None:
        """Close the transaction as done or aborted; `gone` are folders that finishing has removed."""
        assert state not in OPEN_STATES
        with self._journal.transaction() as connection:
            connection.executemany("DELETE FROM installed WHERE path = ?", ((path,) for path in gone))
            connection.execute("DELETE FROM install_step WHERE install_seq = ?", (row.seq,))
            connection.execute("DELETE FROM install_folder WHERE install_seq = ?", (row.seq,))
            if state is InstallState.ABORTED:
                connection.execute("DELETE FROM file_change WHERE deployment_id = ?", (row.deployment_id,))
            connection.execute("UPDATE install SET state = ?, ended_at = ? WHERE seq = ?", (state, at, row.seq))

    def unfinished(self) -> tuple[InstallRow, ...]:
        """Transactions without an end, oldest first."""
        marks = ",".join("?" for _ in OPEN_STATES)
        rows = self._journal.connection.execute(
            f"SELECT seq, deployment_id, group_id, token, state FROM install WHERE state IN ({marks}) ORDER BY seq",
            OPEN_STATES,
        )
        return tuple(
            InstallRow(
                seq=seq, deployment_id=deployment_id, group_id=group_id, names=TempNames(token=token),
                state=InstallState(state),
            )
            for seq, deployment_id, group_id, token, state in rows
        )  # fmt: skip

    def folders(self, row: InstallRow) -> tuple[bytes, ...]:
        """Folders that may hold hidden names of this transaction."""
        rows = self._journal.connection.execute(
            "SELECT path FROM install_folder WHERE install_seq = ? ORDER BY path", (row.seq,)
        )
        return tuple(path for (path,) in rows)

    def steps(self, row: InstallRow) -> tuple[Step, ...]:
        """The steps of this transaction in the order of commit."""
        rows = self._journal.connection.execute(
            f"SELECT {_STEP} FROM install_step WHERE install_seq = ? ORDER BY position", (row.seq,)
        )
        return tuple(map(_step, rows))

    def changes(self, deployment_id: DeploymentId) -> tuple[FileChange, ...]:
        """What this deployment's Install changed, or is about to, by path."""
        rows = self._journal.connection.execute(
            "SELECT path, change, kind, sha256, acl, context FROM file_change WHERE deployment_id = ? ORDER BY path",
            (deployment_id,),
        )
        return tuple(
            FileChange(path=path, change=Change(change), kind=Kind(kind), sha256=sha256, acl=acl, context=context)
            for path, change, kind, sha256, acl, context in rows
        )

    def recorded(self, group_id: GroupId) -> Mapping[bytes, Recorded]:
        """Every path this group has put on the host, in order."""
        rows = self._journal.connection.execute(
            f"SELECT {_RECORDED} FROM installed WHERE group_id = ? ORDER BY path", (group_id,)
        )
        return {row[0]: _recorded(row) for row in rows}

    def recorded_tops(self, group_id: GroupId) -> tuple[bytes, ...]:
        """The recorded paths of this group that lie below no other one: where it has installed, in few words."""
        rows = self._journal.connection.execute(
            "SELECT path FROM installed WHERE group_id = ? ORDER BY path || '/'", (group_id,)
        )
        tops: list[bytes] = []
        for (path,) in rows:
            if not tops or not path.startswith(tops[-1] + b"/"):
                tops.append(path)
        return tuple(tops)

    def recorded_everywhere(self) -> Mapping[bytes, Recorded]:
        """Every path that any group has put on the host, in order."""
        rows = self._journal.connection.execute(f"SELECT {_RECORDED} FROM installed ORDER BY path")
        return {row[0]: _recorded(row) for row in rows}

    def take_over(self, group_id: GroupId, records: Iterable[Recorded], *, at: float) -> None:
        """Record what another agent installed for this group, and that this has been looked at; rows of ours stay."""
        with self._journal.transaction() as connection:
            connection.executemany(_INSERT_RECORDED.replace("OR REPLACE", "OR IGNORE"), records)
            connection.execute(
                "INSERT INTO group_state (group_id, taken_over_at) VALUES (?, ?)"
                " ON CONFLICT (group_id) DO UPDATE SET taken_over_at = excluded.taken_over_at",
                (group_id, at),
            )

    def is_taken_over(self, group_id: GroupId) -> bool:
        """Say whether the official agent's files of a group were read already."""
        row = self._journal.connection.execute(
            "SELECT 1 FROM group_state WHERE group_id = ? AND taken_over_at IS NOT NULL", (group_id,)
        ).fetchone()
        return row is not None


def _set_state(connection: sqlite3.Connection, row: InstallRow, state: InstallState) -> None:
    connection.execute("UPDATE install SET state = ? WHERE seq = ?", (state, row.seq))


def _present_row(row: InstallRow, change: FileChange, status: os.stat_result) -> tuple[object, ...]:
    path, _, kind, sha256, acl, context = change
    size = 0 if kind is Kind.DIRECTORY else status.st_size
    return (
        path, row.group_id, row.deployment_id, kind.value, status.st_mode & 0o7777, status.st_uid, status.st_gid, size,
        status.st_mtime_ns, status.st_ino, status.st_ctime_ns, sha256, acl, context,
    )  # fmt: skip


def _recorded(row: tuple[Any, ...]) -> Recorded:
    path, group_id, deployment_id, kind, *rest = row
    return Recorded(path, group_id, deployment_id, _KINDS[kind], *rest)


def _step_row(step: Step) -> tuple[object, ...]:
    old = step.old
    occupant = (old.kind.value, old.ino, old.size, old.mtime_ns) if old else (None, None, None, None)
    attributes = None
    if step.old_attributes is not None and step.new_attributes is not None:
        attributes = json.dumps([_attributes_json(step.old_attributes), _attributes_json(step.new_attributes)])
    return (step.kind.value, step.path, step.temp, step.staged, *occupant, attributes)


def _step(row: tuple[Any, ...]) -> Step:
    kind, path, temp, staged, old_kind, old_ino, old_size, old_mtime_ns, attributes = row
    old = None
    if old_kind is not None:
        old = Occupant(ino=old_ino, kind=Kind(old_kind), size=old_size, mtime_ns=old_mtime_ns)
    before, after = json.loads(attributes) if attributes else (None, None)
    return Step(
        kind=StepKind(kind),
        path=path,
        temp=temp,
        staged=staged,
        old=old,
        old_attributes=_attributes(before) if before else None,
        new_attributes=_attributes(after) if after else None,
    )


def _attributes_json(attributes: Attributes) -> dict[str, object]:
    return {
        "mode": attributes.mode,
        "uid": attributes.uid,
        "gid": attributes.gid,
        "mtime_ns": attributes.mtime_ns,
        "acl": _acl_json(attributes.acl),
        "default_acl": _acl_json(attributes.default_acl),
        "context": attributes.context,
    }


def _acl_json(acl: tuple[AclEntry, ...] | None) -> list[list[object]] | None:
    return None if acl is None else [[entry.default, entry.kind, entry.name, entry.perms] for entry in acl]


def _attributes(fields: dict[str, Any]) -> Attributes:
    acl, default_acl = (_acl(fields.pop(name)) for name in ("acl", "default_acl"))
    return Attributes(**fields, acl=acl, default_acl=default_acl)


def _acl(rows: list[list[Any]] | None) -> tuple[AclEntry, ...] | None:
    if rows is None:
        return None
    return tuple(AclEntry(default=default, kind=kind, name=name, perms=perms) for default, kind, name, perms in rows)
