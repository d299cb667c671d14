"""Starts every child of the project: argv list, explicit environment, own session, nothing inherited by accident.

Ending a child together with all it started is `agent.host.process_tree`'s.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import ToolError
from agent.host.process_table import started_s
from agent.host.users import UserIds

CHILD_UMASK = 0o022
PR_SET_CHILD_SUBREAPER = 36
TOOL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start. `user` None keeps our own ids; `stdout` and `stderr` are open descriptors the caller closes."""

    argv: Sequence[str | bytes]
    env: Mapping[str, str]
    cwd: Path
    stdout: int
    stderr: int
    user: UserIds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child of ours, not reaped before `exit_code` has seen its end. `started` is in seconds since boot."""

    pid: int
    started: float
    pidfd: int | None
    _popen: "subprocess.Popen[bytes]" = field(repr=False)

    def exit_code(self) -> int | None:
        """Return the exit code (negative: the signal it died of), None while it runs. Reaps it."""
        return self._popen.poll()

    def wait(self, timeout_s: float) -> int | None:
        """Return the exit code as soon as it is known, None when `timeout_s` passed without."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._popen.wait(timeout_s)
        return None

    def close(self) -> None:
        """Give back the descriptor; call once the child has been reaped."""
        if self.pidfd is not None:
            os.close(self.pidfd)


def start_child(command: Command) -> Child:
    """Start `command` in a session of its own, with `/dev/null` as standard input and default signals.

    Until it ends, everything it starts stays below it in the process tree, also what detaches itself (it is made the
    reaper of its orphans): that is how `end_tree` finds all of it.

    Raises:
        OSError: as the kernel gave it; the child is gone.
    """
    user = command.user
    popen = subprocess.Popen(
        list(command.argv),
        env=dict(command.env),
        cwd=command.cwd,
        stdin=subprocess.DEVNULL,
        stdout=command.stdout,
        stderr=command.stderr,
        start_new_session=True,
        umask=CHILD_UMASK,
        user=None if user is None else user.uid,
        group=None if user is None else user.gid,
        extra_groups=None if user is None else user.groups,
        preexec_fn=_fresh_state(),  # a few system calls, made ready before the fork
    )
    return Child(pid=popen.pid, started=started_s(popen.pid) or 0.0, pidfd=open_pidfd(popen.pid), _popen=popen)


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor that is readable once `pid` has ended, None where the kernel has none (before 5.3)."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _fresh_state() -> Callable[[], None]:
    """Return what the child does last before exec: no blocked or ignored signals, reaper of its own orphans."""
    ignored = [number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN]
    prctl = load_prctl()

    def run() -> None:
        for number in ignored:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        prctl(PR_SET_CHILD_SUBREAPER, 1)

    return run


def load_prctl() -> Callable[[int, int], int]:
    """Return the C library's `prctl` for a call with one number."""
    import ctypes  # a process that starts no hook script never pays for it

    function = ctypes.CDLL(None, use_errno=True).prctl

    def prctl(option: int, value: int) -> int:
        return int(function(option, ctypes.c_ulong(value), *(ctypes.c_ulong(0),) * 3))

    return prctl


def leave_draining(pipe: int) -> int:
    """Start a process that reads and discards `pipe` until its last writer is gone; return its pid.

    For a pipe we stop reading while somebody still writes: without a reader that process would die of SIGPIPE.

    Raises:
        OSError: no `cat` on this host.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        return os.posix_spawnp(
            "cat",
            ["cat"],
            {"PATH": TOOL_PATH},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, pipe, 0),
                (os.POSIX_SPAWN_DUP2, null, 1),
                (os.POSIX_SPAWN_DUP2, null, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGTERM),
        )
    finally:
        os.close(null)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """How a helper program ended. `exit_code` is negative for a signal."""

    exit_code: int
    stdout: bytes
    stderr: bytes


def run_tool(
    argv: Sequence[str | bytes],
    *,
    timeout_s: float,
    input: bytes | None = None,  # noqa: A002 - the name `subprocess` uses
    env: Mapping[str, str] | None = None,
) -> ToolResult:
    """Run a helper program of the system (`setfacl`, `nginx -t`) to its end and return what it said.

    Without `env` it gets the standard PATH and the C locale, so that its messages do not vary with ours. For programs
    that say little: all they say is held in memory.

    Raises:
        ToolError: it is not there, cannot be started, or did not end in time (it is then ended with its session).
    """
    name = os.fsdecode(argv[0])
    with _start_tool(name, argv, env, has_input=input is not None) as popen:
        try:
            stdout, stderr = popen.communicate(input, timeout_s)
        except subprocess.TimeoutExpired as exc:
            raise ToolError(f"program {name!r} did not end within {timeout_s:g} s", hint="try it by hand") from exc
        finally:
            if popen.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(popen.pid, signal.SIGKILL)
                popen.wait()
    return ToolResult(exit_code=popen.returncode, stdout=stdout, stderr=stderr)


def _start_tool(
    name: str, argv: Sequence[str | bytes], env: Mapping[str, str] | None, *, has_input: bool
) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            list(argv),
            env=dict(env) if env is not None else {"PATH": TOOL_PATH, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as exc:
        raise ToolError(f"program {name!r} is not on this host", hint=f"install the package that holds {name}") from exc
    except OSError as exc:
        hint = "see that this user may execute it, and that memory and process limits leave room"
        raise ToolError(f"program {name!r} cannot be started: {exc.strerror}", hint=hint) from exc
