"""Turns a YAML parser's complaint into a place, a sentence and a way to mend it. Parses nothing itself."""

import re

import yaml

from agent.core.appspec.model import Position

_HINTS = (
    ("alias", 'put quotes around a value that begins with *, as in pattern: "*.sh"'),
    ("anchor", "put quotes around a value that begins with &"),
    ("mapping values are not allowed", "check the indentation of this line; a value that holds ': ' needs quotes"),
    ("could not find expected ':'", "put ': ' behind the key, or check the indentation of this line"),
    ("did not find expected key", "check the indentation of this line against the keys above it; close open quotes"),
    ("did not find expected '-'", "check the indentation of this line against the list above it"),
    ("did not find expected ',' or", "close the bracket or put a comma between the items"),
    ("unknown escape character", "use single quotes, in which a backslash is an ordinary character"),
    ("block sequence entries are not allowed", "start the list on a line of its own, below its key"),
    ("found unexpected end of stream", "close the quotes or brackets opened here"),
    ("while scanning a directive", "put quotes around a value or key that begins with %"),
    ("did not find expected node content", "close the brackets opened above, or put quotes around the value"),
    ("block scalar", "put quotes around a value that begins with | or >"),
    ("incompatible YAML document", "remove the %YAML line, or write %YAML 1.1"),
    ("tag", "put quotes around a value that begins with !"),
)
_OPENED_EARLIER = ("could not find expected ':'", "found unexpected end of stream", "did not find expected ',' or")
"""Noticed at the end of the file or line; the mistake is where the thing began."""
_ANY_HINT = "check the indentation, quotes and brackets around this place"
_START_HINT = "put quotes around a value that begins with {}"


def explain_yaml_error(error: yaml.YAMLError, text: str) -> tuple[Position | None, str, str]:
    """Return where in `text` the parser stopped, what it found there, and a hint."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return None, f"not YAML: {str(error).splitlines()[0]}", _ANY_HINT
    mark = error.problem_mark or error.context_mark
    if error.context_mark and any(part in (error.problem or "") for part in _OPENED_EARLIER):
        mark = error.context_mark
    position = Position(line=mark.line + 1, column=mark.column + 1) if mark else None
    sentences = [part for part in (error.context, error.problem) if part]
    return position, f"not YAML: {', '.join(sentences)}", _hint(" ".join(sentences), text, position)


def _hint(problem: str, text: str, position: Position | None) -> str:
    at = _character_at(text, position)
    if "\t" in _indentation(text, position) or at == "\t":
        return "indent with spaces: YAML does not take tabs there"
    if "cannot start any token" in problem:
        return _START_HINT.format(at) if at.strip() else _ANY_HINT
    return next((hint for part, hint in _HINTS if part in problem), _ANY_HINT)


def _line(text: str, position: Position | None) -> str:
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    return lines[position.line - 1] if position and position.line <= len(lines) else ""


def _character_at(text: str, position: Position | None) -> str:
    return _line(text, position)[position.column - 1 : position.column] if position else ""


def _indentation(text: str, position: Position | None) -> str:
    line = _line(text, position)
    return line[: len(line) - len(line.lstrip())]
