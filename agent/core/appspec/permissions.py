"""The `permissions` section: which mode, owner, ACL and label installed files and folders get."""

from agent.core.appspec.acl import parse_acl_entry
from agent.core.appspec.mode import is_official_mode, official_mode_text, parse_mode
from agent.core.appspec.model import AclEntry, ObjectType, PermissionEntry, SelinuxContext
from agent.core.appspec.nodes import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    is_absent,
    is_empty_mapping,
    is_off,
    kind_of,
    shown,
)
from agent.core.appspec.paths import warn_odd_text, warn_relative
from agent.core.appspec.pattern import EVERYTHING_BELOW
from agent.core.appspec.report import Report
from agent.core.appspec.scalars import is_octal
from agent.core.appspec.selinux import parse_range
from agent.core.appspec.shapes import (
    Fields,
    entries,
    join,
    plain_text,
    read_fields,
    stripped_text,
    text_of,
    warn_unknown,
)
from agent.errors import AppSpecError

KEYS = ("object", "pattern", "except", "type", "owner", "group", "mode", "acls", "context")
CONTEXT_KEYS = ("name", "user", "type", "range", "role")
_EXAMPLE = "- object: /var/www"


def parse_permissions(report: Report, node: Node | None) -> tuple[PermissionEntry, ...]:
    """Return the entries without errors; what is wrong with the others is in the report."""
    found = (_entry(report, item, where) for where, item in entries(report, node, "permissions", _EXAMPLE))
    return tuple(entry for entry in found if entry is not None)


def _entry(report: Report, node: Node, where: str) -> PermissionEntry | None:
    if not isinstance(node, Mapping):
        hint = "write '- object: /var/www' and below it what the object gets"
        report.error(node, where, f"must have an object, but is {kind_of(node)}", hint)
        return None
    fields = read_fields(report, node, where, KEYS)
    warn_unknown(report, fields, where, KEYS)
    object_ = _object(report, fields, where)
    entry = PermissionEntry(
        object=object_ or "",
        pattern=_pattern(report, fields.get("pattern"), join(where, "pattern")),
        except_=_except(report, fields.get("except"), join(where, "except")),
        types=_types(report, fields.get("type"), join(where, "type")),
        owner=_name(report, fields.get("owner"), join(where, "owner")),
        group=_name(report, fields.get("group"), join(where, "group")),
        mode=_mode(report, fields.get("mode"), join(where, "mode")),
        acls=_acls(report, fields.get("acls"), join(where, "acls")),
        context=_context(report, fields.get("context"), join(where, "context")),
        position=node.position,
    )
    return None if object_ is None else entry


def _object(report: Report, fields: Fields, where: str) -> str | None:
    node, key = fields.get("object"), join(where, "object")
    if node is None or is_absent(node):
        hint = "add object: with the path on this host that the entry is about"
        report.error(node or fields.position, key, "no object: nothing says what the permissions are for", hint)
        return None
    path = stripped_text(report, node, key)
    if path == "":
        report.error(node, key, "object is blank", "name the path on this host that the entry is about")
        return None
    if path is None:
        return None
    warn_odd_text(report, node, key, path)
    warn_relative(report, node, key, path)
    if path.startswith("//") and not path.startswith("///"):
        report.warn(node, key, f"{shown(path)} never matches anything", "begin with one slash")
    return path


def _pattern(report: Report, node: Node | None, key: str) -> str:
    if node is None or is_off(node):
        return EVERYTHING_BELOW
    pattern = plain_text(report, node, key, 'write text in quotes, as in pattern: "*.sh"')
    if pattern is None or pattern == EVERYTHING_BELOW:
        return EVERYTHING_BELOW
    _warn_pattern(report, node, key, pattern)
    return pattern


def _warn_pattern(report: Report, node: Node, key: str, pattern: str) -> None:
    if not pattern:
        report.warn(node, key, "an empty pattern matches nothing", 'remove it, or write "**" for everything')
    elif "/" in pattern:
        message = f"{shown(pattern)} matches nothing: it is held against the name directly below object"
        report.warn(node, key, message, "name the folder in object and leave a pattern without a slash")
    elif any(character in pattern for character in "?[]{}"):
        message = f"in {shown(pattern)} only * is special; ? [ ] {{ }} are ordinary characters"
        report.warn(node, key, message, "write an entry for each name, or a wider pattern")


def _except(report: Report, node: Node | None, key: str) -> tuple[str, ...]:
    if node is None or is_off(node) or is_empty_mapping(node):
        return ()
    if not isinstance(node, Sequence):
        hint = f"put it in brackets: except: [{node.raw}]" if isinstance(node, Scalar) else "begin each item with '- '"
        report.error(node, key, f"must be a list, not {kind_of(node)}", hint)
        return ()
    names = []
    for index, item in enumerate(node.items):
        where = f"{key}[{index}]"
        name = plain_text(report, item, where)
        if name is not None:
            _warn_pattern(report, item, where, name)
            names.append(name)
    return tuple(names)


def _types(report: Report, node: Node | None, key: str) -> frozenset[ObjectType]:
    if node is None or is_off(node):
        return frozenset(ObjectType)
    if isinstance(node, Scalar) and node.value in set(ObjectType):
        message = f"a bare {node.raw} is taken for a list of one: the official agent fails on it"
        report.warn(node, key, message, f"write type: [{node.raw}]")
        return frozenset({ObjectType(str(node.value))})
    if not isinstance(node, Sequence) and not is_empty_mapping(node):
        report.error(node, key, f"must be a list, not {kind_of(node)}", "write type: [file, directory], or one of them")
        return frozenset()
    items = node.items if isinstance(node, Sequence) else ()
    if not items:
        report.warn(node, key, "an empty type matches nothing", "remove it to mean files and directories")
    return frozenset(found for index, item in enumerate(items) if (found := _type(report, item, f"{key}[{index}]")))


def _type(report: Report, node: Node, where: str) -> ObjectType | None:
    if isinstance(node, Scalar) and node.value in set(ObjectType):
        return ObjectType(str(node.value))
    report.error(node, where, f"must be file or directory, not {kind_of(node)}", "write it in lower case")
    return None


def _name(report: Report, node: Node | None, key: str) -> str | None:
    if node is None or is_absent(node):
        return None
    if isinstance(node, Scalar) and isinstance(node.value, int) and not isinstance(node.value, bool):
        what = "group" if key.endswith("group") else "user"
        report.error(node, key, f"numeric ids are not taken: {shown(node.raw)}", f"write the {what}'s name")
        return None
    name = plain_text(report, node, key, "write a name")
    if name is not None and (not name or name != name.strip()):
        report.error(node, key, f"{shown(name)} is no name: spaces count", "write the name alone, or remove the key")
        return None
    if name is not None and name.isdigit():
        message = f"{shown(name)} is looked up as a name: numeric ids are not taken"
        report.warn(node, key, message, "write the name")
    return name


def _mode(report: Report, node: Node | None, key: str) -> int | None:
    if node is None or is_absent(node):
        return None
    if not isinstance(node, Scalar):
        report.error(node, key, f"must be octal digits, not {kind_of(node)}", 'write for instance mode: "0644"')
        return None
    try:
        mode = parse_mode(node)
    except AppSpecError as error:
        report.error(node, key, error.message, error.hint)
        return None
    _warn_mode(report, node, key, mode)
    return mode


def _warn_mode(report: Report, node: Scalar, key: str, mode: int) -> None:
    official = official_mode_text(node)
    hint = f'write mode: "{mode:04o}"'
    if node.plain and is_octal(node.raw):
        if not is_official_mode(official):
            message = f"{node.raw} without quotes: the official agent reads {official} and refuses it"
            report.warn(node, key, message, hint)
        elif int(official, 8) != mode:
            message = f"{node.raw} without quotes: the official agent reads {official} and sets mode {official:0>4}"
            report.warn(node, key, message, hint)
    elif node.raw.strip() != official and node.raw.strip().rjust(3, "0") != official:
        report.warn(node, key, f"{shown(node.raw)} means mode {mode:04o}", hint)
    elif len(node.raw) < 3:
        report.warn(node, key, f"{shown(node.raw)} has fewer than three digits and means mode {mode:04o}", hint)


def _acls(report: Report, node: Node | None, key: str) -> tuple[AclEntry, ...] | None:
    if node is None or is_absent(node):
        return None
    if is_empty_mapping(node):
        return ()
    if not isinstance(node, Sequence):
        report.error(node, key, f"must be a list of entries, not {kind_of(node)}", "write acls: ['user:deploy:rwx']")
        return None
    found = [_acl(report, item, f"{key}[{index}]") for index, item in enumerate(node.items)]
    return tuple(entry for entry in found if entry is not None)


def _acl(report: Report, node: Node, where: str) -> AclEntry | None:
    hint = "put quotes around the entry: YAML takes it for something else"
    text = plain_text(report, node, where, hint)
    if text is None:
        return None
    try:
        return parse_acl_entry(text)
    except AppSpecError as error:
        report.error(node, where, error.message, error.hint)
        return None


def _context(report: Report, node: Node | None, key: str) -> SelinuxContext | None:
    if node is None or is_absent(node):
        return None
    if not isinstance(node, Mapping):
        report.error(node, key, f"must be a mapping with a type, not {kind_of(node)}", "write context: {type: NAME}")
        return None
    fields = read_fields(report, node, key, CONTEXT_KEYS)
    warn_unknown(report, fields, key, CONTEXT_KEYS)
    if (role := fields.get("role")) is not None and not is_absent(role):
        report.warn(role, join(key, "role"), "role is ignored: the policy decides", "remove it")
    type_ = _context_type(report, fields, key)
    user = _context_user(report, fields, key)
    range_ = _context_range(report, fields, key)
    return None if type_ is None else SelinuxContext(type=type_, user=user, range=range_)


def _context_type(report: Report, fields: Fields, key: str) -> str | None:
    node, where = fields.get("type"), join(key, "type")
    if node is None or is_absent(node):
        report.error(node or fields.position, where, "no type: a label needs one", "add type: httpd_sys_content_t")
        return None
    text = text_of(report, node, where)
    if text is not None and not text.strip():
        report.error(node, where, "the type is blank", "name an SELinux type, as in type: httpd_sys_content_t")
        return None
    return text


def _context_user(report: Report, fields: Fields, key: str) -> str | None:
    """Return the SELinux user: `name` is what the official agent reads, `user` what its documentation says."""
    name, user = fields.get("name"), fields.get("user")
    if user is not None and not is_absent(user):
        where = join(key, "user")
        if name is not None and not is_absent(name):
            report.warn(user, where, "user is ignored beside name", "keep name")
        else:
            report.warn(user, where, "the official agent ignores user: it reads name", "write name: for both agents")
            return text_of(report, user, where)
    return None if name is None or is_absent(name) else text_of(report, name, join(key, "name"))


def _context_range(report: Report, fields: Fields, key: str) -> str | None:
    node, where = fields.get("range"), join(key, "range")
    if node is None or is_absent(node):
        message = "no range: the official agent fails at Install without one"
        report.warn(fields.position, where, message, "add range: s0 for both agents")
        return None
    text = plain_text(report, node, where)
    if text is None:
        return None
    try:
        range_ = parse_range(text)
    except AppSpecError as error:
        report.error(node, where, error.message, error.hint)
        return None
    if text.endswith(","):
        report.warn(node, where, f"the commas at the end of {shown(text)} are ignored", f"write range: {range_}")
    return range_
