"""Opens the journal and runs transactions on it. Knows SQLite and the migrations; its tables are read elsewhere.

One object belongs to one thread. Every commit is on disk when it returns (WAL, synchronous=FULL).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from agent.errors import AgentFault
from agent.journal.schema import MIGRATIONS

BUSY_TIMEOUT_S = 10.0


class Journal:
    """An open journal. Use as a context manager, or call `close`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path

    @classmethod
    def open(cls, path: Path) -> "Journal":
        """Open the journal at `path`, made (readable by its owner only) and migrated as needed.

        Raises:
            AgentFault: the file cannot be opened, is damaged, or was written by a newer agent.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        except (OSError, sqlite3.Error) as exc:
            raise _fault(path, exc) from exc
        journal = cls(connection, path)
        try:
            path.chmod(0o600)
            connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
            journal._migrate()
        except (OSError, sqlite3.Error) as exc:
            connection.close()
            raise _fault(path, exc) from exc
        except AgentFault:
            connection.close()
            raise
        return journal

    @classmethod
    def open_to_read(cls, path: Path) -> "Journal":
        """Open a journal that may not or cannot be written, on a file system that went read-only for one.

        Raises:
            AgentFault: it cannot be read, is damaged, or is of another version than this agent.
        """
        for how in ("mode=ro", "mode=ro&immutable=1"):  # without its shared memory file only as a still picture
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)
            journal = cls(connection, path)
            try:
                version = journal._version()
            except sqlite3.Error as exc:
                connection.close()
                failure = exc
                continue
            if version == len(MIGRATIONS):
                return journal
            connection.close()
            raise AgentFault(
                f"journal {path}: has schema {version}, this agent reads {len(MIGRATIONS)}",
                hint="run a command of this agent as the user who deploys, or install the newer agent",
            )
        raise _fault(path, failure) from failure

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one transaction: committed and durable at the end, undone by an exception.

        Raises:
            AgentFault: the journal cannot be written, or another process held it for too long.
        """
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")
        except sqlite3.Error as exc:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise _fault(self.path, exc) from exc

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        with self.transaction() as connection:
            version = self._version()
            if version > len(MIGRATIONS):
                raise AgentFault(
                    f"journal {self.path}: written by a newer agent (schema {version}, this agent knows"
                    f" {len(MIGRATIONS)})",
                    hint="install the newer agent again, or move the journal away to start without history",
                )
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")

    def _version(self) -> int:
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        return int(version)


def _statements(script: str) -> Iterator[str]:
    """Split a migration, since `executescript` would commit the transaction it runs in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _fault(path: Path, exc: Exception) -> AgentFault:
    return AgentFault(
        f"journal {path}: {exc}",
        hint="check free space and permissions of its folder; if the file is damaged, move it away and keep it",
    )
