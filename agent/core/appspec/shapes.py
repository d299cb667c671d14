"""What all sections share: reading mappings, lists and texts out of YAML nodes, and telling what is odd about them."""

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from agent.core.appspec.model import Position
from agent.core.appspec.nodes import Mapping, Node, Scalar, Sequence, Symbol, is_off, kind_of, shown
from agent.core.appspec.report import Report
from agent.core.appspec.scalars import number_text

_RUBY_SPACE = " \t\n\v\f\r\0"
_LONGEST_KEY_COMPARED = 40

_SYNONYMS = {
    "src": "source", "sources": "source", "from": "source",
    "dest": "destination", "dst": "destination", "target": "destination", "to": "destination",
    "script": "location", "run": "location", "command": "location", "path": "location",
    "user": "runas", "run_as": "runas", "run-as": "runas",
    "chmod": "mode", "chown": "owner", "acl": "acls", "exclude": "except", "selinux": "context",
    "overwrite": "file_exists_behavior", "file_exists_behaviour": "file_exists_behavior",
}  # fmt: skip

_ELSEWHERE = {
    "overwrite": "file_exists_behavior: OVERWRITE at the top level does this for all files",
    "file_exists_behavior": "it belongs to the top level and is for all files",
    "mode": "file modes belong to the permissions section",
    "owner": "owners belong to the permissions section",
    "group": "groups belong to the permissions section",
    "permissions": "permissions are a section of their own, at the top level",
    "hooks": "hooks are a section of their own, at the top level",
}
"""What to say of a key that is right somewhere else."""


@dataclass(slots=True)
class Fields:
    """A mapping's values by key, and the keys nobody knows."""

    position: Position
    values: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Node] = field(default_factory=dict)
    unknown: dict[str, Node] = field(default_factory=dict)

    def get(self, name: str) -> Node | None:
        return self.values.get(name)


def join(where: str, name: str) -> str:
    """Return the path of key `name` below `where`."""
    name = name if name.isprintable() and len(name) <= _LONGEST_KEY_COMPARED else shown(name)
    return f"{where}.{name}" if where else name


def read_fields(report: Report, node: Mapping, where: str, known: Collection[str] | None) -> Fields:
    """Return the entries of a mapping: the last of equal keys, merged ones (`<<`) behind the mapping's own.

    `known` None takes every text key for known. Warns about keys given twice; unknown ones are the caller's to tell.
    """
    fields = Fields(position=node.position)
    merged: list[Mapping] = []
    for key, value in node.pairs:
        if _is_merge(key) and (found := _merged_mappings(value)) is not None:
            merged += found
            continue
        _add(report, fields, key, value, where, known)
    for mapping in merged:
        for key, value in mapping.pairs:
            if _key_text(key) not in fields.values:
                _add(report, fields, key, value, where, known)
    return fields


def _add(report: Report, fields: Fields, key: Node, value: Node, where: str, known: Collection[str] | None) -> None:
    name = _key_text(key)
    if name is None or (known is not None and name not in known):
        fields.unknown[_label(key)] = key
        return
    if name in fields.values:
        earlier = fields.keys[name].position
        message = f"given twice; the last one counts and line {earlier.line} is ignored"
        report.warn(key, join(where, name), message, "keep one")
    fields.values[name] = value
    fields.keys[name] = key


def warn_unknown(report: Report, fields: Fields, where: str, known: Collection[str]) -> None:
    """Warn about each unknown key, with the known one that was probably meant."""
    for name, key in fields.unknown.items():
        hint = "" if report.is_full else _hint_for(name, known)
        report.warn(key, join(where, name), "unknown key: it is ignored", hint or f"known here: {', '.join(known)}")


def _hint_for(name: str, known: Collection[str]) -> str:
    if name.startswith(":") and name[1:] in known:
        return f"write {name[1:]} without the leading colon"
    near = nearest(name, known)
    return f"did you mean {near}?" if near else _ELSEWHERE.get(name, "")


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that was probably meant by `name`, None when nothing is near."""
    if len(name) > _LONGEST_KEY_COMPARED:
        return None
    plain = name.strip(" :\\-\"'").lower()
    if _SYNONYMS.get(plain) in known:
        return _SYNONYMS[plain]
    by_lower = {item.lower(): item for item in known}
    found = difflib.get_close_matches(plain, list(by_lower), n=1, cutoff=0.7)
    return by_lower[found[0]] if found else None


def entries(report: Report, node: Node | None, where: str, example: str) -> Iterator[tuple[str, Node]]:
    """Yield a section's entries with their paths. A section that is no list is an error, unless it says "nothing"."""
    if node is None or is_off(node):
        return
    if isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield f"{where}[{index}]", item
    elif not (isinstance(node, Mapping) and not node.pairs):
        hint = f"begin each entry with '- ', as in '{example}'"
        report.error(node, where, f"must be a list, not {kind_of(node)}", hint)


def text_of(report: Report, node: Node, where: str) -> str | None:
    """Return a scalar as text, numbers and booleans as the official agent writes them; None after an error."""
    if not isinstance(node, Scalar):
        report.error(node, where, f"must be text, not {kind_of(node)}", "write one value")
        return None
    text = _scalar_text(node)
    if "\0" in text:
        report.error(node, where, "holds a NUL character, which no name can", "remove it")
        return None
    if not isinstance(node.value, str) and text != node.raw:
        message = f"{shown(node.raw)} is read as {shown(text)}"
        report.warn(node, where, message, f'put quotes around it if it is meant as written: "{node.raw}"')
    return text


def stripped_text(report: Report, node: Node, where: str) -> str | None:
    """Return a scalar as text without spaces around it; None after an error."""
    text = text_of(report, node, where)
    return None if text is None else text.strip(_RUBY_SPACE)


def plain_text(report: Report, node: Node, where: str, hint: str = "") -> str | None:
    """Return a value that must be text already: the official agent fails on anything else. None after an error."""
    if not (isinstance(node, Scalar) and isinstance(node.value, str)):
        quoted = f'put quotes around it: "{node.raw}"' if isinstance(node, Scalar) and node.raw else "write text"
        report.error(node, where, f"must be text, not {kind_of(node)}", hint or quoted)
        return None
    return text_of(report, node, where)


def _scalar_text(node: Scalar) -> str:
    match node.value:
        case Symbol(name):
            return name
        case str() as text:
            return text
        case None:
            return ""
        case number:
            return number_text(number)


def _key_text(key: Node) -> str | None:
    return key.value if isinstance(key, Scalar) and isinstance(key.value, str) else None


def _label(key: Node) -> str:
    return key.raw if isinstance(key, Scalar) else kind_of(key)


def _is_merge(key: Node) -> bool:
    return isinstance(key, Scalar) and key.plain and key.raw == "<<"


def _merged_mappings(value: Node) -> list[Mapping] | None:
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, Sequence):
        found = [item for item in value.items if isinstance(item, Mapping)]
        return found if len(found) == len(value.items) else None
    return None
