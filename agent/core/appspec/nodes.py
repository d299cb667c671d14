"""YAML nodes with their places, scalars already resolved. Values only; knows nothing of what an AppSpec means."""

from dataclasses import dataclass

from agent.core.appspec.model import Position


@dataclass(frozen=True, slots=True)
class Symbol:
    """A plain `:name`. The official agent reads it as another type than text, so as a key it equals no text."""

    name: str


ScalarValue = str | int | float | bool | None | Symbol


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `raw` is its text as written; `plain` says that it stood without quotes and could be typed."""

    position: Position
    value: ScalarValue
    raw: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    position: Position
    items: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Mapping:
    position: Position
    pairs: "tuple[tuple[Node, Node], ...]"


Node = Scalar | Sequence | Mapping

_SHOWN_CHARACTERS = 60


def is_absent(node: Node | None) -> bool:
    """True for a key that is missing or has no value."""
    return node is None or (isinstance(node, Scalar) and node.value is None)


def is_off(node: Node | None) -> bool:
    """True for what the official agent takes as "nothing here": missing, no value, or `false`."""
    return is_absent(node) or (isinstance(node, Scalar) and node.value is False)


def is_empty_mapping(node: Node) -> bool:
    return isinstance(node, Mapping) and not node.pairs


def shown(value: object) -> str:
    """Return `value` quoted for a message, cut where it gets long."""
    text = value if isinstance(value, str) else str(value)
    if len(text) > _SHOWN_CHARACTERS:
        text = text[: _SHOWN_CHARACTERS - 3] + "..."
    return repr(text)


def kind_of(node: Node) -> str:
    """Return what `node` is in a reader's words, with its text when that is short enough to help."""
    match node:
        case Sequence():
            return "a list"
        case Mapping():
            return "a mapping (key: value)"
        case Scalar(value=None):
            return "empty"
        case Scalar(value=bool()):
            return f"the boolean {shown(node.raw)}"
        case Scalar(value=int() | float()):
            return f"the number {shown(node.raw)}"
        case Scalar(value=Symbol()):
            return f"the symbol {shown(node.raw)}"
        case Scalar():
            return f"the text {shown(node.raw)}"
