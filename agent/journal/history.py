"""Reads and writes the rows of deployments, lifecycle events, hook scripts and groups. Decides nothing about them."""

import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from agent.core.deployment import Deployment, DeploymentId, GroupId
from agent.core.progress import ScriptStarted
from agent.journal.journal import Journal
from agent.journal.rows import DeploymentRow, EventRow, GroupState, OpenScript, Owner, ScriptRow, State

if TYPE_CHECKING:
    from agent.core.appspec.model import HookScript

_DEPLOYMENT = (
    "seq, deployment_id, group_id, group_name, application, revision, folder, state, pid, pid_started, created_at,"
    " ended_at, bundle"
)
_EVENT = "seq, deployment_id, name, state, started_at, duration_s, code, script, message, hint, log_tail"
_SCRIPT = "event_seq, location, runas, timeout_s, started_at, duration_s, exit_code"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a lifecycle event ended, in the diagnostics' terms."""

    state: State
    code: int
    message: str
    hint: str = ""
    script: str = ""
    exit_code: int | None = None
    log_tail: str = ""


class History:
    """Typed access to the history tables of one open journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def begin_deployment(self, deployment: Deployment, *, folder: str, owner: Owner, at: float) -> None:
        """Record that work on a deployment begins. Raises: AgentFault when its id was used before."""
        options = {
            "creator": str(deployment.creator),
            "type": str(deployment.deployment_type),
            "appspec_filename": deployment.appspec_filename,
            "file_exists_behavior": str(deployment.file_exists_behavior),
            "all_events": deployment.all_events,
        }
        row = (
            deployment.deployment_id, deployment.group_id, deployment.group_name, deployment.application,
            revision_json(deployment), json.dumps(options), folder, State.RUNNING, owner.pid, owner.started, at,
        )  # fmt: skip
        with self._journal.transaction() as connection:
            connection.execute(
                "INSERT INTO deployment (deployment_id, group_id, group_name, application, revision, options, folder,"
                " state, pid, pid_started, created_at) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                row,
            )

    def end_deployment(self, deployment_id: DeploymentId, state: State, *, at: float) -> None:
        """Record how a deployment ended; a success makes it its group's last good one, in the same transaction."""
        with self._journal.transaction() as connection:
            connection.execute(
                "UPDATE deployment SET state = ?, ended_at = ? WHERE deployment_id = ?", (state, at, deployment_id)
            )
            if state is State.SUCCEEDED:
                connection.execute(
                    "INSERT INTO group_state (group_id, last_good_deployment_id)"
                    " SELECT group_id, deployment_id FROM deployment WHERE deployment_id = ?"
                    " ON CONFLICT (group_id) DO UPDATE SET last_good_deployment_id = excluded.last_good_deployment_id",
                    (deployment_id,),
                )

    def begin_event(self, deployment_id: DeploymentId, name: str, *, at: float) -> int:
        """Record that a lifecycle event begins; returns its row's number."""
        with self._journal.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO event (deployment_id, name, state, started_at) VALUES (?,?,?,?)",
                (deployment_id, name, State.RUNNING, at),
            )
        return _new_row(cursor)

    def end_event(self, seq: int, ending: Ending, *, at: float, duration_s: float) -> None:
        """Record how a lifecycle event ended. `seq` is what `begin_event` returned."""
        with self._journal.transaction() as connection:
            connection.execute(
                "UPDATE event SET state=?, code=?, message=?, hint=?, script=?, log_tail=?, ended_at=?, duration_s=?"
                " WHERE seq = ?",
                (
                    ending.state, ending.code, ending.message, ending.hint, ending.script, ending.log_tail, at,
                    duration_s, seq,
                ),
            )  # fmt: skip

    def begin_script(self, event_seq: int, script: ScriptStarted, *, at: float, pid_started: float | None) -> int:
        """Record that a hook script runs; returns its row's number. `pid_started` is the kernel's, as in Owner."""
        with self._journal.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO script (event_seq, location, runas, timeout_s, pid, pid_started, started_at)"
                " VALUES (?,?,?,?,?,?,?)",
                (event_seq, script.location, script.runas, script.timeout_s, script.pid, pid_started, at),
            )
        return _new_row(cursor)

    def end_script(self, seq: int, *, exit_code: int | None, duration_s: float) -> None:
        """Record how a hook script ended. `seq` is what `begin_script` returned; codes are those of ScriptRow."""
        with self._journal.transaction() as connection:
            connection.execute(
                "UPDATE script SET exit_code = ?, duration_s = ? WHERE seq = ?", (exit_code, duration_s, seq)
            )

    def record_bundle(self, deployment_id: DeploymentId, facts: Mapping[str, object]) -> None:
        """Remember what was downloaded: `type`, `size_bytes`, `sha256`, `etag`, `version`, `commit`."""
        with self._journal.transaction() as connection:
            connection.execute(
                "UPDATE deployment SET bundle = ? WHERE deployment_id = ?", (json.dumps(dict(facts)), deployment_id)
            )

    def record_hooks(self, deployment_id: DeploymentId, hooks: Mapping[str, Iterable["HookScript"]]) -> None:
        """Write down what the revision's AppSpec asks for, so that nobody has to parse it again to know."""
        rows = [
            (deployment_id, event, position, script.location, script.timeout_s, script.runas, script.sudo)
            for event, scripts in hooks.items()
            for position, script in enumerate(scripts)
        ]
        with self._journal.transaction() as connection:
            connection.execute("DELETE FROM hook WHERE deployment_id = ?", (deployment_id,))
            connection.executemany(
                "INSERT INTO hook (deployment_id, event, position, location, timeout_s, runas, sudo)"
                " VALUES (?,?,?,?,?,?,?)",
                rows,
            )

    def deployment(self, deployment_id: DeploymentId) -> DeploymentRow | None:
        """Return one deployment, None when it is not known."""
        row = self._one(f"SELECT {_DEPLOYMENT} FROM deployment WHERE deployment_id = ?", deployment_id)
        return _deployment(row) if row else None

    def options(self, deployment_id: DeploymentId) -> Mapping[str, object]:
        """How it was asked for: `creator`, `type`, `appspec_filename`, `file_exists_behavior`, `all_events`."""
        row = self._one("SELECT options FROM deployment WHERE deployment_id = ?", deployment_id)
        options: dict[str, object] = json.loads(row[0]) if row else {}
        return options

    def deployments(self, *, group_id: GroupId | None = None, limit: int = -1) -> Iterator[DeploymentRow]:
        """Deployments, newest first; all groups unless one is named; `limit` -1 means every one."""
        rows = self._journal.connection.execute(
            f"SELECT {_DEPLOYMENT} FROM deployment WHERE ?1 IS NULL OR group_id = ?1 ORDER BY seq DESC LIMIT ?2",
            (group_id, limit),
        )
        return map(_deployment, rows)

    def unfinished(self) -> tuple[DeploymentRow, ...]:
        """Deployments that nobody recorded an end of, oldest first."""
        rows = self._journal.connection.execute(
            f"SELECT {_DEPLOYMENT} FROM deployment WHERE state = ? ORDER BY seq", (State.RUNNING,)
        )
        return tuple(map(_deployment, rows))

    def events(self, deployment_id: DeploymentId) -> tuple[EventRow, ...]:
        """Return a deployment's lifecycle events in the order they began."""
        rows = self._journal.connection.execute(
            f"SELECT {_EVENT} FROM event WHERE deployment_id = ? ORDER BY seq", (deployment_id,)
        )
        return tuple(map(_event, rows))

    def scripts(self, event_seq: int) -> tuple[ScriptRow, ...]:
        """Return the hook scripts of one lifecycle event in the order they were started."""
        rows = self._journal.connection.execute(
            f"SELECT {_SCRIPT} FROM script WHERE event_seq = ? ORDER BY seq", (event_seq,)
        )
        return tuple(map(_script, rows))

    def scripts_without_end(self, group_id: GroupId) -> tuple[OpenScript, ...]:
        """Scripts of a group that nobody saw end: one runs, or its worker died before it did."""
        rows = self._journal.connection.execute(
            "SELECT deployment_id, location, script.pid, script.pid_started FROM script"
            " JOIN event ON event.seq = event_seq JOIN deployment USING (deployment_id)"
            " WHERE group_id = ? AND script.duration_s IS NULL AND script.pid_started IS NOT NULL",
            (group_id,),
        )
        return tuple(
            OpenScript(deployment_id=deployment_id, location=location, owner=Owner(pid=pid, started=started))
            for deployment_id, location, pid, started in rows
        )

    def group_state(self, group_id: GroupId) -> GroupState:
        """Return what is remembered of a group; nothing of one that is not known."""
        row = self._one("SELECT last_good_deployment_id, taken_over_at FROM group_state WHERE group_id = ?", group_id)
        return _from_row(GroupState, row) if row else GroupState()

    def close_interrupted(self, row: DeploymentRow, ending: Ending, *, at: float) -> None:
        """Record that a deployment's process died: its running event gets `ending`, the deployment is interrupted."""
        with self._journal.transaction() as connection:
            connection.execute(
                "UPDATE event SET state=?, code=?, message=?, hint=?, ended_at=? WHERE deployment_id=? AND state=?",
                (ending.state, ending.code, ending.message, ending.hint, at, row.deployment_id, State.RUNNING),
            )
            connection.execute(
                "UPDATE deployment SET state = ?, ended_at = ? WHERE deployment_id = ?",
                (State.INTERRUPTED, at, row.deployment_id),
            )

    def _one(self, sql: str, *arguments: str) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._journal.connection.execute(sql, arguments).fetchone()
        return row


def revision_json(deployment: Deployment) -> str:
    """A revision as JSON text: its kind and its fields, for people and for `agentctl show --json`."""
    fields = {key: str(value) for key, value in dataclasses.asdict(deployment.revision).items() if value is not None}
    kind = type(deployment.revision).__name__.removesuffix("Revision")
    return json.dumps({"kind": kind, **fields}, sort_keys=True)


def _deployment(row: tuple[Any, ...]) -> DeploymentRow:
    seq, deployment_id, group_id, group_name, application, revision, folder, state, pid, started, at, ended, bundle = (
        row
    )
    return DeploymentRow(
        seq=seq,
        deployment_id=deployment_id,
        group_id=group_id,
        group_name=group_name,
        application=application,
        revision=revision,
        folder=folder,
        state=State(state),
        owner=Owner(pid=pid, started=started),
        created_at=at,
        ended_at=ended,
        bundle=bundle,
    )


def _event(row: tuple[Any, ...]) -> EventRow:
    seq, deployment_id, name, state, *rest = row
    return _from_row(EventRow, (seq, deployment_id, name, State(state), *rest))


def _script(row: tuple[Any, ...]) -> ScriptRow:
    return _from_row(ScriptRow, row)


_Row = TypeVar("_Row", EventRow, ScriptRow, GroupState)


def _from_row(kind: type[_Row], row: tuple[Any, ...]) -> _Row:
    """Build a value whose fields stand in the order of the columns asked for."""
    names = (field.name for field in dataclasses.fields(kind))
    return kind(**dict(zip(names, row, strict=True)))


def _new_row(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid
