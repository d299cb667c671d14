"""Runs one hook script: starts it, keeps its time limit, takes in its output, and says how it ended.

Who the script runs as, what its environment is and where its output goes are the caller's.
"""

import contextlib
import errno
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from agent.errors import HookCancelledError, HookError, HookFailedError, HookOutputOpenError, HookTimeoutError
from agent.host.process import Child, Command, start_child
from agent.host.process_table import describe
from agent.host.process_tree import end_tree
from agent.host.script_file import FALLBACK_SHELL, ScriptFile, exit_hint, open_script, start_failure
from agent.host.script_pipes import OutputPipes
from agent.host.users import UserIds, current_user

_TICK_S = 0.1
"""How soon a request to stop is heard."""

_TICK_WITHOUT_PIDFD_S = 0.02
_REAP_LIMIT_S = 0.1
_HOLDERS_SHOWN = 5
_HELD_HINT = "start what stays with its output elsewhere: `program > /var/log/program.log 2>&1 &`"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRequest:
    """One script to run. `prefix` stands before its path (sudo); `user` None keeps our own ids.

    `drain_s` is how long we wait for the end of output after the script itself has ended.
    """

    location: str
    archive: Path
    env: Mapping[str, str]
    timeout_s: float
    user: UserIds | None = None
    prefix: tuple[str, ...] = ()
    grace_s: float = 5.0
    drain_s: float = 0.5
    output_open_is_failure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """Who is told. `output` gets a stream's name and whole lines; `warned` a message and a hint.

    `ended` gets the exit code (negative: a signal; None: it could not be ended) and the duration in seconds; it is
    called once for each `started`, after the last `output`.
    """

    started: Callable[[int], None]
    output: Callable[[str, str], None]
    warned: Callable[[str, str], None]
    ended: Callable[[int | None, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptResult:
    """A script that succeeded. `held_open` describes processes that still held its output when it had ended."""

    exit_code: int
    duration_s: float
    held_open: tuple[str, ...] = ()


def run_script(request: ScriptRequest, observer: Observer, stop: Event) -> ScriptResult:
    """Run a script to its end. `stop`, set by somebody else, ends it and all it started, as its time limit does.

    Raises:
        HookMissingError, HookNotExecutableError: it cannot be started.
        HookFailedError: it cannot be started, or ended with anything but 0.
        HookTimeoutError: it did not end in time.
        HookOutputOpenError: something it started holds its output, and the request calls that a failure.
        HookCancelledError: `stop` was set.
    """
    script = open_script(request.archive, request.location)
    for note in script.notes:
        observer.warned(note, f"chmod +x {request.location} before bundling it")
    with contextlib.ExitStack() as cleanup:
        pipes = OutputPipes(observer.output)
        cleanup.callback(pipes.close)
        began = time.monotonic()
        child = _start(script, request, pipes)
        cleanup.callback(child.close)
        observer.started(child.pid)
        try:
            cut_short = _watch(child, pipes, request, stop)
            is_held = not pipes.finish(0 if cut_short else request.drain_s)
        except BaseException:  # of the observer, or an interrupt: whatever it is, leave nothing running
            _end_now(child)
            raise
        duration_s = time.monotonic() - began
        observer.ended(child.exit_code(), duration_s)
        held_open = _let_go(pipes, request, observer) if is_held else ()
    failure = cut_short or _judge(child, script) or _judge_output(held_open, request)
    if failure is not None:
        raise failure
    return ScriptResult(exit_code=0, duration_s=duration_s, held_open=held_open)


def _start(script: ScriptFile, request: ScriptRequest, pipes: OutputPipes) -> Child:
    if request.user is not None:
        pipes.give_to(request.user.uid)
    try:
        try:
            return _start_as((*request.prefix, str(script.path)), request, pipes)
        except OSError as exc:
            if exc.errno != errno.ENOEXEC or not script.is_text:
                raise
            return _start_as((FALLBACK_SHELL, str(script.path)), request, pipes)  # no first line: as a shell would
    except OSError as exc:
        raise start_failure(script, exc, (request.user or current_user()).name) from exc
    finally:
        pipes.close_write_ends()


def _start_as(argv: tuple[str, ...], request: ScriptRequest, pipes: OutputPipes) -> Child:
    return start_child(
        Command(
            argv=argv,
            env=request.env,
            cwd=request.archive,
            user=request.user,
            stdout=pipes.write_ends["stdout"],
            stderr=pipes.write_ends["stderr"],
        )
    )


def _watch(child: Child, pipes: OutputPipes, request: ScriptRequest, stop: Event) -> HookError | None:
    """Take in output until the script has ended; return why it was ended before its time, if it was."""
    deadline = time.monotonic() + request.timeout_s
    tick_s = _TICK_S if child.pidfd is not None else _TICK_WITHOUT_PIDFD_S
    pipes.watch(child.pidfd)
    while child.exit_code() is None:
        left_s = deadline - time.monotonic()
        if stop.is_set() or left_s <= 0:
            return _cut_short(child, pipes, request, is_cancelled=stop.is_set())
        pipes.pump(min(left_s, tick_s))
    return None


def _cut_short(child: Child, pipes: OutputPipes, request: ScriptRequest, *, is_cancelled: bool) -> HookError:
    """End the script with all it started; return what to raise."""
    pipes.watch(None)
    survivors = end_tree(child, request.grace_s, pipes.pump)
    child.wait(_REAP_LIMIT_S)
    left_over = f"; could not be ended: {_listed(survivors)}" if survivors else ""
    location = request.location
    if is_cancelled:
        return HookCancelledError(
            f"{location}: stopped by the operator{left_over}", hint="run it again when ready", script=location
        )
    return HookTimeoutError(
        f"{location}: timed out after {request.timeout_s:g} s{left_over}",
        hint="make it quicker, or raise its timeout in the AppSpec; what is to stay belongs to a service manager",
        script=location,
    )


def _end_now(child: Child) -> None:
    if child.exit_code() is None:
        end_tree(child, 0)
        child.wait(_REAP_LIMIT_S)


def _let_go(pipes: OutputPipes, request: ScriptRequest, observer: Observer) -> tuple[str, ...]:
    """Say who still holds the output, and let them write on without us; return them."""
    holders = tuple(describe(pid) for pid in pipes.holders()) or ("a process that we may not see",)
    message = f"{request.location}: ended, but its output is still held by {_listed(holders)}"
    try:
        pipes.leave_to_drain()
    except OSError as exc:
        message += f", whose next write will fail (no `cat` to take it: {exc.strerror})"
    observer.warned(message, _HELD_HINT)
    return holders


def _judge(child: Child, script: ScriptFile) -> HookError | None:
    exit_code = child.exit_code()
    if exit_code == 0:
        return None
    assert exit_code is not None, "judged while it runs"
    if exit_code < 0:
        return HookFailedError(
            f"{script.location}: killed by signal {-exit_code} ({_signal_name(-exit_code)})",
            hint="SIGKILL often means that memory ran out: see dmesg" if exit_code == -signal.SIGKILL else "",
            script=script.location,
        )
    return HookFailedError(
        f"{script.location}: failed with exit code {exit_code}",
        hint=exit_hint(script, exit_code),
        script=script.location,
        exit_code=exit_code,
    )


def _judge_output(held_open: tuple[str, ...], request: ScriptRequest) -> HookError | None:
    if not held_open or not request.output_open_is_failure:
        return None
    return HookOutputOpenError(
        f"{request.location}: ended with exit code 0, but its output is still held by {_listed(held_open)}",
        hint=_HELD_HINT,
        script=request.location,
    )


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _HOLDERS_SHOWN
    return ", ".join(names[:_HOLDERS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "real-time signal"
