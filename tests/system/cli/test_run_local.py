"""`agentctl run-local` as operators and scripts run it."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.cli.conftest import Program, Site

REJECTED = [
    pytest.param(["-t", "rar"], "--type 'rar' is not a bundle type", id="type"),
    pytest.param(["-l", "s3://"], "bundle location 's3://' names no bucket and key", id="location"),
    pytest.param(["-l", "http://example.org/x.tgz", "-t", "tgz"], "is plain http", id="plain-http"),
    pytest.param(["-l", "nothing-here"], "does not exist", id="missing"),
    pytest.param(["-l", "site/index.html"], "is a file, but --type is directory", id="file-as-directory"),
    pytest.param(["-l", "site", "-t", "zip"], "is a folder, but --type is zip", id="directory-as-archive"),
    pytest.param(["-l", "empty"], "no AppSpec", id="no-appspec"),
    pytest.param(["-l", "site", "-g", ".deploy-agent"], "'.deploy-agent' is taken", id="group-of-our-state"),
    pytest.param(
        ["-l", "site", "-g", "deployment-instructions"], "'deployment-instructions' is taken", id="group-of-pointers"
    ),
    pytest.param(
        ["-l", "site", "-e", "Install,DownloadBundle"], "Install cannot run before DownloadBundle", id="early"
    ),
    pytest.param(["-l", "site", "-e", "AfterInstall,Install"], "AfterInstall cannot run before Install", id="order"),
]


@pytest.mark.parametrize(("arguments", "message"), REJECTED)
def test_a_wrong_command_line_is_refused_on_standard_output(
    agentctl: Program, site: Site, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    run = agentctl("run-local", *arguments, cwd=tmp_path)
    assert run.returncode == 1
    assert run.stdout.startswith("ERROR: ")
    assert message in run.stdout
    assert run.stderr.startswith("hint: ")
    assert not site.www.exists()


def test_the_first_wrong_thing_is_told_in_the_official_order(agentctl: Program, tmp_path: Path) -> None:
    run = agentctl("run-local", "-t", "rar", "-l", "http://nowhere", "-e", "Install,DownloadBundle", cwd=tmp_path)
    assert "--type 'rar'" in run.stdout
    run = agentctl("run-local", "-t", "tar", "-l", "missing", "-e", "Install,DownloadBundle", cwd=tmp_path)
    assert "does not exist" in run.stdout


def test_a_deployment_names_its_folder_first_and_its_success_last(agentctl: Program, site: Site) -> None:
    site.script("AfterInstall", "echo done")
    run = agentctl("run-local", "-l", site.folder)
    assert run.returncode == 0, run.stdout + run.stderr
    first, *_, log, last = run.stdout.splitlines()
    folder = re.search(r"in folder (\S+)$", first)
    assert folder is not None
    assert re.fullmatch(r"d-[A-Z0-9]{9}-local", Path(folder[1]).name)
    assert log == f"Output of the scripts: {folder[1]}/logs/scripts.log"
    assert "The AppSpec is valid" in last
    assert "succeeded" in last
    assert "    | done" in run.stdout.splitlines()
    assert (site.www / "index.html").read_text() == "one\n"


def test_the_current_directory_is_the_default_location(agentctl: Program, site: Site) -> None:
    assert agentctl("run-local", cwd=site.folder).returncode == 0
    assert (site.www / "index.html").exists()


def test_a_failed_script_is_named_and_gives_exit_status_1(agentctl: Program, site: Site) -> None:
    site.script("ApplicationStart", "echo why >&2; exit 3")
    run = agentctl("run-local", "-l", site.folder)
    assert run.returncode == 1
    assert re.search(r"^Failed script: /.*/deployment-archive/scripts/ApplicationStart\.sh$", run.stdout, re.MULTILINE)
    assert "exit code 3" in run.stdout
    assert "    ! why" in run.stdout.splitlines()
    assert "logs/scripts.log" in run.stdout
    assert "valid" not in run.stdout


def test_a_failed_stop_script_is_named_in_the_revision_it_belongs_to(agentctl: Program, site: Site) -> None:
    site.script("ApplicationStop", "exit 1")
    assert agentctl("run-local", "-l", site.folder).returncode == 0
    first = agentctl.objects("list")[0]["folder"]
    run = agentctl("run-local", "-l", site.folder)
    assert f"Failed script: {first}/deployment-archive/scripts/ApplicationStop.sh" in run.stdout


def test_scripts_see_the_names_given_on_the_command_line(agentctl: Program, site: Site, tmp_path: Path) -> None:
    site.script("AfterInstall", f"env > {tmp_path}/env")
    run = agentctl("run-local", "-l", site.folder, "-g", "blog", "-d", "Blog Fleet", "-a", "Blog")
    assert run.returncode == 0, run.stdout
    env = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert (env["DEPLOYMENT_GROUP_ID"], env["DEPLOYMENT_GROUP_NAME"]) == ("blog", "Blog Fleet")
    assert env["APPLICATION_NAME"] == "Blog"


def test_the_location_is_the_default_application_name(agentctl: Program, site: Site, tmp_path: Path) -> None:
    site.script("AfterInstall", f'echo "$APPLICATION_NAME" > {tmp_path}/name')
    agentctl("run-local", "-l", site.folder)
    assert (tmp_path / "name").read_text() == f"{site.folder}\n"


def test_only_the_events_asked_for_run_with_download_and_install_first(agentctl: Program, site: Site) -> None:
    for event in ("BeforeInstall", "AfterInstall", "MyOwn"):
        site.script(event, f"echo {event}")
    run = agentctl.objects("run-local", "-l", site.folder, "-e", "MyOwn,AfterInstall")
    started = [item["event"] for item in run if item["type"] == "event-started"]
    assert started == ["DownloadBundle", "Install", "MyOwn", "AfterInstall"]
    assert run[-1]["state"] == "succeeded"


def test_a_custom_event_that_the_appspec_lacks_fails_at_install(agentctl: Program, site: Site) -> None:
    run = agentctl.objects("run-local", "-l", site.folder, "-e", "Nobody")
    assert run[-1]["failed_event"] == "Install"
    assert "'Nobody'" in str(run[-1]["message"])


def test_long_options_may_be_abbreviated_as_in_the_official_tool(agentctl: Program, site: Site) -> None:
    assert agentctl("run-local", f"--bundle-loc={site.folder}", "--deployment-group", "blog").returncode == 0
    assert agentctl.objects("list")[0]["deployment_group"] == "blog"


def test_the_official_configuration_file_with_colon_keys_is_read(agentctl: Program, site: Site, tmp_path: Path) -> None:
    config = tmp_path / "agent.yml"
    config.write_text(f"---\n:root_dir: {tmp_path}/other\n:max_revisions: 2\n")
    argv = [*agentctl.argv("run-local", "-l", site.folder, "-c", config)]
    at = argv.index("--root-dir")
    argv[at : at + 2] = []
    assert os.spawnve(os.P_WAIT, argv[0], argv, dict(agentctl.environ)) == 0
    assert (tmp_path / "other" / "default-local-deployment-group").is_dir()


def test_a_configuration_file_that_cannot_be_read_is_exit_status_2(agentctl: Program, site: Site) -> None:
    run = agentctl("run-local", "-l", site.folder, "-c", "/nonexistent.yml")
    assert run.returncode == 2
    assert run.stderr.startswith("error: /nonexistent.yml: No such file")
    assert "hint: " in run.stderr


def test_json_is_one_object_a_line_with_the_result_last(agentctl: Program, site: Site) -> None:
    site.script("AfterInstall", "printf 'bad \\377 byte\\n'")
    objects = agentctl.objects("run-local", "-l", site.folder)
    assert objects[0]["type"] == "deployment-started"
    assert objects[-1]["type"] == "deployment-ended"
    assert objects[-1]["state"] == "succeeded"
    assert {"script-started", "script-output", "script-ended"} <= {str(item["type"]) for item in objects}


def test_json_tells_a_refusal_as_an_object(agentctl: Program, tmp_path: Path) -> None:
    run = agentctl("run-local", "-t", "rar", "--json", cwd=tmp_path)
    assert run.returncode == 1
    error = json.loads(run.stdout)
    assert error["type"] == "error"
    assert "rar" in error["message"]
    assert error["hint"]


def test_a_dry_run_shows_plan_and_scripts_and_changes_nothing(agentctl: Program, site: Site) -> None:
    site.script("AfterInstall", "echo never")
    run = agentctl("run-local", "-l", site.folder, "--dry-run")
    assert run.returncode == 0, run.stderr
    assert f"+ {site.www}/index.html" in run.stdout
    assert "AfterInstall: scripts/AfterInstall.sh (time limit 60 s)" in run.stdout
    assert not site.www.exists()
    assert agentctl.objects("list") == []


def test_a_dry_run_says_what_the_deployment_would_fail_for(agentctl: Program, site: Site) -> None:
    site.www.mkdir()
    (site.www / "index.html").write_text("somebody else's\n")
    run = agentctl("run-local", "-l", site.folder, "--dry-run")
    assert run.returncode == 1
    assert str(site.www / "index.html") in run.stderr
    assert (site.www / "index.html").read_text() == "somebody else's\n"


def test_a_conflict_is_told_with_a_hint_and_exit_status_1(agentctl: Program, site: Site) -> None:
    site.www.mkdir()
    (site.www / "index.html").write_text("somebody else's\n")
    run = agentctl("run-local", "-l", site.folder)
    assert run.returncode == 1
    assert "Install failed" in run.stdout
    assert "hint: " in run.stdout


def test_under_the_official_name_the_program_is_run_local(agentctl: Program, site: Site, tmp_path: Path) -> None:
    link = tmp_path / "codedeploy-local"
    link.symlink_to(agentctl.argv("run-local")[0])
    argv = [str(link), "--root-dir", str(agentctl.root), "-l", str(site.folder)]
    assert os.spawnve(os.P_WAIT, str(link), argv, dict(agentctl.environ)) == 0


def test_the_official_name_is_installed_as_a_program_of_its_own(agentctl: Program, site: Site) -> None:
    program = Path(agentctl.argv("run-local")[0]).with_name("codedeploy-local")
    argv = [str(program), "--root-dir", str(agentctl.root), "-l", str(site.folder)]
    run = subprocess.run(argv, env=agentctl.environ, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert "The AppSpec is valid" in run.stdout


def test_the_deployment_goes_on_when_nobody_reads_its_output_any_more(
    agentctl: Program, site: Site, until: Callable[[Callable[[], bool], str], None]
) -> None:
    site.script("BeforeInstall", "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo $i; done")
    child = agentctl.start("run-local", "-l", site.folder)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(60) == 0
    assert agentctl.objects("list")[0]["state"] == "succeeded"


def test_everything_lies_below_the_root_that_was_named(agentctl: Program, site: Site) -> None:
    site.script("AfterInstall", "echo hello")
    agentctl("run-local", "-l", site.folder)
    log = agentctl.root / "deployment-logs" / "codedeploy-agent-deployments.log"
    assert "[stdout]hello" in log.read_text()


def test_a_token_given_twice_is_wrong_use(agentctl: Program, site: Site) -> None:
    run = agentctl("run-local", "-l", site.folder, "--github-token", "x", "--github-token-file", "y")
    assert run.returncode == 2
    assert "give one of them" in run.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(agentctl: Program, site: Site, closed: str) -> None:
    site.script("AfterInstall", "echo to stdout; echo to stderr >&2")
    argv = ["sh", "-c", f'exec "$@" {closed}', "sh", *agentctl.argv("run-local", "-l", site.folder)]
    run = subprocess.run(argv, env=agentctl.environ, capture_output=True, check=False, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert (site.www / "index.html").is_file()
    assert "succeeded" in agentctl("list").stdout


@pytest.mark.parametrize("arguments", [["run-local", "-l", "."], ["run-local"], ["diff", "./site.tgz"]])
def test_a_working_folder_that_is_gone_is_wrong_use(agentctl: Program, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "gone").mkdir()
    argv = ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *agentctl.argv(*arguments)]
    run = subprocess.run(argv, cwd=tmp_path / "gone", env=agentctl.environ, capture_output=True, check=False, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("error: the current directory cannot be used: No such file or directory\nhint: cd ")


def test_a_root_beside_a_working_folder_that_is_gone_is_wrong_use(agentctl: Program, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    argv = ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *agentctl.argv("list", "--root-dir", "root")]
    run = subprocess.run(argv, cwd=tmp_path / "gone", env=agentctl.environ, capture_output=True, check=False, text=True)
    assert run.returncode == 2
    assert "the current directory cannot be used" in run.stderr


@pytest.mark.parametrize("flood", ["tr '\\0' x", "cat"], ids=["one line", "binary"])
def test_a_flood_of_output_costs_no_memory(agentctl: Program, site: Site, flood: str) -> None:
    peak = "grep VmHWM /proc/$PPID/status >&2"
    site.script("AfterInstall", f"{peak}; head -c 150000000 /dev/zero | {flood}; {peak}")
    lines = [one["line"] for one in agentctl.objects("run-local", "-l", site.folder) if one.get("stream") == "stderr"]
    before, after = (int(str(line).split()[1]) for line in lines)
    assert after - before < 16 * 1024
