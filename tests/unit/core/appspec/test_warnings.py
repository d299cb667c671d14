"""What an AppSpec may say although it does not do what it says: each is a warning with a place and a mend."""

from dataclasses import dataclass

import pytest

from agent.core.appspec.model import Problem, Severity
from agent.core.appspec.parse import parse_appspec

H = "version: 0.0\nos: linux\n"


@dataclass(frozen=True)
class Doubt:
    name: str
    text: str
    key: str
    message: str
    hint: str = ""


def script(rest: str) -> str:
    return f"{H}hooks: {{AfterInstall: [{{{rest}}}]}}\n"


def mapping(rest: str) -> str:
    return f"{H}files: [{{{rest}}}]\n"


def entry(rest: str) -> str:
    return f"{H}permissions: [{{object: /a, {rest}}}]\n"


DOUBTS = [
    Doubt("unknown-key", f"{H}permission: []\n", "permission", "unknown key: it is ignored", "mean permissions?"),
    Doubt("unlike-any", f"{H}xyzzy: []\n", "xyzzy", "unknown key", "known here: version, os, files"),
    Doubt("list-key", f"{H}? [a]\n: 1\n", "a list", "unknown key"),
    Doubt("upper-case", f"{H}Hooks: {{}}\n", "Hooks", "unknown key", "did you mean hooks?"),
    Doubt("symbol", f"{H}:hooks: {{}}\n", ":hooks", "unknown key", "write hooks without the leading colon"),
    Doubt("sources", mapping("sources: a, source: b, destination: /c"), "files[0].sources", "unknown key", "source?"),
    Doubt("overwrite", mapping("source: b, destination: /c, overwrite: true"), "files[0].overwrite", "unknown key",
          "file_exists_behavior: OVERWRITE at the top level"),
    Doubt("run_as", script("location: a, run_as: b"), "hooks.AfterInstall[0].run_as", "unknown key", "runas?"),
    Doubt("chmod", entry("chmod: 7"), "permissions[0].chmod", "unknown key", "did you mean mode?"),
    Doubt("twice", f"{H}files: []\nfiles: []\n", "files", "the last one counts and line 3 is ignored", "keep one"),
    Doubt("event-twice", f"{H}hooks: {{AfterInstall: [], AfterInstall: []}}\n", "hooks.AfterInstall", "given twice"),
    Doubt("unknown-event", f"{H}hooks: {{BeforeInstal: []}}\n", "hooks.BeforeInstal", "unknown lifecycle event",
          "did you mean BeforeInstall?"),
    Doubt("unlike-any-event", f"{H}hooks: {{Zap: []}}\n", "hooks.Zap", "unknown lifecycle event", "known events: "),
    Doubt("number-event", f"{H}hooks: {{5: []}}\n", "hooks.5", "no lifecycle event has this name"),
    Doubt("backslash", f"{H}hooks:\n  \\AfterInstall: []\n", "hooks.\\AfterInstall", "unknown", "mean AfterInstall?"),
    Doubt("never-run", f"{H}hooks: {{Install: []}}\n", "hooks.Install", "scripts for Install are never run"),
    Doubt("on-failure", f"{H}hooks: {{OnFailure: []}}\n", "hooks.OnFailure", "runs with this agent only"),
    Doubt("lost-indentation", f"{H}hooks:\nAfterInstall:\n  - location: a\n", "AfterInstall",
          "a lifecycle event at top level is ignored", "hooks: is empty; indent it and its scripts by two spaces"),
    Doubt("no-hooks", f"{H}AfterInstall:\n  - location: a\n", "AfterInstall", "at top level",
          "put hooks: on a line above it; indent it"),
    Doubt("windows-path", mapping("source: a, destination: 'C:\\web\\x'"), "files[0].destination", "is a Windows path",
          "write 'C:/web/x'"),
    Doubt("windows-script", script("location: a.ps1"), "hooks.AfterInstall[0].location", "is a Windows script"),
    Doubt("folder", script("location: scripts/"), "hooks.AfterInstall[0].location", "names a folder, not a script"),
    Doubt("variable", mapping("source: a, destination: /srv/$APP"), "files[0].destination", "are not expanded"),
    Doubt("glob", mapping("source: 'dist/*', destination: /srv"), "files[0].source", "source knows no wildcards",
          "name a folder to copy all that is in it"),
    Doubt("relative", mapping("source: a, destination: srv"), "files[0].destination", "'srv' is relative", "absolute"),
    Doubt("tilde", mapping("source: a, destination: ~/b"), "files[0].destination", "begins with ~", "absolute"),
    Doubt("spaces", mapping("source: 'a ', destination: /b"), "files[0].source", "part of the path", "remove them"),
    Doubt("empty-source", mapping("source: '', destination: /b"), "files[0].source", "means the whole bundle"),
    Doubt("relative-object", f"{H}permissions: [{{object: a}}]\n", "permissions[0].object", "'a' is relative"),
    Doubt("two-slashes", f"{H}permissions: [{{object: //a}}]\n", "permissions[0].object", "never matches anything"),
    Doubt("sudo", script("location: a, sudo: 'false'"), "hooks.AfterInstall[0].sudo", "anything except false means yes",
          "write sudo: true or sudo: false"),
    Doubt("sixties", script("location: a, timeout: 1:30"), "hooks.AfterInstall[0].timeout", "means 5400 seconds"),
    Doubt("octal", script("location: a, timeout: 010"), "hooks.AfterInstall[0].timeout", "leading zero makes it octal"),
    Doubt("units", script("location: a, timeout: 5 min"), "hooks.AfterInstall[0].timeout", "means 5 seconds",
          "write timeout: 5 if that is meant"),
    Doubt("too-long", script("location: a, timeout: 3601"), "hooks.AfterInstall[0].timeout", "gives up on a lifecycle"),
    Doubt("number-name", script("location: 010"), "hooks.AfterInstall[0].location", "'010' is read as '8'", '"010"'),
    Doubt("octal-refused", entry("mode: 0755"), "permissions[0].mode", "reads 493 and refuses it", 'mode: "0755"'),
    Doubt("octal-other", entry("mode: 0644"), "permissions[0].mode", "reads 420 and sets mode 0420", 'mode: "0644"'),
    Doubt("hex", entry("mode: 0x1FF"), "permissions[0].mode", "means mode 0511", 'write mode: "0511"'),
    Doubt("short", entry("mode: 7"), "permissions[0].mode", "fewer than three digits and means mode 0007"),
    Doubt("bare-type", entry("type: file"), "permissions[0].type", "the official agent fails on it", "type: [file]"),
    Doubt("no-type", entry("type: []"), "permissions[0].type", "an empty type matches nothing"),
    Doubt("empty-pattern", entry("pattern: ''"), "permissions[0].pattern", "an empty pattern matches nothing"),
    Doubt("deep-pattern", entry("pattern: 'b/*'"), "permissions[0].pattern", "matches nothing", "name the folder"),
    Doubt("question-mark", entry("pattern: 'a?'"), "permissions[0].pattern", "only * is special"),
    Doubt("deep-except", entry("except: [/a/b]"), "permissions[0].except[0]", "matches nothing"),
    Doubt("owner-digits", entry("owner: '1000'"), "permissions[0].owner", "looked up as a name"),
    Doubt("user", entry("context: {type: t, range: s0, user: u}"), "permissions[0].context.user", "ignores user"),
    Doubt("both", entry("context: {type: t, range: s0, user: u, name: n}"), "permissions[0].context.user", "beside"),
    Doubt("role", entry("context: {type: t, range: s0, role: r}"), "permissions[0].context.role", "role is ignored"),
    Doubt("range", entry("context: {type: t}"), "permissions[0].context.range", "fails at Install", "range: s0"),
    Doubt("comma", entry("context: {type: t, range: 's0:,'}"), "permissions[0].context.range", "are ignored"),
    Doubt("documents", f"{H}---\nos: x\n", "", "only the first YAML document counts"),
    Doubt("broken-document", f"{H}--- [\n", "", "only the first YAML document counts"),
    Doubt("alias", f"{H}a: &x 1\nb: *x\n", "", "aliases are refused by the official agent"),
    Doubt("tag", f"{H}a: !Sub x\n", "", "tag '!Sub' is ignored"),
    Doubt("bom", f"\ufeff{H}", "", "begins with a byte order mark"),
]  # fmt: skip


@pytest.mark.parametrize("doubt", DOUBTS, ids=lambda doubt: doubt.name)
def test_a_doubt_is_told_with_its_key_and_a_mend(doubt: Doubt) -> None:
    parsed = parse_appspec(doubt.text.encode(), filename="appspec.yml")
    assert not parsed.errors
    found = [one for one in parsed.warnings if one.key == doubt.key and doubt.message in one.message]
    assert found, parsed.warnings
    assert doubt.hint in found[0].hint
    assert found[0].hint
    assert found[0].position is not None


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff\n{H}",
        f"\ufeff# comment\n{H}",
        "\ufeff{version: 0.0, os: linux}",
        f"{H}...\n",
        script("location: a, timeout: 3600, runas: web, sudo: true"),
        script("location: scripts/a-1.sh, timeout: '30'"),
        entry('mode: "0644"'),
        entry("mode: 644"),
        entry("mode: 0000"),
        entry("pattern: '*.sh', except: [a], type: [file], owner: web, group: web"),
        entry("context: {name: u, type: t, range: s0}"),
        mapping("source: /, destination: /srv"),
    ],
)
def test_what_is_right_is_not_doubted(text: str) -> None:
    assert parse_appspec(text.encode(), filename="appspec.yml").problems == ()


def warnings_of(text: str) -> list[Problem]:
    return list(parse_appspec(text.encode(), filename="appspec.yml").problems)


def test_a_merged_key_stands_behind_the_mappings_own() -> None:
    text = f"{H}hooks: {{E: [{{<<: {{location: b, timeout: 5}}, location: a}}]}}\n"
    appspec = parse_appspec(text.encode(), filename="appspec.yml").appspec
    assert appspec is not None
    assert [(one.location, one.timeout_s) for one in appspec.scripts_for("E")] == [("a", 5)]


def test_aliases_are_warned_about_once() -> None:
    found = warnings_of(f"{H}a: &x 1\nb: *x\nc: *x\n")
    assert len([one for one in found if "aliases" in one.message]) == 1


def test_problems_stand_in_file_order() -> None:
    found = warnings_of("zap: 1\nversion: 1\nos: linux\nfiles: [{source: a}]\nzip: 1\n")
    assert [one.position.line for one in found if one.position] == [1, 2, 4, 5]
    assert {one.severity for one in found} == set(Severity)


def test_columns_count_characters_not_bytes() -> None:
    found = warnings_of(f"{H}x: [ééé, 日本, !tag b]\n")
    tag = next(one for one in found if "tag" in one.message)
    assert tag.position is not None
    assert (tag.position.line, tag.position.column) == (3, 14)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_places_hold_with_any_line_end_and_byte_order_mark(line_end: str, mark: str) -> None:
    text = f"{mark}# c\nversion: 0.0\nos: linux\nfiles:\n  - source: a\n    destination: b\n".replace("\n", line_end)
    found = warnings_of(text)
    assert [(one.position.line, one.position.column) for one in found if one.position] == [(6, 18)]
