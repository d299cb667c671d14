"""What is odd about the paths an AppSpec writes. Looks at text only; what is on disk, others look at."""

import re

from agent.core.appspec.nodes import Node, shown
from agent.core.appspec.report import Report

_DRIVE = re.compile(r"[A-Za-z]:(?:[\\/]|$)")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]|%[A-Za-z_]+%")
_WINDOWS_SCRIPT = re.compile(r"\.(?:ps1|bat|cmd|exe|vbs)\Z", re.IGNORECASE)


def escapes(path: str) -> bool:
    """True when `path`, taken from a root, climbs out of it. Leading slashes only mean that root."""
    depth = 0
    for part in path.split("/"):
        if part == "..":
            depth -= 1
        elif part not in {"", "."}:
            depth += 1
        if depth < 0:
            return True
    return False


def check_inside(report: Report, node: Node, where: str, path: str) -> None:
    """Report a path that leaves the bundle."""
    if escapes(path):
        message = f"{shown(path)} leads out of the bundle"
        report.error(node, where, message, "name something inside the bundle, counted from its root")


def warn_odd_text(report: Report, node: Node, where: str, path: str) -> None:
    """Warn about what looks like more than plain text but is taken literally."""
    if path != path.strip():
        report.warn(node, where, f"the spaces around {shown(path)} become part of the path", "remove them")
    if found := _VARIABLE.search(path):
        report.warn(node, where, f"{shown(found[0])} stays as it is: variables are not expanded", "write the path out")
    if "\\" in path or _DRIVE.match(path):
        message = f"{shown(path)} is a Windows path: here a backslash is an ordinary character"
        report.warn(node, where, message, f"write {shown(path.replace(chr(92), '/'))}, or a path of a Linux host")


def warn_windows_script(report: Report, node: Node, where: str, path: str) -> None:
    if _WINDOWS_SCRIPT.search(path):
        report.warn(node, where, f"{shown(path)} is a Windows script", "name a script that runs on Linux")


def warn_glob(report: Report, node: Node, where: str, path: str) -> None:
    if any(character in path for character in "*?["):
        hint = "name a folder to copy all that is in it, or list the files one by one"
        report.warn(node, where, f"{shown(path)} is taken literally: source knows no wildcards", hint)


def warn_relative(report: Report, node: Node, where: str, path: str) -> None:
    if path.startswith("~"):
        message = f"{shown(path)} begins with ~: the home folder of whoever runs the agent"
        report.warn(node, where, message, "write an absolute path")
    elif not path.startswith("/") and not _DRIVE.match(path):
        message = f"{shown(path)} is relative: it depends on the folder in which the agent was started"
        report.warn(node, where, message, "write an absolute path")
