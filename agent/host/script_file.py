"""Finds a hook script in its archive, makes it executable, and says why one cannot be started. Starts nothing."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from agent.errors import HookError, HookFailedError, HookMissingError, HookNotExecutableError

FALLBACK_SHELL = "/bin/sh"
_HEAD_BYTES = 4096
_EXECUTE_BITS = 0o111
_LINE_ENDS_HINT = "give it Unix line ends (`sed -i 's/\\r$//' FILE`; in git: `*.sh text eol=lf` in .gitattributes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptFile:
    """A script that may be started. `notes` says what had to be mended for that; `head` is how the file begins."""

    location: str
    path: Path
    head: bytes
    notes: tuple[str, ...] = ()

    @property
    def has_windows_line_ends(self) -> bool:
        return b"\r\n" in self.head

    @property
    def is_text(self) -> bool:
        """True when a shell would take it for a script: no NUL in its first line."""
        return b"\0" not in self.head.partition(b"\n")[0]

    @property
    def interpreter(self) -> str:
        """The program its first line names, empty when that names none."""
        words = _shebang(self.head).split(None, 1)
        return os.fsdecode(words[0]) if words else ""


def open_script(archive: Path, location: str) -> ScriptFile:
    """Return the script at `location` below `archive`, execute bits added when it has none at all.

    The path keeps the names as the AppSpec writes them (a script sees them as its own name), but where links and `..`
    lead has to be inside the archive.

    Raises:
        HookMissingError: not there, or not inside the archive.
        HookFailedError: not a file, or its first line can name no interpreter.
        HookNotExecutableError: no execute bit, and none could be added.
    """
    path = archive / location.lstrip("/")
    status = _status(archive, path, location)
    if not stat.S_ISREG(status.st_mode):
        what = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise HookFailedError(f"{location}: is {what}", hint="name one script of the bundle", script=location)
    head = _read_head(path, location)
    _check_first_line(head, location)
    notes = () if status.st_mode & _EXECUTE_BITS else (_add_execute_bits(path, status.st_mode, location),)
    return ScriptFile(location=location, path=path, head=head, notes=notes)


def _status(archive: Path, path: Path, location: str) -> os.stat_result:
    try:
        real = Path(os.path.realpath(path, strict=True))
        status = real.stat()
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise HookMissingError(
            f"{location}: no such script in the bundle ({path}: {reason})",
            hint="put it into the bundle, or mend its location under hooks: it counts from the bundle's root",
            script=location,
        ) from exc
    if not real.is_relative_to(os.path.realpath(archive)):
        raise HookMissingError(
            f"{location}: leads out of the bundle, to {real}",
            hint="put the script into the bundle; one that is on the host can be called from there",
            script=location,
        )
    return status


def _read_head(path: Path, location: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as exc:
        raise HookNotExecutableError(
            f"{location}: cannot be read ({path}: {exc.strerror})", hint="mend its mode and owner", script=location
        ) from exc


def _check_first_line(head: bytes, location: str) -> None:
    """Refuse what surely fails with a message that nobody understands: an interpreter called `bash<CR>`."""
    words = _shebang(head).split(b" ")
    through_env = os.path.basename(words[0]) == b"env" and len(words) == 2
    if words[-1].endswith(b"\r") and (len(words) == 1 or through_env):
        name = os.fsdecode(words[-1])
        raise HookFailedError(
            f"{location}: line 1 ends in CRLF (Windows line ends), so its interpreter would be {name!r}",
            hint=_LINE_ENDS_HINT,
            script=location,
        )


def _shebang(head: bytes) -> bytes:
    first = head.partition(b"\n")[0]
    return first[2:].strip(b" \t") if first.startswith(b"#!") else b""


def _add_execute_bits(path: Path, mode: int, location: str) -> str:
    try:
        path.chmod(stat.S_IMODE(mode) | _EXECUTE_BITS)
    except OSError as exc:
        raise HookNotExecutableError(
            f"{location}: has no execute bit and none could be added: {exc.strerror}",
            hint=f"chmod +x {location} before bundling it (git update-index --chmod=+x)",
            script=location,
        ) from exc
    return f"{location}: had no execute bit; added"


def start_failure(script: ScriptFile, exc: OSError, user: str) -> HookError:
    """Return what to raise when the kernel refused to start `script` for `user`."""
    match exc.errno:
        case errno.ENOENT | errno.ENOTDIR | errno.ELOOP:
            return _no_interpreter(script)
        case errno.EACCES:
            message = f"user {user!r} may not execute {script.path}{_interpreter_note(script)}"
            hint = "mend the modes of the script and the folders above it; look for a noexec mount, mount | grep noexec"
        case errno.EPERM:
            message, hint = (
                f"cannot become user {user!r}: {exc.strerror}",
                "run the agent as root, with its capabilities",
            )
        case errno.ENOEXEC:
            message, hint = "is no program for this machine (exec format error)", "build it for this architecture"
        case errno.E2BIG:
            message, hint = "its environment is too large to start it", "shorten extra_env in the configuration"
        case _:
            message, hint = f"cannot be started: {exc.strerror}", ""
    return HookFailedError(f"{script.location}: {message}", hint=hint, script=script.location)


def _no_interpreter(script: ScriptFile) -> HookFailedError:
    if not script.interpreter:
        message, hint = "its program loader or a library folder is not on this host", "build it for this distribution"
    else:
        message = f"its interpreter {script.interpreter!r} (line 1) is not on this host"
        hint = f"install {script.interpreter}, or change the script's first line"
    return HookFailedError(f"{script.location}: {message}", hint=hint, script=script.location)


def _interpreter_note(script: ScriptFile) -> str:
    return f" (interpreter {script.interpreter})" if script.interpreter else ""


_EXIT_HINTS = {
    126: "126: a program it called, or its interpreter, may not be executed",
    127: "127: a program it called was not found; hook scripts get a short environment, see PATH in docs/hooks.md",
}


def exit_hint(script: ScriptFile, exit_code: int) -> str:
    """Return what may help with a script that ended with `exit_code`."""
    if script.has_windows_line_ends:
        return f"the script has Windows line ends: {_LINE_ENDS_HINT}"
    return _EXIT_HINTS.get(exit_code, "the end of its output is in the script log")
