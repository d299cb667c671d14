"""From an AppSpec's bytes to YAML nodes, within fixed bounds of size, depth and number. Knows no AppSpec key.

The parser's events are put together here, not by PyYAML's composer: that one recurses as deep as the file wants,
hands out cyclic graphs, and refuses values (`=`, unknown tags) which the official agent reads.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import yaml

from agent.core.appspec.model import Position
from agent.core.appspec.nodes import Mapping, Node, Scalar, Sequence, shown
from agent.core.appspec.report import Report
from agent.core.appspec.scalars import is_date, resolve_plain
from agent.core.appspec.yaml_errors import explain_yaml_error

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 30_000
"""Aliases count with everything they stand for. The largest AppSpec seen in public has a few hundred nodes."""

_BOM = "\ufeff"
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_YAML_TAG = "tag:yaml.org,2002:"
_REFUSED_TAGS = re.compile(r"!ruby/|tag:ruby\.yaml\.org|tag:yaml\.org,2002:(?:ruby/|set$|omap$)|!(?:set|omap)$")
_TYPED_TAGS = frozenset({f"{_YAML_TAG}{name}" for name in ("int", "float", "bool", "null", "timestamp")})
_STRING_TAGS = frozenset({f"{_YAML_TAG}str", "!str", "!"})
_BINARY_TAGS = frozenset({f"{_YAML_TAG}binary", "!binary"})
_QUIET_TAGS = _TYPED_TAGS | _STRING_TAGS | _BINARY_TAGS | {f"{_YAML_TAG}seq", f"{_YAML_TAG}map"}

# The C parser where PyYAML was built with it; the other one is right as well, only slower.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Mark(Protocol):
    """Where an event stands; the two parsers have a class each."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class _RefusedError(Exception):
    """Ends composing."""

    def __init__(self, position: Position, message: str, hint: str) -> None:
        super().__init__(message)
        self.position = position
        self.message = message
        self.hint = hint


def compose(data: bytes, report: Report) -> Node | None:
    """Return the first document's root, or None when the report got an error. An empty document is a null scalar."""
    text = _decode(data, report)
    if text is None:
        return None
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
    try:
        root = _Composer(report).compose(events)
    except yaml.YAMLError as error:
        position, message, hint = explain_yaml_error(error, text)
        report.error(position, "", message, hint)
        return None
    except _RefusedError as refused:
        report.error(refused.position, "", refused.message, refused.hint)
        return None
    _warn_further_documents(events, report)
    return root


def _decode(data: bytes, report: Report) -> str | None:
    if len(data) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES} bytes"
        report.error(None, "", message, "an AppSpec is a few kilobytes: is this the right file?")
        return None
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        report.error(Position(line=1, column=1), "", "the file is UTF-16", "save it as UTF-8 without a byte order mark")
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = _position_after(data[: error.start].decode("utf-8"))
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        report.error(at, "", message, "save the file as UTF-8; comments count too")
        return None
    if found := _FORBIDDEN.search(text):
        message = f"control character U+{ord(found[0]):04X} is not allowed in YAML"
        report.error(_position_after(text[: found.start()]), "", message, "remove it, or is this not a text file?")
        return None
    return _without_bom(text, report)


def _without_bom(text: str, report: Report) -> str:
    if not text.startswith(_BOM):
        return text
    text = text[1:]
    if not re.match(r"[ \t]*(?:[\r\n]|#|\{|$)", text):  # in front of these it disturbs the official agent's parser not
        message = "the file begins with a byte order mark: the official agent loses the keys behind it"
        report.warn(Position(line=1, column=1), "", message, "save the file as UTF-8 without a byte order mark")
    return text


def _position_after(text: str) -> Position:
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text.removeprefix(_BOM))
    return Position(line=len(lines), column=len(lines[-1]) + 1)


def _warn_further_documents(events: Iterator[yaml.Event], report: Report) -> None:
    try:
        event = next(events, None)
    except yaml.MarkedYAMLError as error:  # what is wrong here nobody reads
        at = _place(error.problem_mark)
    else:
        if event is None or isinstance(event, yaml.StreamEndEvent):
            return
        at = _place(event.start_mark)
    message = "only the first YAML document counts; what follows is ignored"
    report.warn(at, "", message, "remove the further '---' and what it separates, or merge the two")


def _place(mark: _Mark | None) -> Position:
    return Position(line=mark.line + 1, column=mark.column + 1) if mark else Position(line=1, column=1)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet. `size` counts its nodes, aliases with all they stand for."""

    position: Position
    anchor: str | None
    is_mapping: bool
    children: list[Node] = field(default_factory=list)
    size: int = 1

    def close(self) -> Node:
        if self.is_mapping:
            return Mapping(self.position, tuple(zip(self.children[::2], self.children[1::2], strict=True)))
        return Sequence(self.position, tuple(self.children))


class _Composer:
    """Puts one document together from its events, without recursion."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int] | None] = {}  # None while the anchored node is still open
        self._nodes = 0
        self._has_warned_aliases = False

    def compose(self, events: Iterator[yaml.Event]) -> Node:
        """Return the first document's root, a null scalar when there is none. Raises: _RefusedError, YAMLError."""
        root: Node | None = None
        for event in events:
            node = self._node_of(event)
            if node is not None and not self._open:
                root = node
            if isinstance(event, yaml.DocumentEndEvent):
                break
        return root or Scalar(Position(line=1, column=1), None, "", plain=True)

    def _node_of(self, event: yaml.Event) -> Node | None:
        """Return the node that `event` completes, if any, after giving it to the collection it stands in."""
        node: Node
        match event:
            case yaml.ScalarEvent():
                node, anchor, size = self._scalar(event), event.anchor, 1
            case yaml.AliasEvent():
                node, size = self._alias(event)
                anchor = None
            case yaml.CollectionStartEvent():
                self._start(event)
                return None
            case yaml.CollectionEndEvent():
                closing = self._open.pop()
                node, anchor, size = closing.close(), closing.anchor, closing.size
            case _:
                return None
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        self._give(node, size)
        return node

    def _give(self, node: Node, size: int) -> None:
        if self._open:
            self._open[-1].children.append(node)
            self._open[-1].size += size

    def _count(self, size: int, at: Position) -> None:
        self._nodes += size
        if self._nodes > MAX_NODES:
            message = f"the file holds more than {MAX_NODES} YAML nodes, aliases counted with what they stand for"
            raise _RefusedError(at, message, "an AppSpec has a few hundred: is this the right file?")

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        at = _place(event.start_mark)
        self._count(1, at)
        if len(self._open) >= MAX_DEPTH:
            message = f"collections are nested deeper than {MAX_DEPTH} levels"
            raise _RefusedError(at, message, "an AppSpec needs five: check brackets and indentation")
        self._check_tag(event.tag, at)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Open(at, event.anchor, isinstance(event, yaml.MappingStartEvent)))

    def _alias(self, event: yaml.AliasEvent) -> tuple[Node, int]:
        at, name = _place(event.start_mark), str(event.anchor)
        if name not in self._anchors:
            hint = f"define it first (&{name}), or put quotes around a value that begins with *"
            raise _RefusedError(at, f"alias {shown('*' + name)} stands for nothing", hint)
        found = self._anchors[name]
        if found is None:
            raise _RefusedError(at, f"alias {shown('*' + name)} stands inside what it stands for", "write it out")
        self._count(found[1], at)
        if not self._has_warned_aliases:
            self._has_warned_aliases = True
            message = "YAML aliases are refused by the official agent on Ruby 3.1 and later"
            self._report.warn(at, "", message, "write the value out at each place")
        return found

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        at, text, tag = _place(event.start_mark), event.value, event.tag
        self._count(1, at)
        self._check_tag(tag, at)
        is_typed = tag is None or tag not in _STRING_TAGS | _BINARY_TAGS
        plain = is_typed and not event.style
        if plain and is_date(text):
            hint = f'put quotes around it: "{text}"'
            raise _RefusedError(at, f"{shown(text)} is a YAML date, which no key of an AppSpec takes", hint)
        if tag in _BINARY_TAGS:
            return Scalar(at, _from_base64(text, at), text, plain=False)
        return Scalar(at, resolve_plain(text) if plain else text, text, plain)

    def _check_tag(self, tag: str | None, at: Position) -> None:
        if tag is None or tag in _QUIET_TAGS:
            return
        if _REFUSED_TAGS.match(tag):
            message = f"tag {shown(tag)} would build an object, which no key of an AppSpec takes"
            raise _RefusedError(at, message, "remove the tag")
        self._report.warn(at, "", f"tag {shown(tag)} is ignored", "remove the tag")


def _from_base64(text: str, at: Position) -> str:
    try:
        return base64.b64decode(text).decode("utf-8")
    except (binascii.Error, ValueError):
        raise _RefusedError(at, "the value tagged !!binary is not UTF-8 text in base64", "write it as text") from None
