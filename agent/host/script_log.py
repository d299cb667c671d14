"""The logs that hook scripts' output goes to: `scripts.log` of a deployment and the log of all deployments.

Knows their formats, and keeps them within bounds by rotation. What is written are whole lines of clean text.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_OPEN_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE_MODE = 0o644

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """How large one file may get, and how many there may be, the current one included."""

    max_bytes: int = 64 * 1024 * 1024
    files: int = 8


class RotatingLog:
    """A file that is appended to by one or several processes and kept within `limits`.

    Older files are called `name.1` (the newest) and so on. Each call of `write` is one append, so that lines of several
    writers do not mix.
    """

    def __init__(self, path: Path, limits: LogLimits) -> None:
        self._path = path
        self._limits = limits
        self._fd: int | None = None

    def write(self, lines: bytes) -> None:
        """Append whole lines. Raises: OSError."""
        fd = self._current()
        if os.fstat(fd).st_size + len(lines) > self._limits.max_bytes:
            fd = self._rotate(fd)
        view = memoryview(lines)
        while view:
            view = view[os.write(fd, view) :]

    def _current(self) -> int:
        if self._fd is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, _OPEN_FLAGS, _FILE_MODE)
        return self._fd

    def _rotate(self, fd: int) -> int:
        """Move the files up by one, unless another process just did; return the file to write to now."""
        fcntl.flock(fd, fcntl.LOCK_EX)  # released with the descriptor
        if self._is_current(fd) and os.fstat(fd).st_size > 0:
            self._shift()
        self.close()
        return self._current()

    def _is_current(self, fd: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(fd), os.stat(self._path))
        return False

    def _shift(self) -> None:
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, self._limits.files))]
        if len(names) == 1:
            self._path.unlink()
        for older, newer in zip(reversed(names), list(reversed(names))[1:], strict=False):
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class ScriptLog:
    """`scripts.log` of one deployment, and the deployments log where there is one.

    A log that cannot be written costs its lines and not the deployment: `take_problem` says so, once per log.
    """

    def __init__(
        self,
        path: Path,
        deployment_id: str,
        *,
        deployments_log: Path | None = None,
        limits: LogLimits | None = None,
        clock: Clock = time.time,
    ) -> None:
        limits = limits or LogLimits()
        self._clock = clock
        self._logs: list[tuple[Path, RotatingLog, Callable[[float], str]]] = [
            (path, RotatingLog(path, limits), _script_prefix)
        ]
        if deployments_log is not None:
            log = RotatingLog(deployments_log, limits)
            self._logs.append((deployments_log, log, lambda now: f"{_deployments_prefix(now)} [{deployment_id}]"))
        self._problems: list[str] = []

    def write(self, tag: str, lines: str) -> None:
        """Append whole lines (each with its line end), every one behind the time and `tag`."""
        now = self._clock()
        for entry in tuple(self._logs):
            path, log, prefix_of = entry
            prefix = f"{prefix_of(now)}{tag}"
            text = f"{prefix}{lines[:-1].replace(chr(10), f'{chr(10)}{prefix}')}\n"
            try:
                log.write(text.encode())
            except OSError as exc:
                self._problems.append(f"{path}: script output is no longer logged: {exc.strerror}")
                self._logs.remove(entry)
                log.close()

    def take_problems(self) -> Iterator[str]:
        """Yield what went wrong since the last call."""
        while self._problems:
            yield self._problems.pop(0)

    def close(self) -> None:
        for _, log, _ in self._logs:
            log.close()


def _script_prefix(now: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S ", time.localtime(now))


def _deployments_prefix(now: float) -> str:
    return time.strftime(f"[%Y-%m-%d %H:%M:%S.{int(now * 1000) % 1000:03d}]", time.localtime(now))
