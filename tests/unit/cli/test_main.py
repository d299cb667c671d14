import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from agent.cli.main import COMMANDS
from agent.cli.run_local import command as run_local
from agent.cli.run_local import expand_option

OFFICIAL_OPTIONS = {
    ("-l", "--bundle-location"),
    ("-t", "--type"),
    ("-b", "--file-exists-behavior"),
    ("-g", "--deployment-group"),
    ("-d", "--deployment-group-name"),
    ("-a", "--application-name"),
    ("-e", "--events"),
    ("-c", "--agent-configuration-file"),
    ("-A", "--appspec-filename"),
    ("-h", "--help"),
    ("-v", "--version"),
}


def python(code: str, *argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, encoding="utf-8", check=False)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "validate"])
def test_every_command_has_a_summary_and_help_with_an_example(name: str) -> None:
    command = import_module(COMMANDS[name][0]).command
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help is not None
    assert f"agentctl {name}" in command.help
    assert COMMANDS[name][1].rstrip(".") in command.help.replace("\n", " ")


def test_help_loads_nothing_but_click() -> None:
    code = (
        "import sys; from agent.cli.main import agentctl\n"
        "try: agentctl(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in sys.modules if m.startswith('agent.') and m not in"
        " ('agent.cli', 'agent.cli.main', 'agent.errors', 'agent.version')]"
        " + [m for m in ('yaml', 'rich', 'sqlite3', 'requests', 'botocore') if m in sys.modules])"
    )
    run = python(code)
    assert run.stdout.splitlines()[-1] == "[]"
    assert all(name in run.stdout for name in COMMANDS)


def test_run_local_has_every_option_of_the_official_tool() -> None:
    context = click.Context(run_local, help_option_names=["-h", "--help"])
    have = {tuple(param.opts) for param in run_local.get_params(context)}
    assert have >= {pair for pair in OFFICIAL_OPTIONS if pair != ("-h", "--help")}
    assert run_local.context_settings["help_option_names"] == ["-h", "--help"]


def test_an_unambiguous_beginning_of_an_option_is_taken_for_it() -> None:
    known = ["--deployment-group", "--deployment-group-name", "--events"]
    assert expand_option("--ev=a", known) == "--events=a"
    assert expand_option("--deployment-group", known) == "--deployment-group"
    assert expand_option("--deploy", known) == "--deploy"
    assert expand_option("--", known) == "--"
    assert expand_option("-e", known) == "-e"


def test_a_bug_gives_no_traceback_but_a_place_to_find_it(tmp_path: Path) -> None:
    code = (
        "import sys, agent.cli.main as main\n"
        "main.COMMANDS = {'list': ('no_such_module', '')}\n"
        "sys.argv = ['agentctl', 'list']; sys.exit(main.main())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", env={"TMPDIR": str(tmp_path)}, check=False
    )
    assert run.returncode == 70
    assert "Traceback" not in run.stderr
    assert "this is a bug in agentctl: ModuleNotFoundError" in run.stderr
    (report,) = tmp_path.iterdir()
    assert str(report) in run.stderr
    assert "Traceback" in report.read_text()


@pytest.mark.parametrize("option", ["--bundle-location", "--root-dir"])
def test_an_empty_value_is_not_the_current_directory(option: str) -> None:
    with pytest.raises(click.BadParameter, match="is empty; is a variable unset"):
        run_local.make_context("run-local", [option, ""])


def test_an_unknown_command_names_the_nearest() -> None:
    run = python("import sys; from agent.cli.main import main; sys.exit(main())", "shwo")
    assert run.returncode == 2
    assert "no command 'shwo' (did you mean 'show'?)" in run.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(shell: str) -> None:
    run = python("import sys; from agent.cli.main import main; sys.exit(main())", "completion", shell)
    assert run.returncode == 0, run.stderr
    assert "_AGENTCTL_COMPLETE" in run.stdout
