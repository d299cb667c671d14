"""How errors are told: all at once, with places, with the exact mend for the usual mistakes."""

import pytest

from agent.core.appspec.parse import load_appspec, parse_appspec
from agent.core.appspec.report import MOST_PROBLEMS
from agent.errors import AppSpecError

H = "version: 0.0\nos: linux\n"


def load_error(text: str | bytes) -> AppSpecError:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(AppSpecError) as caught:
        load_appspec(data, filename="appspec.yml")
    return caught.value


def test_every_error_is_told_at_once() -> None:
    error = load_error("version: 1\nos: windows\nfiles: [{source: a}]\nfile_exists_behavior: x\n")
    assert error.message.splitlines() == [
        "appspec.yml:1:10: version: must be the number 0.0, not the number '1'",
        "appspec.yml:2:5: os: the bundle is for Windows",
        "appspec.yml:3:9: files[0].destination: no destination for the source 'a'",
        "appspec.yml:4:23: file_exists_behavior: must be one of DISALLOW, OVERWRITE, RETAIN, not the text 'x'",
    ]
    assert error.hint.startswith("write version: 0.0; this agent runs on Linux")


def test_loading_a_valid_file_returns_its_warnings() -> None:
    parsed = load_appspec(f"{H}extra: 1\n".encode(), filename="appspec.yml")
    assert parsed.appspec is not None
    assert [one.key for one in parsed.warnings] == ["extra"]


def test_an_error_leaves_no_appspec() -> None:
    assert parse_appspec(f"{H}files: 1\n".encode(), filename="appspec.yml").appspec is None


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("version: '0.0'\nos: linux\n", "must be the number 0.0", "without quotes"),
        ("Version: 0.0\nos: linux\n", "no version", "write version instead of Version"),
        (":version: 0.0\nos: linux\n", "no version", "write version instead of :version"),
        ("version: 0.0\n", "no os", "add the line 'os: linux'"),
        ("version: 0.0\nos: ubuntu\n", "must be linux", "write os: linux"),
        ("version: 0.0\nos: windows\n", "is for Windows", "this agent runs on Linux"),
        (f"{H}files:\n  source: a\n  destination: /b\n", "must be a list", "begin each entry with '- '"),
        (f"{H}files:\n  - source:/\n    destination:/x\n", "must have a source", "put a space behind the colons"),
        (f"{H}files:\n  - source: a\n  - destination: /b\n", "no source for the destination '/b'", "remove the dash"),
        (f"{H}hooks:\n  - AfterInstall: []\n", "must hold lifecycle events", "remove the dashes before the event"),
        (f"{H}hooks:\n  AfterInstall:\n    location: a\n", "must be a list of scripts", "put '- ' before 'location'"),
        (f"{H}hooks:\n  AfterInstall: a.sh\n", "must be a list of scripts", "write '- location: script.sh'"),
        (f"{H}hooks:\n  AfterInstall:\n    - a.sh\n", "must have a location", "write '- location: a.sh'"),
        (f"{H}hooks:\n  AfterInstall:\n    - location:a.sh\n", "must have a location", "put a space behind"),
        (f"{H}hooks: {{E: [{{location: a}}, {{timeout: 3}}]}}\n", "no location", "remove the dash here"),
        (f"{H}hooks: {{E: [{{timeout: 3}}]}}\n", "no location", "add location:"),
        (f"{H}permissions: [{{object: /a, mode: 0o644}}]\n", "more than four digits", 'write mode: "0644"'),
        (f"{H}permissions: [{{object: /a, mode: 019644}}]\n", "more than four digits", "octal digits in quotes"),
        (f"{H}permissions: [{{object: /a, mode: 0123456}}]\n", "must be 0 to 7777", "octal digits in quotes"),
        (f"{H}permissions: [{{object: /a, except: x}}]\n", "must be a list", "put it in brackets: except: [x]"),
        (f"{H}permissions: [{{object: /a, acls: ['u::7']}}]\n", "base entry of user", "use mode instead"),
        (f"{H}permissions: [{{object: /a, group: 0}}]\n", "numeric ids are not taken", "write the group's name"),
        (f"{H}permissions: [{{object: /a, pattern: *.sh}}]\n", "not YAML", 'pattern: "*.sh"'),
        (f"{H}permissions: [{{object: \"a\\0b\"}}]\n", "holds a NUL character", "remove it"),
        (f"{H}files:\n\t- source: a\n", "not YAML", "indent with spaces"),
        (f"{H}files: [\n", "not YAML", "close the brackets"),
        (f"{H}a: 'x\n", "not YAML", "close the quotes"),
        (f"{H}a: b: c\n", "not YAML", "needs quotes"),
        (f"{H}a: %x\n", "not YAML", "begins with %"),
        (f"{H}a: *nope\n", "alias '*nope' stands for nothing", "define it first"),
        (f"{H}a: &x [*x]\n", "stands inside what it stands for", "write it out"),
        (f"{H}a: !!binary '/w=='\n", "not UTF-8 text in base64", "write it as text"),
        (f"{H}a: 2024-01-01\n", "is a YAML date", 'put quotes around it: "2024-01-01"'),
    ],
)  # fmt: skip
def test_a_usual_mistake_is_told_with_its_mend(text: str, message: str, hint: str) -> None:
    error = load_error(text)
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("version: 0.0\nResources:\n  - S: {Type: AWS::ECS::Service}\n", "an AppSpec for Amazon ECS deployments"),
        ("version: 0.0\nResources:\n  - f: {Type: AWS::Lambda::Function}\n", "an AppSpec for AWS Lambda deployments"),
        ("Resources:\n  B: {Type: AWS::S3::Bucket}\n", "an AWS CloudFormation template"),
        ("AWSTemplateFormatVersion: '2010-09-09'\n", "an AWS CloudFormation template"),
        ("Transform: AWS::Serverless\nA: !Sub x\n", "an AWS CloudFormation template"),
        ("version: 0.2\nphases: {}\n", "an AWS CodeBuild build specification"),
    ],
)
def test_a_file_of_another_kind_is_recognised(text: str, kind: str) -> None:
    assert f"appspec.yml is {kind}, not an AppSpec for EC2" in load_error(text).message


def test_a_file_that_says_its_os_is_taken_by_its_word() -> None:
    assert parse_appspec(f"{H}Resources: []\n".encode(), filename="a").appspec is not None


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b"# ok\n# caf\xe9\n", "2:6", "byte 0xe9 is not UTF-8"),
        ("# é\nb: \x07".encode(), "2:4", "control character U+0007"),
        (b"a: b\0", "1:5", "control character U+0000"),
        ("\ufeffa: \x07".encode(), "1:4", "control character U+0007"),
        ("version: 0.0".encode("utf-16"), "1:1", "the file is UTF-16"),
    ],
)
def test_bytes_that_are_no_text_are_told_with_their_place(data: bytes, place: str, message: str) -> None:
    assert load_error(data).message.startswith(f"appspec.yml:{place}: {message}")


def test_an_endless_list_of_problems_is_cut() -> None:
    text = f"{H}files: [{', '.join(['x'] * 1000)}]\n"
    problems = parse_appspec(text.encode(), filename="appspec.yml").problems
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[-1].message == f"there are more problems than the {MOST_PROBLEMS} shown"


def test_long_values_are_cut_in_messages() -> None:
    assert len(load_error(f"version: 0.0\nos: {'x' * 100_000}\n").message) < 200


def test_keys_that_could_act_on_a_terminal_are_quoted() -> None:
    problems = parse_appspec(f'{H}"\\e[2J": 1\n'.encode(), filename="appspec.yml").problems
    assert problems[0].key == "'\\x1b[2J'"
