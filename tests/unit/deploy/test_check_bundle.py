"""A bundle held against its AppSpec: what is missing, cannot start, or meets something else."""

import os
import textwrap
from pathlib import Path

import pytest

from agent.core.appspec.model import Problem, Severity
from agent.core.appspec.parse import parse_appspec
from agent.deploy.check_bundle import check_bundle


def check(root: Path, body: str) -> tuple[Problem, ...]:
    parsed = parse_appspec(f"version: 0.0\nos: linux\n{textwrap.dedent(body)}".encode(), filename="appspec.yml")
    assert parsed.appspec, parsed.errors
    return check_bundle(root, parsed.appspec)


def files(*entries: tuple[str, str]) -> str:
    return "files:\n" + "".join(f"  - source: '{source}'\n    destination: {target}\n" for source, target in entries)


def hook(location: str, event: str = "AfterInstall") -> str:
    return f"hooks:\n  {event}:\n    - location: '{location}'\n"


def only(problems: tuple[Problem, ...]) -> Problem:
    assert len(problems) == 1, problems
    return problems[0]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    root = tmp_path / "bundle"
    (root / "scripts").mkdir(parents=True)
    (root / "html" / "sub").mkdir(parents=True)
    (root / "html" / "index.html").write_text("hello")
    (root / "html" / "sub" / "page.html").write_text("page")
    (root / "scripts" / "start.sh").write_text("#!/bin/sh\necho\n")
    (root / "scripts" / "start.sh").chmod(0o755)
    return root


def test_a_whole_bundle_has_no_problems(bundle: Path) -> None:
    assert check(bundle, files(("/html", "/srv")) + hook("scripts/start.sh")) == ()


def test_a_location_with_a_leading_slash_counts_from_the_root(bundle: Path) -> None:
    assert check(bundle, hook("/scripts/start.sh")) == ()


def test_a_missing_source_is_an_error_at_its_entry(bundle: Path) -> None:
    problem = only(check(bundle, files(("/htmk", "/srv"))))
    assert (problem.severity, problem.key) == (Severity.ERROR, "files[0].source")
    assert problem.position is not None
    assert problem.position.line == 4
    assert problem.message == "'/htmk': no such file or folder in the bundle"
    assert problem.hint == "did you mean html?"


def test_stray_spaces_in_a_source_are_found_out(bundle: Path) -> None:
    assert only(check(bundle, files(("html /index.html", "/srv")))).hint == "did you mean html/index.html?"


def test_a_source_unlike_anything_gets_a_general_hint(bundle: Path) -> None:
    assert "from the root of the bundle" in only(check(bundle, files(("xyzzy", "/srv")))).hint


def test_a_source_through_a_link_out_of_the_bundle_is_an_error(bundle: Path) -> None:
    (bundle / "out").symlink_to("/etc")
    problems = check(bundle, files(("out", "/srv"), ("out/hostname", "/srv")))
    assert {problem.message for problem in problems} == {
        "'out' leads out of the bundle through a symbolic link",
        "'out/hostname' leads out of the bundle through a symbolic link",
    }


def test_a_link_to_a_file_is_a_source_wherever_it_leads(bundle: Path) -> None:
    (bundle / "link").symlink_to("/etc/hostname")
    assert check(bundle, files(("link", "/srv"))) == ()


def test_two_files_for_one_destination_are_an_error(bundle: Path) -> None:
    (bundle / "index.html").write_text("other")
    problem = only(check(bundle, files(("/html", "/srv/"), ("index.html", "/srv"))))
    assert problem.key == "files[1].source"
    assert problem.message == "two sources for /srv/index.html: html/index.html (files[0]) and index.html"
    assert problem.hint == "let only one entry install it"


def test_a_file_for_a_folder_of_another_entry_is_an_error(bundle: Path) -> None:
    (bundle / "sub").write_text("a file")
    assert "two sources for /srv/sub" in only(check(bundle, files(("/html", "/srv"), ("sub", "/srv")))).message


def test_two_folders_for_one_destination_are_merged(bundle: Path) -> None:
    (bundle / "more").mkdir()
    (bundle / "more" / "other.html").write_text("x")
    assert check(bundle, files(("html", "/srv"), ("more", "/srv"))) == ()


def test_a_fifo_in_a_source_is_named(bundle: Path) -> None:
    os.mkfifo(bundle / "html" / "pipe")
    assert only(check(bundle, files(("/html", "/srv")))).message.startswith("html/pipe is neither a file")


def test_names_that_are_not_utf8_are_shown_escaped(bundle: Path) -> None:
    os.mkfifo(os.path.join(os.fsencode(bundle), b"html", b"p\xff"))
    assert "p\\xff" in only(check(bundle, files(("/html", "/srv")))).message


def test_a_missing_script_is_an_error_with_the_nearest_name(bundle: Path) -> None:
    problem = only(check(bundle, hook("scripts/Start.sh")))
    assert problem.severity is Severity.ERROR
    assert problem.key == "hooks.AfterInstall[0].location"
    assert problem.message.startswith("'scripts/Start.sh': no such script in the bundle")
    assert problem.hint == "did you mean scripts/start.sh?"


def test_a_missing_script_of_an_unknown_event_is_a_warning(bundle: Path) -> None:
    assert only(check(bundle, hook("x.sh", "Deploy"))).severity is Severity.WARNING


def test_a_folder_named_as_script_is_an_error(bundle: Path) -> None:
    problem = only(check(bundle, hook("scripts")))
    assert problem.severity is Severity.ERROR
    assert problem.message == "'scripts' is a folder, not a script"
    assert problem.hint == "list its scripts one by one, as in location: scripts/start.sh"


def test_a_script_that_is_no_file_is_an_error(bundle: Path) -> None:
    os.mkfifo(bundle / "pipe")
    assert "is not a regular file" in only(check(bundle, hook("pipe"))).message


def test_a_script_through_a_link_out_of_the_bundle_is_an_error(bundle: Path) -> None:
    (bundle / "ls").symlink_to("/bin/ls")
    assert "leads out of the bundle" in only(check(bundle, hook("ls"))).message


@pytest.mark.parametrize(
    ("content", "severity", "message"),
    [
        (b"#!/bin/sh\r\necho\r\n", Severity.ERROR, "line 1 ends in CRLF"),
        (b"#!/usr/bin/env bash\r\n", Severity.ERROR, "line 1 ends in CRLF"),
        (b"#!\necho\n", Severity.ERROR, "nothing stands behind #!"),
        (b"#!/bin/sh\necho\r\n", Severity.WARNING, "Windows line ends (CRLF)"),
        (b"echo\n", Severity.WARNING, "has no #! line: /bin/sh runs it"),
        (b"", Severity.WARNING, "is empty"),
        (b"#!/no/such/shell -e\n", Severity.WARNING, "its interpreter '/no/such/shell' is not on this host"),
        (b"#!/usr/bin/env no-such-shell\n", Severity.WARNING, "its interpreter 'no-such-shell' is not on this host"),
    ],
)
def test_what_a_script_begins_with_is_checked(bundle: Path, content: bytes, severity: Severity, message: str) -> None:
    (bundle / "scripts" / "start.sh").write_bytes(content)
    problem = only(check(bundle, hook("scripts/start.sh")))
    assert problem.severity is severity
    assert message in problem.message


def test_env_with_options_names_its_program(bundle: Path) -> None:
    (bundle / "scripts" / "start.sh").write_bytes(b"#!/usr/bin/env -S A=1 sh -e\n")
    assert check(bundle, hook("scripts/start.sh")) == ()


def test_a_missing_execute_bit_is_a_warning_and_is_left_alone(bundle: Path) -> None:
    (bundle / "scripts" / "start.sh").chmod(0o644)
    problem = only(check(bundle, hook("scripts/start.sh")))
    assert problem.severity is Severity.WARNING
    assert "the agent adds it" in problem.message
    assert problem.hint.startswith("chmod +x scripts/start.sh")
    assert (bundle / "scripts" / "start.sh").stat().st_mode & 0o777 == 0o644


def test_a_program_needs_no_first_line(bundle: Path) -> None:
    (bundle / "scripts" / "start.sh").write_bytes(b"\x7fELF\x02")
    assert check(bundle, hook("scripts/start.sh")) == ()
