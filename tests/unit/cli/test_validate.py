"""`agentctl validate`: what it prints and how it ends."""

import json
import os
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli.validate import command

GOOD = "version: 0.0\nos: linux\n"
BAD = "version: 0.1\nos: linux\nhook: {}\n"


@pytest.fixture
def validate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Validate":
    monkeypatch.chdir(tmp_path)
    return Validate()


class Validate:
    def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        return CliRunner().invoke(command, arguments, input=stdin)

    def json(self, *arguments: str, stdin: bytes = b"") -> list[dict[str, object]]:
        return [json.loads(line) for line in self("--json", *arguments, stdin=stdin).stdout.splitlines()]


def test_a_valid_file_ends_with_0(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "appspec.yml").write_text(GOOD)
    result = validate("appspec.yml")
    assert (result.exit_code, result.stdout) == (0, "1 path checked, 1 valid, 0 invalid: 0 errors, 0 warnings\n")


def test_problems_are_printed_like_a_compiler_does(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "appspec.yml").write_text(BAD)
    result = validate("appspec.yml")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "appspec.yml:1:10: error: version: must be the number 0.0, not the number '0.1'",
        "    hint: write version: 0.0",
        "appspec.yml:3:1: warning: hook: unknown key: it is ignored",
        "    hint: did you mean hooks?",
        "1 path checked, 0 valid, 1 invalid: 1 error, 1 warning",
    ]


def test_json_is_one_object_for_each_path(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text(GOOD)
    (tmp_path / "bad.yml").write_text(BAD)
    good, bad = validate.json("good.yml", "bad.yml")
    assert good == {"path": "good.yml", "ok": True, "errors": [], "warnings": []}
    assert bad == {
        "path": "bad.yml",
        "ok": False,
        "errors": [
            {
                "line": 1,
                "column": 10,
                "key": "version",
                "message": "must be the number 0.0, not the number '0.1'",
                "hint": "write version: 0.0",
            }
        ],
        "warnings": [
            {
                "line": 3,
                "column": 1,
                "key": "hook",
                "message": "unknown key: it is ignored",
                "hint": "did you mean hooks?",
            }
        ],
    }


def test_warnings_alone_are_valid(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "appspec.yml").write_text(GOOD + "extra: 1\n")
    assert validate("appspec.yml").exit_code == 0


def test_a_dash_reads_standard_input(validate: Validate) -> None:
    result = validate("-", stdin=BAD.encode())
    assert result.exit_code == 1
    assert result.stdout.startswith("<stdin>:1:10: error: version:")


def test_a_dash_keeps_its_name_in_json(validate: Validate) -> None:
    assert validate.json("-", stdin=GOOD.encode()) == [{"path": "-", "ok": True, "errors": [], "warnings": []}]


def test_a_missing_path_is_an_error_of_that_path(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text(GOOD)
    missing, good = validate.json("none.yml", "good.yml")
    assert good["ok"] is True
    assert missing["errors"] == [
        {
            "line": None,
            "column": None,
            "key": "",
            "message": "cannot be read: No such file or directory",
            "hint": "check the path and its permissions",
        }
    ]


def test_a_folder_is_held_against_its_appspec(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "appspec.yaml").write_text(f"{GOOD}files:\n  - source: gone\n    destination: /srv\n")
    result = validate("b/")
    assert result.exit_code == 1
    assert "b/appspec.yaml:4:5: error: files[0].source: 'gone': no such file or folder" in result.stdout


def test_a_folder_without_appspec_says_what_it_holds(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "AppSpec.yml").write_text(GOOD)
    result = validate("b")
    assert result.exit_code == 1
    assert "b: error: the bundle: no AppSpec (appspec.yml or appspec.yaml)" in result.stdout
    assert "the root holds 'AppSpec.yml'" in result.stdout


def test_an_appspec_that_leaves_the_bundle_is_an_error(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "outside.yml").write_text(GOOD)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "appspec.yml").symlink_to("../outside.yml")
    assert "a symbolic link leads out of the bundle" in validate("b").stdout


def test_another_appspec_name_can_be_asked_for(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "web.yml").write_text(GOOD)
    assert validate("--appspec-filename", "web.yml", "b").exit_code == 0


def test_an_appspec_name_outside_the_bundle_is_wrong_use(validate: Validate) -> None:
    result = validate("--appspec-filename", "../web.yml", "b")
    assert result.exit_code == 2
    assert "not a relative path inside the bundle" in result.stderr


def test_no_path_is_wrong_use(validate: Validate) -> None:
    assert validate().exit_code == 2


def test_an_archive_is_unpacked_and_checked(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "appspec.yml").write_text(f"{GOOD}files:\n  - source: gone\n    destination: /srv\n")
    with tarfile.open(tmp_path / "site.tgz", "w:gz") as archive:
        archive.add(tmp_path / "appspec.yml", "appspec.yml")
    result = validate("site.tgz")
    assert result.exit_code == 1
    assert "site.tgz/appspec.yml:4:5: error: files[0].source: 'gone'" in result.stdout


def test_a_broken_archive_is_an_error_of_that_path(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "site.zip").write_bytes(b"PK\x03\x04 cut off")
    found = validate.json("site.zip")[0]
    assert found["ok"] is False
    assert found["errors"]


def test_an_appspec_without_suffix_is_read_as_one(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "spec").write_text(GOOD)
    assert validate("spec").exit_code == 0


def test_a_large_file_is_not_read_whole(validate: Validate, tmp_path: Path) -> None:
    with open(tmp_path / "appspec.yml", "wb") as file:
        file.truncate(1 << 40)
    assert "larger than 1048576 bytes" in validate("appspec.yml").stdout


def test_what_a_terminal_could_act_on_is_escaped(validate: Validate, tmp_path: Path) -> None:
    name = "a\x1b]0;x\x07.yml"
    (tmp_path / name).write_text('version: "\\e[2J"\nos: linux\n"\\e[1m": 1\n')
    result = validate(name)
    assert "\x1b" not in result.stdout
    assert "\\x1b" in result.stdout


def test_a_path_that_is_not_utf8_can_be_named(validate: Validate, tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"\xff.yml")
    Path(os.fsdecode(path)).write_text(BAD)
    found = validate.json(os.fsdecode(path))[0]
    assert os.fsencode(str(found["path"])) == path
