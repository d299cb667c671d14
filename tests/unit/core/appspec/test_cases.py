"""Every numbered case of the grammar: what the official parser says of it, what ours says, what the JSON Schema says.

`official` is its verdict: OK, VAL (refused with a message), RAW (fails by accident), YAML. Where ours differs from it
on purpose the case says why in `differs`, and docs/compatibility.md has a row.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from agent.core.appspec.compose import compose
from agent.core.appspec.model import AppSpec, ObjectType
from agent.core.appspec.nodes import Mapping, Node, Scalar, Sequence, Symbol
from agent.core.appspec.parse import parse_appspec
from agent.core.appspec.report import Report

SCHEMA_FILE = Path(__file__).parents[4] / "docs" / "appspec.schema.json"

H = "version: 0.0\nos: linux\n"
CANNOT_TELL = "the schema accepts: it cannot express the rule"
NOT_DATA = "no data comes out of this text, so no schema sees it"


@dataclass(frozen=True, kw_only=True)
class Case:
    number: str
    text: bytes
    official: str
    error: str = ""
    """Part of our error's message; empty when we accept."""
    key: str = ""
    value: Callable[[AppSpec], object] | None = None
    equals: object = None
    differs: str = ""
    schema: str = ""
    """Empty: the schema says what we say. Otherwise why it cannot."""


def accept(
    number: str,
    text: str | bytes,
    value: Callable[[AppSpec], object] | None = None,
    equals: object = None,
    *,
    official: str = "OK",
    differs: str = "",
    schema: str = "",
) -> Case:
    return Case(
        number=number, text=_bytes(text), official=official, value=value, equals=equals, differs=differs, schema=schema
    )


def refuse(
    number: str, text: str | bytes, official: str, error: str, *, key: str = "", differs: str = "", schema: str = ""
) -> Case:
    return Case(
        number=number, text=_bytes(text), official=official, error=error, key=key, differs=differs, schema=schema
    )


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def script(rest: str) -> str:
    return f"{H}hooks: {{E: [{{location: a, {rest}}}]}}\n"


def entry(rest: str) -> str:
    return f"{H}permissions: [{{object: /a, {rest}}}]\n"


def acls(*texts: str) -> str:
    return entry(f"acls: {list(texts)}")


def label(range_: str) -> str:
    return entry(f"context: {{type: t, range: {range_}}}")


def scripts(appspec: AppSpec) -> list[str]:
    return [one.location for one in appspec.scripts_for("E")]


def timeout(appspec: AppSpec) -> int:
    return appspec.scripts_for("E")[0].timeout_s


def runas(appspec: AppSpec) -> str | None:
    return appspec.scripts_for("E")[0].runas


def sudo(appspec: AppSpec) -> bool:
    return appspec.scripts_for("E")[0].sudo


def pairs(appspec: AppSpec) -> list[tuple[str, str]]:
    return [(one.source, one.destination) for one in appspec.files]


def mode(appspec: AppSpec) -> str:
    return f"{appspec.permissions[0].mode:03o}"


def acl(appspec: AppSpec) -> list[str]:
    return [str(one) for one in appspec.permissions[0].acls or ()]


def range_of(appspec: AppSpec) -> str | None:
    context = appspec.permissions[0].context
    assert context
    return context.range


def context_user(appspec: AppSpec) -> str | None:
    context = appspec.permissions[0].context
    assert context
    return context.user


def pattern(appspec: AppSpec) -> str:
    return appspec.permissions[0].pattern


def types(appspec: AppSpec) -> set[str]:
    return {str(one) for one in appspec.permissions[0].types}


def behavior(appspec: AppSpec) -> str | None:
    return appspec.file_exists_behavior


def is_empty(appspec: AppSpec) -> bool:
    return appspec == AppSpec()


VERSION = "must be the number 0.0"
TOP = "must be keys and values"
LOCATION = "no location"
BLANK = "location is blank"
TIMEOUT = "must be at least one second"
NOT_SECONDS = "must be a number of seconds"
LONG = "more than four digits"
DIGIT = "is not an octal digit"
NOT_ACL = "is not an ACL entry"
NOT_PERM = "is not a permission"
BASE = "the base entry of"
RANGE = "is not a SELinux range"

TOP_LEVEL = [
    refuse("1", "", "VAL", "the AppSpec is empty"),
    refuse("2", " \n", "VAL", "the AppSpec is empty"),
    refuse("3", "# comment only", "VAL", "the AppSpec is empty"),
    refuse("4", "false", "VAL", "the AppSpec is empty"),
    refuse("4b", "---\n", "VAL", "the AppSpec is empty"),
    refuse("4c", "null", "VAL", "the AppSpec is empty"),
    refuse("5", "just text", "VAL", TOP),
    refuse("6", "[a]", "RAW", TOP),
    refuse("7", "42", "RAW", TOP),
    refuse("8", "{os: linux}", "VAL", "no version", key="version"),
    refuse("9", "{version: invalid, os: linux}", "VAL", VERSION, key="version"),
    refuse("10", '{version: "0.0", os: linux}', "VAL", VERSION, key="version"),
    accept("11", "{version: 0, os: linux}", is_empty, True),
    accept("11b", "{version: 0.00, os: linux}", is_empty, True),
    accept("12", "{version: .0, os: linux}", is_empty, True),
    accept("13", "{version: -0.0, os: linux}", is_empty, True),
    refuse("14", "{version: 1.0, os: linux}", "VAL", VERSION, key="version"),
    refuse("15", "{version: 0.0e0, os: linux}", "VAL", VERSION, key="version"),
    refuse("15b", "{version: false, os: linux}", "VAL", VERSION, key="version"),
    refuse("15c", "{version: .nan, os: linux}", "VAL", VERSION, key="version"),
    refuse("16", "{version: 0.0}", "VAL", "no os", key="os"),
    refuse("17", "{version: 0.0, os: Linux}", "VAL", "must be linux", key="os"),
    refuse("17b", "{version: 0.0, os: 'linux '}", "VAL", "must be linux", key="os"),
    refuse("18", "{version: 0.0, os: windows}", "VAL", "the bundle is for Windows", key="os"),
    refuse("19", "{version: 0.0, os: other}", "VAL", "must be linux", key="os"),
    refuse("20", "{Version: 0.0, Os: linux}", "VAL", "no version", key="version"),
    refuse("20b", ":version: 0.0\nos: linux\n", "VAL", "no version", key="version"),
    accept("21", H, is_empty, True),
    accept("22", f"{H}extra: 1\n", is_empty, True),
    accept("23", f"{H}---\nversion: 1\n", is_empty, True),
    refuse("24", f"{H}version: 1\n", "VAL", VERSION, key="version"),
    accept("25", f"{H}a: &x 1\nb: *x\n", is_empty, True, official="YAML", differs="aliases are taken, within a limit"),
    refuse("26", f"{H}d: 2024-01-01\n", "YAML", "is a YAML date", schema=NOT_DATA),
    accept("27", H.replace("\n", "\r\n"), is_empty, True),
    accept(
        "28", b"\xef\xbb\xbf" + H.encode(), is_empty, True, official="VAL", differs="the byte order mark is removed"
    ),
    refuse("29", f"{H}hooks:\n\tE: []\n", "YAML", "not YAML", schema=NOT_DATA),
    accept("30", f"{H}file_exists_behavior: OVERWRITE\n", behavior, "OVERWRITE"),
    refuse("31", f"{H}file_exists_behavior: overwrite\n", "VAL", "must be one of", key="file_exists_behavior"),
    refuse("32", f"{H}file_exists_behavior: invalid\n", "VAL", "must be one of", key="file_exists_behavior"),
    refuse("33", f"{H}file_exists_behavior: ''\n", "VAL", "must be one of", key="file_exists_behavior"),
    refuse("33b", f"{H}file_exists_behavior: [RETAIN]\n", "VAL", "must be one of", key="file_exists_behavior"),
    accept("34", f"{H}file_exists_behavior:\n", behavior, None),
    refuse("35", f"{H}file_exists_behavior: 'RETAIN '\n", "VAL", "must be one of", key="file_exists_behavior"),
]

HOOKS = [
    accept("36", f"{H}hooks:\n", is_empty, True),
    accept("36b", f"{H}hooks: false\n", is_empty, True),
    accept("36c", f"{H}hooks: {{}}\n", is_empty, True),
    refuse("37", f"{H}hooks: []\n", "RAW", "must hold lifecycle events", key="hooks"),
    refuse("38", f"{H}hooks: text\n", "RAW", "must hold lifecycle events", key="hooks"),
    accept("39", f"{H}hooks: {{E: }}\n", lambda a: a.hooks, {}),
    accept("39b", f"{H}hooks: {{E: false}}\n", lambda a: a.hooks, {}),
    accept("40", f"{H}hooks: {{E: []}}\n", lambda a: a.hooks, {"E": ()}),
    refuse("41", f"{H}hooks: {{E: run.sh}}\n", "RAW", "must be a list of scripts", key="hooks.E"),
    refuse("41b", f"{H}hooks: {{E: 5}}\n", "RAW", "must be a list of scripts", key="hooks.E"),
    refuse("42", f"{H}hooks: {{E: [run.sh]}}\n", "RAW", "must have a location", key="hooks.E[0]"),
    refuse("43", f"{H}hooks: {{E: {{location: a}}}}\n", "RAW", "must be a list of scripts", key="hooks.E"),
    accept("44", f"{H}hooks: {{E: [{{location: a}}]}}\n", timeout, 3600),
    accept("45", script("timeout: 30, runas: foo"), lambda a: (timeout(a), runas(a), sudo(a)), (30, "foo", False)),
    accept("46", script("sudo: true, runas: foo"), lambda a: (runas(a), sudo(a)), ("foo", True)),
    accept("47", f"{H}hooks: {{E: [{{location: b}}, {{location: a}}]}}\n", scripts, ["b", "a"]),
    accept("47b", f"{H}hooks: {{E: [{{location: a}}, {{location: a}}]}}\n", scripts, ["a", "a"]),
    refuse("48", f"{H}hooks: {{E: [{{timeout: 30}}]}}\n", "VAL", LOCATION, key="hooks.E[0].location"),
    refuse("49", f"{H}hooks: {{E: [{{location: }}]}}\n", "VAL", LOCATION, key="hooks.E[0].location"),
    refuse("50", f"{H}hooks: {{E: [{{location: '  '}}]}}\n", "VAL", BLANK, key="hooks.E[0].location"),
    accept("51", f"{H}hooks: {{E: [{{location: ' a '}}]}}\n", scripts, ["a"]),
    accept("52", f"{H}hooks: {{E: [{{location: 12}}]}}\n", scripts, ["12"]),
    accept("52b", f"{H}hooks:\n  E:\n    - location: :sym\n", scripts, ["sym"]),
    refuse(
        "52c",
        f"{H}hooks: {{E: [{{location: a/../../b}}]}}\n",
        "OK",
        "leads out of the bundle",
        key="hooks.E[0].location",
        differs="nothing outside the bundle is copied or run",
        schema=CANNOT_TELL,
    ),
    refuse("53", f"{H}hooks: {{E: [{{Location: a}}]}}\n", "VAL", LOCATION, key="hooks.E[0].location"),
    refuse("54", f"{H}hooks: {{E: [null]}}\n", "RAW", "must have a location", key="hooks.E[0]"),
    refuse("55", script("timeout: foo"), "VAL", TIMEOUT, key="hooks.E[0].timeout"),
    refuse("56", script("timeout: 0"), "VAL", TIMEOUT, key="hooks.E[0].timeout"),
    refuse("57", script("timeout: -5"), "VAL", TIMEOUT, key="hooks.E[0].timeout"),
    refuse("58", script("timeout: .5"), "VAL", TIMEOUT, key="hooks.E[0].timeout"),
    refuse("59", script("timeout: ''"), "VAL", TIMEOUT, key="hooks.E[0].timeout"),
    accept("60", script('timeout: "30"'), timeout, 30),
    accept("61", script('timeout: "30 seconds"'), timeout, 30),
    accept("62", script("timeout: 30.9"), timeout, 30),
    accept("63", script("timeout: 010"), timeout, 8),
    accept("64", script("timeout: 0x10"), timeout, 16),
    accept("64b", script("timeout: 1_000"), timeout, 1000),
    refuse("65", script('timeout: "0x10"'), "VAL", TIMEOUT, key="hooks.E[0].timeout"),
    accept("66", script("timeout: 1e3"), timeout, 1),
    accept("67", script("timeout: 1:30"), timeout, 5400),
    accept("68", script("timeout: ~"), timeout, 3600),
    accept("68b", script("timeout: false"), timeout, 3600),
    refuse("69", script("timeout: true"), "RAW", NOT_SECONDS, key="hooks.E[0].timeout"),
    refuse("69b", script("timeout: [5]"), "RAW", NOT_SECONDS, key="hooks.E[0].timeout"),
    refuse("69c", script("timeout: .inf"), "RAW", NOT_SECONDS, key="hooks.E[0].timeout", schema=CANNOT_TELL),
    refuse(
        "70", script("runas: ''"), "OK", "runas is blank", key="hooks.E[0].runas", differs="empty runas is an error"
    ),
    accept("71", script("runas: 1000"), runas, "1000"),
    accept("71b", script("runas: ~"), runas, None),
    accept("71c", script("runas: ' web '"), runas, "web"),
    accept("72", script("sudo: 'false'"), sudo, True),
    accept("72b", script("sudo: 0"), sudo, True),
    accept("72c", script("sudo: [x]"), sudo, True),
    accept("72d", script("sudo: no"), sudo, False),
    accept("73", f"{H}hooks: {{Bogus: [{{location: a}}]}}\n", lambda a: list(a.hooks), ["Bogus"]),
    accept("74", f"{H}hooks: {{E: [{{location: a}}], E: [{{location: b}}]}}\n", scripts, ["b"]),
]

FILES = [
    accept("75", f"{H}files: [{{source: a, destination: /b}}]\n", pairs, [("a", "/b")]),
    refuse(
        "76", f"{H}files: [{{source: a}}]\n", "VAL", "no destination for the source 'a'", key="files[0].destination"
    ),
    refuse("77", f"{H}files: [{{destination: /b}}]\n", "VAL", "no source for the destination", key="files[0].source"),
    refuse("78", f"{H}files: [{{source: , destination: }}]\n", "VAL", "no source", key="files[0].source"),
    refuse(
        "79",
        f"{H}files: [{{source: '', destination: ''}}]\n",
        "OK",
        "destination is blank",
        key="files[0].destination",
        differs="nobody installs into / by leaving a text empty",
    ),
    accept("79b", f"{H}files: [{{source: '', destination: /}}]\n", pairs, [("", "/")]),
    refuse(
        "79c",
        f"{H}files: [{{source: ../a, destination: /b}}]\n",
        "OK",
        "leaves the bundle",
        key="files[0].source",
        differs="nothing outside the bundle is copied or run",
    ),
    refuse(
        "79d",
        f"{H}files: [{{source: //a, destination: /b}}]\n",
        "OK",
        "begins with two slashes",
        key="files[0].source",
        differs="two slashes read like a path outside the bundle",
    ),
    accept("80", f"{H}files: [{{source: ' a ', destination: ' /b '}}]\n", pairs, [(" a ", " /b ")]),
    refuse(
        "81", f"{H}files: [{{source: 1, destination: 2}}]\n", "RAW at Install", "must be text", key="files[0].source"
    ),
    refuse("82", f"{H}files: {{source: a, destination: b}}\n", "RAW", "must be a list", key="files"),
    accept("83", f"{H}files: {{}}\n", pairs, []),
    accept("83b", f"{H}files:\n", pairs, []),
    accept("83c", f"{H}files: false\n", pairs, []),
    refuse("84", f"{H}files: text\n", "RAW", "must be a list", key="files"),
    refuse("85", f"{H}files: [null]\n", "RAW", "must have a source and a destination", key="files[0]"),
    refuse("86", f"{H}files: [text]\n", "VAL", "must have a source and a destination", key="files[0]"),
]

PERMISSIONS = [
    refuse("87", f"{H}permissions: [{{pattern: x}}]\n", "VAL", "no object", key="permissions[0].object"),
    refuse("88", f"{H}permissions: [{{object: }}]\n", "VAL", "no object", key="permissions[0].object"),
    refuse("89", f"{H}permissions: [{{object: '  '}}]\n", "VAL", "object is blank", key="permissions[0].object"),
    accept("90", f"{H}permissions: [{{object: ' /a '}}]\n", lambda a: a.permissions[0].object, "/a"),
    refuse("91", f"{H}permissions: [text]\n", "RAW", "must have an object", key="permissions[0]"),
    refuse("92", f"{H}permissions: {{object: /a}}\n", "RAW", "must be a list", key="permissions"),
    accept("92b", f"{H}permissions: {{}}\n", lambda a: a.permissions, ()),
    accept(
        "93",
        f"{H}permissions: [{{object: /a}}]\n",
        lambda a: (pattern(a), a.permissions[0].except_, a.permissions[0].types, a.permissions[0].mode),
        ("**", (), frozenset(ObjectType), None),
    ),
    accept("94", entry("pattern: '*'"), pattern, "*"),
    accept("94b", entry("pattern: false"), pattern, "**"),
    refuse("95", f"{H}permissions:\n  - object: /a\n    pattern: *.sh\n", "YAML", "not YAML", schema=NOT_DATA),
    accept("96", entry("pattern: ''"), pattern, ""),
    accept("97", entry("except: [a, b]"), lambda a: a.permissions[0].except_, ("a", "b")),
    accept("97b", entry("except: ~"), lambda a: a.permissions[0].except_, ()),
    refuse("98", entry("except: a"), "RAW", "must be a list", key="permissions[0].except"),
    accept("99", entry("type: [file]"), types, {"file"}),
    accept("99b", entry("type: [file, file]"), types, {"file"}),
    accept("99c", entry("type: false"), types, {"file", "directory"}),
    accept("100", entry("type: file"), types, {"file"}, official="RAW", differs="a bare type is taken"),
    refuse("101", entry("type: [File]"), "VAL", "must be file or directory", key="permissions[0].type[0]"),
    refuse("102", entry("type: [link]"), "VAL", "must be file or directory", key="permissions[0].type[0]"),
    accept("103", entry("type: []"), types, set()),
    refuse("104", entry("mode: 12345"), "VAL", LONG, key="permissions[0].mode"),
    accept("105", entry("mode: 12"), mode, "012"),
    refuse("106", entry("mode: 12a"), "VAL", DIGIT, key="permissions[0].mode"),
    accept("107", entry("mode: 7777"), mode, "7777"),
    accept("107b", entry("mode: 0000"), mode, "000"),
    accept("107c", entry("mode: 777"), mode, "777"),
    accept("107d", entry("mode: 4755"), mode, "4755"),
    accept("107e", entry("mode: ''"), mode, "000"),
    refuse("108", entry("mode: 888"), "VAL", DIGIT, key="permissions[0].mode", schema=CANNOT_TELL),
    accept("109", entry("mode: 0644"), mode, "644", differs="octal means what was written, not mode 0420"),
    accept("109b", entry("mode: 0777"), mode, "777", differs="octal means what was written, not mode 0511"),
    accept("109c", entry("mode: 04755"), mode, "4755", differs="octal means what was written, not mode 2541"),
    accept("110", entry("mode: 0755"), mode, "755", official="VAL", differs="octal means what was written"),
    accept("111", entry('mode: "0755"'), mode, "755"),
    refuse("111b", entry('mode: "04755"'), "VAL", LONG, key="permissions[0].mode"),
    refuse("112", entry("mode: 0o644"), "VAL", LONG, key="permissions[0].mode"),
    refuse("113", entry("mode: -1"), "VAL", DIGIT, key="permissions[0].mode"),
    refuse("114", entry("mode: true"), "VAL", DIGIT, key="permissions[0].mode"),
    refuse("115", entry("mode: false"), "VAL", LONG, key="permissions[0].mode"),
    accept("116", entry("mode: 1:30"), mode, "5400"),
    refuse("117", entry("mode: [6]"), "VAL", "must be octal digits", key="permissions[0].mode"),
    refuse("117b", entry("mode: u+x"), "VAL", DIGIT, key="permissions[0].mode"),
    refuse("118", entry("owner: 1000"), "RAW at Install", "numeric ids are not taken", key="permissions[0].owner"),
    accept("119", entry("owner: nosuch"), lambda a: a.permissions[0].owner, "nosuch"),
]

ACLS = [
    refuse("120", acls("7"), "VAL", NOT_ACL, key="permissions[0].acls[0]"),
    refuse("121", acls("d:u:bob:7:rwx"), "VAL", NOT_ACL, key="permissions[0].acls[0]"),
    refuse("122", acls("d:d:bob:7"), "VAL", NOT_ACL, key="permissions[0].acls[0]"),
    refuse("123", acls("x:bob:7"), "VAL", NOT_ACL, key="permissions[0].acls[0]"),
    refuse("124", acls("mask:bob:7"), "VAL", NOT_ACL, key="permissions[0].acls[0]"),
    refuse("125", acls("d:other:bob:7"), "VAL", NOT_ACL, key="permissions[0].acls[0]"),
    refuse("126", acls("user:bob:rwxd"), "VAL", NOT_PERM, key="permissions[0].acls[0]"),
    refuse("127", acls("u:bob:8"), "VAL", NOT_PERM, key="permissions[0].acls[0]"),
    refuse("128", acls("u:bob:77"), "VAL", NOT_PERM, key="permissions[0].acls[0]"),
    refuse("129", acls("u:bob:R"), "VAL", NOT_PERM, key="permissions[0].acls[0]"),
    refuse("130", acls("u::7"), "VAL", BASE, key="permissions[0].acls[0]"),
    refuse("130b", acls("g::7"), "VAL", BASE, key="permissions[0].acls[0]"),
    refuse("130c", acls("o:7"), "VAL", BASE, key="permissions[0].acls[0]"),
    refuse("131", acls(":7"), "VAL", BASE, key="permissions[0].acls[0]"),
    accept("132", acls("u:bob:x-r"), acl, ["user:bob:r-x"]),
    accept("133", acls("user:bob:"), acl, ["user:bob:---"]),
    accept("134", acls("bob:0", "m:7", "mask:"), acl, ["user:bob:---", "mask::rwx", "mask::---"]),
    accept("135", acls("d:bob:rwx", "default::rw"), acl, ["default:user:bob:rwx", "default:user::rw-"]),
    accept("136", acls("u:mask:7", "u:other:7"), acl, ["user:mask:rwx", "user:other:rwx"]),
    accept("136b", acls("u:m:7", "u:o:7"), acl, ["user:mask:rwx", "user:other:rwx"]),
    accept("137", acls("g:7"), acl, ["user:g:rwx"]),
    accept("137b", acls("u:7", "d:7", "group:7"), acl, ["user:u:rwx", "user:d:rwx", "user:group:rwx"]),
    accept(
        "138", acls("d:g::7", "d:o:7", "d:m:7"), acl, ["default:group::rwx", "default:other::rwx", "default:mask::rwx"]
    ),
    accept("138b", acls("d:u:7", "d:g:7"), acl, ["default:user:u:rwx", "default:user:g:rwx"]),
    accept("138c", acls("default:default:7"), acl, ["default:user:default:rwx"]),
    accept(
        "138d", acls("d::7", "d:u::7", "d:o::7"), acl, ["default:user::rwx", "default:user::rwx", "default:other::rwx"]
    ),
    refuse("139", acls("U:bob:7"), "VAL", NOT_ACL, key="permissions[0].acls[0]"),
    refuse("140", acls(" u:bob:7"), "VAL", NOT_ACL, key="permissions[0].acls[0]"),
    accept("141", acls("u:bob:7", "u:bob:6"), acl, ["user:bob:rwx", "user:bob:rw-"]),
    refuse("142", entry("acls: u:bob:7"), "RAW", "must be a list of entries", key="permissions[0].acls"),
    refuse("142b", entry("acls: false"), "RAW", "must be a list of entries", key="permissions[0].acls"),
    refuse("143", entry("acls: [1000:7]"), "RAW", "must be text", key="permissions[0].acls[0]"),
    refuse("143b", entry("acls: [u: bob]"), "RAW", "must be text", key="permissions[0].acls[0]"),
    accept("144", entry("acls: []"), lambda a: a.permissions[0].acls, ()),
    accept("144b", entry("acls: "), lambda a: a.permissions[0].acls, None),
]

CONTEXTS = [
    refuse("145", entry("context: {name: u}"), "VAL", "no type", key="permissions[0].context.type"),
    accept(
        "146", entry("context: {type: t}"), range_of, None, official="RAW at Install", differs="range is truly optional"
    ),
    accept(
        "147",
        entry("context: {user: u, type: t, range: s0}"),
        lambda a: (context_user(a), range_of(a)),
        ("u", "s0"),
        differs="user works; the official agent ignores it",
    ),
    accept("147b", entry("context: {name: n, user: u, type: t, range: s0}"), context_user, "n"),
    refuse("148", entry("context: t"), "VAL", "must be a mapping with a type", key="permissions[0].context"),
    refuse("149", entry("context: []"), "RAW", "must be a mapping with a type", key="permissions[0].context"),
    refuse("149b", entry("context: {}"), "VAL", "no type", key="permissions[0].context.type"),
    accept("150", label("s5"), range_of, "s5"),
    accept("151", label("'s3-s5:c0.c7,c13'"), range_of, "s3-s5:c0.c7,c13"),
    refuse("152", label("s3-s2:c0"), "VAL", RANGE, schema=CANNOT_TELL),
    refuse("153", label("s3-:c0"), "VAL", RANGE),
    refuse("154", label("':c0'"), "VAL", RANGE),
    refuse("155", label("s"), "VAL", RANGE),
    refuse("156", label("s0-s-1"), "VAL", RANGE),
    refuse("157", label("sd3"), "VAL", RANGE),
    refuse("157b", label("d3"), "VAL", RANGE),
    refuse("158", label("s0:c2.c1"), "VAL", RANGE, schema=CANNOT_TELL),
    refuse("159", label("s0:c2."), "VAL", RANGE),
    refuse("160", label("'s0:'"), "VAL", RANGE),
    refuse("161", label("s0:c"), "VAL", RANGE),
    refuse("161b", label("s0:c-1"), "VAL", RANGE),
    refuse("161c", label("s0:cd3"), "VAL", RANGE),
    refuse("161d", label("s0:d3"), "VAL", RANGE),
    refuse("162", label("s0:c1024"), "VAL", RANGE),
    refuse("163", label("'s0:c0.c2,c1'"), "VAL", RANGE, schema=CANNOT_TELL),
    refuse("164", label("'s0:c0,c0'"), "VAL", RANGE, schema=CANNOT_TELL),
    accept("165", label("'s0:c1,c0'"), range_of, "s0:c0.c1"),
    accept("166", label("s0-s0"), range_of, "s0"),
    accept("167", label("s007:c01"), range_of, "s7:c1"),
    accept("168", label("'s0:c0,'"), range_of, "s0:c0"),
    accept(
        "169", label("'s0:,'"), range_of, "s0", differs="no categories: rendered without the colon that breaks tools"
    ),
    refuse("170", label("'s0:c0,,c1'"), "VAL", RANGE),
    refuse("171", label("s0:c0.c1.c2"), "VAL", RANGE),
    accept("172", label("s99999"), range_of, "s99999"),
    refuse("173", label("5"), "RAW", "must be text", key="permissions[0].context.range"),
]

INSTALL_TIME = [
    refuse("I13", entry("pattern: 5"), "RAW at Install", "must be text", key="permissions[0].pattern"),
    refuse("I13b", entry("pattern: [a]"), "RAW at Install", "must be text", key="permissions[0].pattern"),
    refuse("I14", entry("except: [5]"), "RAW at Install", "must be text", key="permissions[0].except[0]"),
    refuse("I14b", entry("except: [~]"), "RAW at Install", "must be text", key="permissions[0].except[0]"),
]

FURTHER = [
    accept("13-tab", f"{H}file_exists_behavior:\tRETAIN\t\n", behavior, "RETAIN"),
    accept("13-empty-event", f"{H}hooks: {{E: {{}}}}\n", lambda a: a.hooks, {"E": ()}),
    accept("13-empty-acls", entry("acls: {}"), lambda a: a.permissions[0].acls, ()),
    accept("13-empty-type", entry("type: {}"), types, set()),
    accept("13-tag", f"{H}x: !mine {{a: !also b}}\n", is_empty, True),
    refuse("13-int-tag", script("timeout: !!int five"), "VAL", TIMEOUT, key="hooks.E[0].timeout"),
    refuse("13-set", f"{H}x: !!set {{a}}\n", "YAML", "would build an object", schema=NOT_DATA),
    refuse("13-object", f"{H}x: !ruby/object:A {{}}\n", "YAML", "would build an object", schema=NOT_DATA),
    refuse("13-time", f"{H}x: 2024-01-01 10:00:00 Z\n", "YAML", "is a YAML date", schema=NOT_DATA),
    accept("13-yEs", script("sudo: yEs"), sudo, True),
    accept("13-nO", script("sudo: nO"), sudo, False),
    accept("13-oFF", f"{H}files: oFF\n", pairs, []),
    accept("13-n", script("sudo: n"), sudo, True),
    accept("13-values", f"{H}'=': =\n? [a]\n: 1\n? {{b: c}}\n: :sym\n<<: 1\n", is_empty, True),
    refuse("13-latin1", H.encode() + b"# caf\xe9\n", "YAML", "is not UTF-8", schema=NOT_DATA),
    accept("13-CR", H.replace("\n", "\r"), is_empty, True),
    accept("13-NEL", H.replace("\n", "\x85"), is_empty, True),
    accept("13-LS", H.replace("\n", "\u2028"), is_empty, True),
    refuse("13-newline", label('"s0\\n"'), "VAL", RANGE),
    accept("13-slashes", f"{H}permissions: [{{object: //a}}]\n", lambda a: a.permissions[0].object, "//a"),
    refuse(
        "13-by-accident",
        f"{H}files:\n  - source:/\n    destination:/x\n",
        "OK",
        "must have a source",
        key="files[0]",
        differs="a text that happens to hold the right words is refused",
    ),
    refuse(
        "13-comma",
        f"{H}hooks:\n  E:\n    - location: a\n      timeout: 1,800\n",
        "OK",
        NOT_SECONDS,
        key="hooks.E[0].timeout",
        differs="commas inside numbers are refused",
    ),
    refuse(
        "13-list-text",
        f"{H}hooks: {{E: [{{location: [a]}}]}}\n",
        "OK",
        "must be text",
        key="hooks.E[0].location",
        differs="lists as names are refused",
    ),
    refuse("13-utf16", H.encode("utf-16"), "YAML", "UTF-16", schema=NOT_DATA),
    accept("13-directive", f"%YAML 1.1\n---\n{H}", is_empty, True),
    accept("13-blank-lines", f"\n\n{H}", is_empty, True),
    accept("13-json", '{"version": 0.0, "os": "linux"}', is_empty, True),
    refuse("13-json-version", '{"version": "0.0", "os": "linux"}', "VAL", VERSION, key="version"),
    accept("13-binary", f"{H}hooks: {{E: [{{location: !!binary YS5zaA==}}]}}\n", scripts, ["a.sh"]),
    accept("13-str-tag", f"{H}hooks: {{E: [{{location: !!str 12}}]}}\n", scripts, ["12"]),
]

CASES = [*TOP_LEVEL, *HOOKS, *FILES, *PERMISSIONS, *ACLS, *CONTEXTS, *INSTALL_TIME, *FURTHER]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_case(case: Case) -> None:
    parsed = parse_appspec(case.text, filename="appspec.yml")
    if case.error:
        assert parsed.appspec is None
        assert case.error in parsed.errors[0].message
        assert case.key in {"", parsed.errors[0].key}
    else:
        assert parsed.appspec is not None, parsed.errors
        assert case.value is None or case.value(parsed.appspec) == case.equals


@pytest.mark.parametrize("case", [case for case in CASES if case.error], ids=lambda case: case.number)
def test_every_error_says_how_to_mend_it(case: Case) -> None:
    assert all(error.hint for error in parse_appspec(case.text, filename="appspec.yml").errors)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_a_verdict_unlike_the_official_one_is_on_purpose(case: Case) -> None:
    is_like = bool(case.error) == (case.official != "OK")
    assert is_like or case.differs


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.differs and not case.error], ids=lambda case: case.number
)
def test_what_only_we_accept_is_warned_about(case: Case) -> None:
    assert parse_appspec(case.text, filename="appspec.yml").warnings


def test_no_case_of_the_grammar_is_left_out() -> None:
    numbers = {case.number for case in CASES}
    assert {str(number) for number in range(1, 174)} <= numbers
    assert len(numbers) == len(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case.schema != NOT_DATA], ids=lambda case: case.number)
def test_schema(case: Case, validator: Draft202012Validator) -> None:
    root = compose(case.text, Report())
    assert root is not None
    accepts = validator.is_valid(_data(root))
    assert accepts is (not case.error or case.schema == CANNOT_TELL)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(SCHEMA_FILE.read_text()))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))


def _data(node: Node) -> object:
    """Return what a YAML 1.1 loader hands to a schema validator."""
    match node:
        case Scalar(value=Symbol(name)):
            return f":{name}"
        case Scalar(value=value):
            return value
        case Sequence(items=items):
            return [_data(item) for item in items]
        case Mapping(pairs=pairs_):
            return {str(_data(key)): _data(value) for key, value in pairs_}
