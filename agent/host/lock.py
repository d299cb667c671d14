"""Keeps two deployments from working on one deployment group or on overlapping destinations.

A lock is a file below the state folder that its holder keeps flock-ed; the kernel lets go when the holder dies, so a
lock is never stale. What is held, and by whom, stands in the file as JSON. Acquiring is serialised by one more flock.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.core.deployment import DeploymentId, GroupId
from agent.errors import AgentFault, DestinationLockedError

_MUTEX = "mutex"


@dataclass(slots=True)
class HostLock:
    """One deployment's hold on its group and, once Install knows them, on its destinations."""

    folder: Path
    deployment_id: DeploymentId
    group_id: GroupId
    _fd: int = -1
    _destinations: tuple[bytes, ...] = ()

    def acquire(self) -> None:
        """Take the deployment group.

        Raises:
            DestinationLockedError: another live process works on the group; the message says which.
            AgentFault: the lock folder cannot be used.
        """
        with self._mutex(make_folder=True):
            for holder in self._holders():
                if holder.group_id == self.group_id:
                    raise _held(f"deployment group {self.group_id!r}", holder)
            self._fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write()

    def add_destinations(self, destinations: Sequence[bytes]) -> None:
        """Take destination folders (absolute, links resolved) as well; one inside another counts as the same.

        Raises:
            DestinationLockedError: another live deployment installs there; nothing more is held than before.
            AgentFault: the lock folder cannot be used.
        """
        with self._mutex():
            for holder in self._holders():
                for ours in destinations:
                    if any(overlap(ours, theirs) for theirs in holder.destinations):
                        raise _held(f"destination {os.fsdecode(ours)!r}", holder)
            self._destinations = tuple(dict.fromkeys((*self._destinations, *destinations)))
            self._write()

    def release(self) -> None:
        """Let go of everything; may be called again."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            with self._mutex():
                self._file.unlink(missing_ok=True)
        except AgentFault:
            pass  # the file is gone, or is removed by whoever looks next: closing it is what lets go
        finally:
            os.close(fd)

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.deployment_id}.lock"

    def _write(self) -> None:
        content = {
            "pid": os.getpid(),
            "deployment_id": self.deployment_id,
            "group_id": self.group_id,
            "destinations": [os.fsdecode(path) for path in self._destinations],
        }
        data = json.dumps(content).encode()
        os.pwrite(self._fd, data, 0)
        os.ftruncate(self._fd, len(data))

    @contextmanager
    def _mutex(self, *, make_folder: bool = False) -> Iterator[None]:
        try:
            if make_folder:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.folder / _MUTEX, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                yield
            finally:
                os.close(fd)
        except OSError as exc:
            raise AgentFault(
                f"lock folder {str(self.folder)!r}: {exc.strerror}",
                hint="check that this folder is there and can be written; a hook script may have removed it",
            ) from exc

    def _holders(self) -> Iterator["_Holder"]:
        for path in sorted(self.folder.glob("*.lock")):
            # Until we hold it, the file of our name is another's: of a recovery of the same group.
            is_ours = path == self._file and self._fd >= 0
            if not is_ours and (holder := _read_holder(path)) is not None:
                yield holder


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    """What a live lock file says."""

    pid: int
    deployment_id: str
    group_id: str
    destinations: tuple[bytes, ...]


def _read_holder(path: Path) -> _Holder | None:
    """Return who holds `path`, None when nobody does; a file left by a dead process is removed."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        content = json.loads(os.pread(fd, 1 << 20, 0))
        return _Holder(
            pid=content["pid"],
            deployment_id=content["deployment_id"],
            group_id=content["group_id"],
            destinations=tuple(os.fsencode(text) for text in content["destinations"]),
        )
    else:
        path.unlink(missing_ok=True)
        return None
    finally:
        os.close(fd)


def overlap(one: bytes, other: bytes) -> bool:
    """Say whether one of two absolute paths is the other or lies inside it."""
    one, other = one.rstrip(b"/") + b"/", other.rstrip(b"/") + b"/"
    return one.startswith(other) or other.startswith(one)


def _held(what: str, holder: _Holder) -> DestinationLockedError:
    return DestinationLockedError(
        f"{what} is held by deployment {holder.deployment_id} (pid {holder.pid})",
        hint="wait until it has ended, or stop that process; the lock goes with it",
    )
