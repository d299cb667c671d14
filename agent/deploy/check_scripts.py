"""Checks that a hook script is in the bundle and can be started. Starts nothing, changes nothing."""

import os
import shutil
import stat
from pathlib import Path

from agent.core.appspec.model import HookScript
from agent.core.appspec.nodes import shown
from agent.core.appspec.report import Report
from agent.core.appspec.shapes import join
from agent.core.lifecycle import HOOK_EVENTS, ON_FAILURE
from agent.deploy.bundle_names import leaves_bundle, nearest_path

_HEAD_BYTES = 4096
_LINE_ENDS_HINT = (
    "give it Unix line ends: sed -i 's/\\r$//' FILE; in git '*.sh text eol=lf' in .gitattributes keeps them"
)


def check_script(report: Report, root: Path, event: str, index: int, script: HookScript) -> None:
    """Report what keeps a script from being started. For an event that nobody orders these are warnings."""
    where = f"{join('hooks', event)}[{index}].location"
    tell = report.error if event in HOOK_EVENTS or event == ON_FAILURE else report.warn
    path = root / script.location.lstrip("/")
    try:
        status = path.stat()
    except OSError as error:
        hint = _missing_hint(root, script.location)
        tell(script.position, where, f"{shown(script.location)}: no such script in the bundle ({error.strerror})", hint)
        return
    if leaves_bundle(root, path):
        message = f"{shown(script.location)} leads out of the bundle through a symbolic link"
        tell(script.position, where, message, "put the script itself into the bundle")
    elif stat.S_ISDIR(status.st_mode):
        message = f"{shown(script.location)} is a folder, not a script"
        tell(script.position, where, message, _folder_hint(path, script.location))
    elif not stat.S_ISREG(status.st_mode):
        tell(script.position, where, f"{shown(script.location)} is not a regular file", "name one script of the bundle")
    else:
        _check_content(report, script, where, path, status)


def _missing_hint(root: Path, location: str) -> str:
    near = nearest_path(root, location)
    return f"did you mean {near}?" if near else "add it to the bundle; locations count from the root of the bundle"


def _folder_hint(path: Path, location: str) -> str:
    try:
        names = sorted(entry.name for entry in os.scandir(path) if entry.is_file())
    except OSError:
        names = []
    return f"list its scripts one by one, as in location: {location.rstrip('/')}/{names[0] if names else 'start.sh'}"


def _check_content(report: Report, script: HookScript, where: str, path: Path, status: os.stat_result) -> None:
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    at, name = script.position, shown(script.location)
    if not status.st_mode & 0o111:
        hint = f"chmod +x {script.location} before bundling (git update-index --chmod=+x)"
        report.warn(at, where, f"{name} has no execute bit: the agent adds it", hint)
    first = head.partition(b"\n")[0]
    if not head:
        report.warn(at, where, f"{name} is empty", "write it, or take it out of the AppSpec")
    elif first.startswith(b"#!"):
        _check_shebang(report, script, where, first)
    elif not head.startswith(b"\x7fELF"):
        report.warn(at, where, f"{name} has no #! line: /bin/sh runs it", "begin it with #!/bin/sh or #!/bin/bash")
    if b"\r\n" in head and not first.endswith(b"\r"):
        report.warn(at, where, f"{name} has lines with Windows line ends (CRLF)", _LINE_ENDS_HINT)


def _check_shebang(report: Report, script: HookScript, where: str, first: bytes) -> None:
    at, name = script.position, shown(script.location)
    if first.endswith(b"\r"):
        message = f"{name}: line 1 ends in CRLF, so that no interpreter is found by its name"
        report.error(at, where, message, _LINE_ENDS_HINT)
        return
    words = os.fsdecode(first[2:]).split()
    if not words:
        report.error(at, where, f"{name}: nothing stands behind #!", "name an interpreter, as in #!/bin/sh")
        return
    wanted = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), "")
    through_env = os.path.basename(words[0]) == "env" and wanted
    interpreter = wanted if through_env else words[0]
    found = shutil.which(interpreter) if through_env else os.path.exists(interpreter)
    if not found:
        message = f"{name}: its interpreter {shown(interpreter)} is not on this host"
        report.warn(at, where, message, "it must be where the bundle is deployed")
