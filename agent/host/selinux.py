"""Persistent SELinux label rules, set with one run of `semanage`. Labels themselves are set while staging."""

import os
import re
from collections.abc import Iterable, Mapping

from agent.errors import ToolError
from agent.host.process import run_tool

SEMANAGE_TIMEOUT_S = 300.0


def set_label_rules(rules: Iterable[tuple[bytes, str | None]]) -> tuple[str, ...]:
    """Add or change the rule of each path, or take it away where the context is None; returns warnings.

    May be repeated. Without rules a relabelling of the host would take the labels away again.
    """
    wanted = dict(rules)
    _import(removals(wanted))  # a rule that is gone already is no reason to say anything
    trouble = _import(additions(wanted))
    return (f"SELinux labels are set, but not as persistent rules: {trouble}",) if trouble else ()


def additions(wanted: Mapping[bytes, str | None]) -> list[str]:
    """Return the lines for `semanage import` that add rules; a line cannot say a path that holds a line break."""
    return [_rule(path, context) for path, context in sorted(wanted.items()) if context and b"\n" not in path]


def removals(wanted: Mapping[bytes, str | None]) -> list[str]:
    """Return the lines that take rules away, of such paths as `additions` speaks of."""
    gone = (path for path, context in sorted(wanted.items()) if context is None and b"\n" not in path)
    return [f"fcontext -d '{_pattern(path)}'" for path in gone]


def _import(lines: list[str]) -> str:
    """Run a batch; returns what went wrong."""
    if not lines:
        return ""
    text = os.fsencode("".join(f"{line}\n" for line in lines))
    try:
        result = run_tool(["semanage", "import"], timeout_s=SEMANAGE_TIMEOUT_S, input=text)
    except ToolError as exc:
        return exc.message
    return "" if result.exit_code == 0 else os.fsdecode(result.stderr).strip() or f"exit code {result.exit_code}"


def _rule(path: bytes, context: str) -> str:
    user, _, rest = context.partition(":")
    _, _, rest = rest.partition(":")
    label_type, _, label_range = rest.partition(":")
    level = f" -r '{label_range}'" if label_range else ""
    return f"fcontext -a -s {user} -t {label_type}{level} '{_pattern(path)}'"


def _pattern(path: bytes) -> str:
    """A path as the regular expression that matches it alone."""
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", os.fsdecode(path)).replace("'", ".")
