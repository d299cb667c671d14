"""The `hooks` section: which scripts run at which lifecycle event."""

import math
import re

from agent.core.appspec.model import HookScript
from agent.core.appspec.nodes import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    Symbol,
    is_absent,
    is_empty_mapping,
    is_off,
    kind_of,
    shown,
)
from agent.core.appspec.paths import check_inside, warn_odd_text, warn_windows_script
from agent.core.appspec.report import Report
from agent.core.appspec.scalars import is_octal, is_sexagesimal
from agent.core.appspec.shapes import Fields, join, nearest, read_fields, stripped_text, warn_unknown
from agent.core.lifecycle import HOOK_EVENTS, NEVER_RUN_AS_HOOKS, ON_FAILURE

KEYS = ("location", "timeout", "runas", "sudo")
DEFAULT_TIMEOUT_S = 3600
LONGEST_TIMEOUT_S = 366 * 24 * 3600
"""A longer time limit is cut to this: a clock's arithmetic must not overflow over it."""

_LEADING_INTEGER = re.compile(r"\s*([-+]?[0-9]+(?:_[0-9]+)*)")
_COMMA_NUMBER = re.compile(r"[-+]?[0-9]+(?:,[0-9]+)+")
_TIMEOUT_HINT = "write whole seconds, as in timeout: 300"


def parse_hooks(report: Report, node: Node | None) -> dict[str, tuple[HookScript, ...]]:
    """Return the scripts of each event that has a list; what is wrong with the others is in the report."""
    if node is None or is_off(node):
        return {}
    if not isinstance(node, Mapping):
        hint = "write the events below it, each as a key with a list of scripts"
        if isinstance(node, Sequence) and node.items:
            hint = "remove the dashes before the event names: hooks holds events, only an event holds a list"
        report.error(node, "hooks", f"must hold lifecycle events, but is {kind_of(node)}", hint)
        return {}
    fields = read_fields(report, node, "hooks", None)
    for name, key in fields.unknown.items():
        report.warn(key, join("hooks", name), "not a text: no lifecycle event has this name", "write an event's name")
    hooks = {}
    for event, value in fields.values.items():
        where = join("hooks", event)
        warn_event(report, fields.keys[event], where, event)
        scripts = _event(report, value, where)
        if scripts is not None:
            hooks[event] = scripts
    return hooks


def warn_event(report: Report, key: Node, where: str, event: str) -> None:
    """Warn about an event whose scripts will not run, or not everywhere."""
    if event == ON_FAILURE:
        message = "OnFailure runs with this agent only: the official agent knows no such event"
        report.warn(key, where, message, "leave it if only this agent deploys the bundle")
    elif event in NEVER_RUN_AS_HOOKS:
        message = f"scripts for {event} are never run: it is the agent's or the service's own work"
        report.warn(key, where, message, "move them to the event before or after it, as BeforeInstall or AfterInstall")
    elif event not in HOOK_EVENTS:
        near = nearest_event(event)
        hint = f"did you mean {near}?" if near else f"known events: {', '.join(sorted(HOOK_EVENTS))}"
        message = "unknown lifecycle event: its scripts run only where somebody orders an event of this name"
        report.warn(key, where, message, hint)


def nearest_event(name: str) -> str | None:
    """Return the event probably meant by `name`, None when nothing is near."""
    return nearest(name, sorted(HOOK_EVENTS | {ON_FAILURE}))


def _event(report: Report, node: Node, where: str) -> tuple[HookScript, ...] | None:
    if is_off(node):
        return None
    if is_empty_mapping(node):
        return ()
    if not isinstance(node, Sequence):
        hint = "write '- location: script.sh' below the event"
        if isinstance(node, Mapping):
            hint = f"put '- ' before {shown(_first_key(node))} and indent the other keys below it"
        report.error(node, where, f"must be a list of scripts, not {kind_of(node)}", hint)
        return None
    found = [
        _script(report, item, f"{where}[{index}]", follows=node.items[:index]) for index, item in enumerate(node.items)
    ]
    return tuple(script for script in found if script is not None)


def _first_key(node: Mapping) -> str:
    key = node.pairs[0][0]
    return key.raw if isinstance(key, Scalar) else kind_of(key)


def _script(report: Report, node: Node, where: str, *, follows: tuple[Node, ...]) -> HookScript | None:
    if not isinstance(node, Mapping):
        report.error(node, where, f"must have a location, but is {kind_of(node)}", _text_hint(node))
        return None
    fields = read_fields(report, node, where, KEYS)
    warn_unknown(report, fields, where, KEYS)
    location = _location(report, fields, where, follows)
    timeout_s = _timeout(report, fields.get("timeout"), join(where, "timeout"))
    runas = _runas(report, fields.get("runas"), join(where, "runas"))
    sudo = _sudo(report, fields.get("sudo"), join(where, "sudo"))
    if location is None or timeout_s is None:
        return None
    return HookScript(location=location, timeout_s=timeout_s, runas=runas, sudo=sudo, position=node.position)


def _text_hint(node: Node) -> str:
    text = node.raw if isinstance(node, Scalar) else ""
    if "location:" in text:
        return "put a space behind 'location:', and each key on a line of its own"
    return f"write '- location: {text}'" if text and len(text) < 60 else "write '- location: script.sh'"


def _location(report: Report, fields: Fields, where: str, follows: tuple[Node, ...]) -> str | None:
    node, key = fields.get("location"), join(where, "location")
    if node is None or is_absent(node):
        report.error(
            node or fields.position, key, "no location: nothing says which script to run", _split_hint(follows)
        )
        return None
    location = stripped_text(report, node, key)
    if location == "":
        report.error(node, key, "location is blank", "name a script of the bundle")
        return None
    if location is not None:
        check_inside(report, node, key, location)
        warn_odd_text(report, node, key, location)
        warn_windows_script(report, node, key, location)
        if location.endswith("/"):
            report.warn(node, key, f"{shown(location)} names a folder, not a script", "name the script in it")
    return location


def _split_hint(follows: tuple[Node, ...]) -> str:
    if follows:
        return "if this belongs to the script above, remove the dash here and indent the key as far as 'location' there"
    return "add location: with the script's path from the root of the bundle"


def _timeout(report: Report, node: Node | None, key: str) -> int | None:
    if node is None or is_off(node):
        return DEFAULT_TIMEOUT_S
    seconds = _seconds(node)
    if seconds is None:
        report.error(node, key, f"must be a number of seconds, not {kind_of(node)}", _TIMEOUT_HINT)
        return None
    if seconds <= 0:
        report.error(node, key, f"must be at least one second, but {kind_of(node)} means {seconds}", _TIMEOUT_HINT)
        return None
    assert isinstance(node, Scalar)
    if not (isinstance(node.value, int | str) and node.raw.strip() == str(seconds)):
        message = f"{shown(node.raw)} means {seconds} seconds{_why(node)}"
        report.warn(node, key, message, f"write timeout: {seconds} if that is meant")
    if seconds > DEFAULT_TIMEOUT_S:
        message = f"AWS CodeDeploy gives up on a lifecycle event after {DEFAULT_TIMEOUT_S} seconds"
        report.warn(node, key, message, f"write timeout: {DEFAULT_TIMEOUT_S} or less")
    return min(seconds, LONGEST_TIMEOUT_S)


def _seconds(node: Node) -> int | None:
    """Convert as the official agent does: floats lose their fraction, texts count up to the first other character."""
    match node:
        case Scalar(value=bool() | Symbol() | None) | Sequence() | Mapping():
            return None
        case Scalar(value=int() as number):
            return number
        case Scalar(value=float() as number):
            return int(number) if math.isfinite(number) else None
        case Scalar(value=str() as text):
            if _COMMA_NUMBER.match(text) or len(text) > 100:
                return None
            found = _LEADING_INTEGER.match(text)
            return int(found[1]) if found else 0
    raise AssertionError(f"not a node: {node!r}")


def _why(node: Scalar) -> str:
    if node.plain and is_sexagesimal(node.raw):
        return " to the official agent, which counts 3600, 60 and 1 from the left"
    if node.plain and is_octal(node.raw):
        return ": a leading zero makes it octal"
    return ""


def _runas(report: Report, node: Node | None, key: str) -> str | None:
    if node is None or is_absent(node):
        return None
    user = stripped_text(report, node, key)
    if user == "":
        message = "runas is blank: the official agent would run the script as root"
        report.error(node, key, message, "name a user, or remove runas to run as the agent's own user")
        return None
    return user


def _sudo(report: Report, node: Node | None, key: str) -> bool:
    if node is None or is_absent(node):
        return False
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    message = f"sudo is {kind_of(node)}: anything except false means yes"
    report.warn(node, key, message, "write sudo: true or sudo: false, without quotes")
    return True
