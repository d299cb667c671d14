"""The `files` section: what is copied where."""

from agent.core.appspec.model import FileMapping
from agent.core.appspec.nodes import Mapping, Node, Scalar, is_absent, kind_of, shown
from agent.core.appspec.paths import warn_glob, warn_odd_text, warn_relative
from agent.core.appspec.report import Report
from agent.core.appspec.shapes import Fields, entries, join, plain_text, read_fields, warn_unknown
from agent.core.install_paths import BadPathError, source_path

KEYS = ("source", "destination")
_EXAMPLE = "- source: html"


def parse_files(report: Report, node: Node | None) -> tuple[FileMapping, ...]:
    """Return the entries without errors; what is wrong with the others is in the report."""
    found = (_entry(report, item, where) for where, item in entries(report, node, "files", _EXAMPLE))
    return tuple(entry for entry in found if entry is not None)


def _entry(report: Report, node: Node, where: str) -> FileMapping | None:
    if not isinstance(node, Mapping):
        report.error(node, where, f"must have a source and a destination, but is {kind_of(node)}", _text_hint(node))
        return None
    fields = read_fields(report, node, where, KEYS)
    warn_unknown(report, fields, where, KEYS)
    source = _source(report, fields, where)
    destination = _destination(report, fields, where)
    if source is None or destination is None:
        return None
    return FileMapping(source=source, destination=destination, position=node.position)


def _text_hint(node: Node) -> str:
    text = node.raw if isinstance(node, Scalar) else ""
    if any(f"{key}:" in text for key in KEYS):
        return "put a space behind the colons and each key on a line of its own"
    return "write '- source: html' and below it '  destination: /var/www/html'"


def _source(report: Report, fields: Fields, where: str) -> str | None:
    node, key = fields.get("source"), join(where, "source")
    if node is None or is_absent(node):
        destination = fields.get("destination")
        what = f" for the destination {shown(destination.raw)}" if isinstance(destination, Scalar) else ""
        hint = _split_hint("source") if what else "name a file or folder of the bundle, / for all of it"
        report.error(node or fields.position, key, f"no source{what}", hint)
        return None
    source = plain_text(report, node, key)
    if source is None:
        return None
    try:
        source_path(source)
    except BadPathError as error:
        report.error(node, key, f"{shown(source)} {error.reason}", error.hint)
    warn_odd_text(report, node, key, source)
    warn_glob(report, node, key, source)
    if not source:
        report.warn(node, key, "an empty source means the whole bundle", "write / if that is meant")
    return source


def _destination(report: Report, fields: Fields, where: str) -> str | None:
    node, key = fields.get("destination"), join(where, "destination")
    if node is None or is_absent(node):
        source = fields.get("source")
        if isinstance(source, Scalar) and source.value is not None:
            message = f"no destination for the source {shown(source.raw)}"
            report.error(node or fields.position, key, message, _split_hint("destination"))
        return None  # an entry with neither: one error is enough
    destination = plain_text(report, node, key)
    if destination is None:
        return None
    if not destination.strip():
        message = "destination is blank: the official agent would install into the root of the file system"
        report.error(node, key, message, "name the folder to install into; write / if the root is meant")
        return None
    warn_odd_text(report, node, key, destination)
    warn_relative(report, node, key, destination)
    return destination


def _split_hint(key: str) -> str:
    return f"add {key}: to this entry; if it stands in the next or last one, remove the dash that parts them"
