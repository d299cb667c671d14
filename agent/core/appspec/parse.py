"""From an AppSpec's bytes to its values, or to everything that is wrong with it. Reads no disk."""

from dataclasses import dataclass

from agent.core.appspec.compose import compose
from agent.core.appspec.dialect import other_dialect
from agent.core.appspec.files import parse_files
from agent.core.appspec.hooks import nearest_event, parse_hooks
from agent.core.appspec.model import AppSpec, Problem, Severity
from agent.core.appspec.nodes import Mapping, Node, Scalar, is_absent, is_off, kind_of
from agent.core.appspec.permissions import parse_permissions
from agent.core.appspec.report import Report
from agent.core.appspec.shapes import Fields, read_fields, warn_unknown
from agent.core.deployment import FileExistsBehavior
from agent.core.lifecycle import HOOK_EVENTS, ON_FAILURE
from agent.errors import AppSpecError

KEYS = ("version", "os", "files", "permissions", "hooks", "file_exists_behavior")
_MINIMUM = "begin the file with 'version: 0.0' and 'os: linux'"
_MOST_HINTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedAppSpec:
    """What a file holds: `appspec` is None exactly when `problems` holds an error. Problems stand in file order."""

    appspec: AppSpec | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is Severity.WARNING)


def parse_appspec(data: bytes, *, filename: str) -> ParsedAppSpec:
    """Return the AppSpec in `data` and every problem with it. `filename` serves messages only. Never raises."""
    report = Report()
    root = compose(data, report)
    appspec = None
    if root is not None and (mapping := _top_mapping(report, root, filename)) is not None:
        appspec = _parse_top(report, mapping)
    return ParsedAppSpec(appspec=None if report.has_errors else appspec, problems=report.problems())


def load_appspec(data: bytes, *, filename: str) -> ParsedAppSpec:
    """Return what `parse_appspec` does when there is no error.

    Raises:
        AppSpecError: naming every error with its place.
    """
    parsed = parse_appspec(data, filename=filename)
    if parsed.appspec is None:
        hints = tuple(dict.fromkeys(problem.hint for problem in parsed.errors if problem.hint))
        message = "\n".join(describe(problem, filename=filename) for problem in parsed.errors)
        raise AppSpecError(message, hint="; ".join(hints[:_MOST_HINTS]))
    return parsed


def describe(problem: Problem, *, filename: str) -> str:
    """Return `file:line:column: key: what` on one line, without what is unknown."""
    at = problem.position
    place = f"{filename}:{at.line}:{at.column}" if at else filename
    return ": ".join(part for part in (place, problem.key, problem.message) if part)


def _top_mapping(report: Report, root: Node, filename: str) -> Mapping | None:
    if isinstance(root, Mapping):
        dialect = other_dialect(root)
        if dialect is None:
            return root
        message = f"{filename} is {dialect}, not an AppSpec for EC2 or on-premises hosts"
        report.error(root, "", message, "deploy it with the service it is for, or name another file as AppSpec")
    elif is_off(root):
        report.error(root, "", "the AppSpec is empty", _MINIMUM)
    else:
        report.error(root, "", f"must be keys and values (version, os, files ...), not {kind_of(root)}", _MINIMUM)
    return None


def _parse_top(report: Report, root: Mapping) -> AppSpec:
    fields = read_fields(report, root, "", KEYS)
    _check_version(report, fields)
    _check_os(report, fields)
    _warn_unknown_top(report, fields)
    return AppSpec(
        hooks=parse_hooks(report, fields.get("hooks")),
        files=parse_files(report, fields.get("files")),
        permissions=parse_permissions(report, fields.get("permissions")),
        file_exists_behavior=_file_exists_behavior(report, fields.get("file_exists_behavior")),
    )


def _check_version(report: Report, fields: Fields) -> None:
    node = fields.get("version")
    if node is None or is_absent(node):
        report.error(node or fields.position, "version", "no version", _missing_hint(fields, "version", "version: 0.0"))
        return
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != 0:
        hint = "write version: 0.0"
        if isinstance(node, Scalar) and not node.plain and node.raw.strip() in {"0.0", "0"}:
            hint = "write version: 0.0 without quotes"
        report.error(node, "version", f"must be the number 0.0, not {kind_of(node)}", hint)


def _check_os(report: Report, fields: Fields) -> None:
    node = fields.get("os")
    if node is None or is_absent(node):
        report.error(node or fields.position, "os", "no os", _missing_hint(fields, "os", "os: linux"))
        return
    value = node.value if isinstance(node, Scalar) else None
    if value == "linux":
        return
    if value == "windows":
        hint = "this agent runs on Linux: give it a bundle whose AppSpec says os: linux"
        report.error(node, "os", "the bundle is for Windows", hint)
        return
    hint = "write os: linux, in lower case and without spaces around it"
    report.error(node, "os", f"must be linux, not {kind_of(node)}", hint)


def _missing_hint(fields: Fields, name: str, line: str) -> str:
    for written in fields.unknown:
        if written.strip(" :").lower() == name:
            return f"write {name} instead of {written}"
    return f"add the line '{line}'"


def _warn_unknown_top(report: Report, fields: Fields) -> None:
    """Warn about unknown keys; one that is a lifecycle event has lost its indentation."""
    hooks = fields.get("hooks")
    for name in list(fields.unknown):
        is_event = name in HOOK_EVENTS or name == ON_FAILURE
        event = name if is_event else nearest_event(name)
        if event is None:
            continue
        key = fields.unknown.pop(name)
        message = "a lifecycle event at top level is ignored: its scripts never run"
        hint = "indent it and its scripts by two spaces below hooks:"
        if is_off(hooks):
            hint = f"{'hooks: is empty' if hooks else 'put hooks: on a line above it'}; {hint}"
        report.warn(key, name, message, hint if is_event else f"did you mean {event}? {hint}")
    warn_unknown(report, fields, "", KEYS)


def _file_exists_behavior(report: Report, node: Node | None) -> FileExistsBehavior | None:
    if node is None or is_absent(node):
        return None
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, str) and value in set(FileExistsBehavior):
        return FileExistsBehavior(value)
    choices = ", ".join(FileExistsBehavior)
    report.error(node, "file_exists_behavior", f"must be one of {choices}, not {kind_of(node)}", "write it in capitals")
    return None
