"""`list`, `show`, `logs`, `diff`, `verify` and `recover` after real deployments."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.cli.conftest import Program, Site

Until = Callable[[Callable[[], bool], str], None]
GROUP = "default-local-deployment-group"


@pytest.fixture
def deployed(agentctl: Program, site: Site) -> str:
    """Id of one good deployment."""
    site.script("AfterInstall", "echo hello; echo careful >&2")
    assert agentctl("run-local", "-l", site.folder).returncode == 0
    return str(agentctl.objects("list")[0]["deployment_id"])


def test_list_shows_the_newest_first_and_filters(agentctl: Program, site: Site, deployed: str) -> None:
    agentctl("run-local", "-l", site.folder, "-g", "other", "-b", "OVERWRITE")
    rows = agentctl.objects("list")
    assert [row["deployment_group"] for row in rows] == ["other", GROUP]
    assert [row["deployment_id"] for row in agentctl.objects("list", "--group", GROUP)] == [deployed]
    assert len(agentctl.objects("list", "--limit", "1")) == 1
    heading, newest, *_ = agentctl("list").stdout.splitlines()
    assert heading.split() == ["ID", "GROUP", "APPLICATION", "STATE", "WHEN", "DURATION", "REVISION"]
    assert str(site.folder) in newest


def test_list_and_recover_on_a_fresh_host_are_no_errors(agentctl: Program) -> None:
    run = agentctl("list")
    assert (run.returncode, run.stdout) == (0, "")
    assert "nothing was deployed" in run.stderr
    run = agentctl("recover")
    assert (run.returncode, run.stdout) == (0, "nothing to recover\n")
    assert not agentctl.root.exists()


def test_show_tells_timeline_scripts_and_files(agentctl: Program, site: Site, deployed: str) -> None:
    text = agentctl("show", deployed, "--files").stdout
    assert "State        succeeded" in text
    assert "scripts/AfterInstall.sh: exit 0 after" in text
    assert f"  + {site.www}/index.html" in text
    assert "Files        2 created" in text


def test_show_takes_a_beginning_of_an_id_and_last(agentctl: Program, deployed: str) -> None:
    for name in (deployed[:6], deployed[:6].lower(), "last"):
        assert f"Deployment   {deployed}" in agentctl("show", name).stdout
    run = agentctl("show", "nobody")
    assert run.returncode == 2
    assert run.stderr == "error: no deployment 'nobody'\nhint: `agentctl list` names those that are known\n"


def test_show_tells_why_a_deployment_failed(agentctl: Program, site: Site) -> None:
    site.script("ApplicationStart", "echo the reason; exit 9")
    agentctl("run-local", "-l", site.folder)
    text = agentctl("show", "last").stdout
    assert "ApplicationStart failed: " in text
    assert "hint: " in text
    assert "  | [stdout]the reason" in text
    assert "code 4" in text
    (story,) = agentctl.objects("show", "last")
    events = story["events"]
    assert isinstance(events, list)
    assert events[-1]["scripts"][0]["exit_code"] == 9


def test_logs_prints_the_script_log(agentctl: Program, deployed: str) -> None:
    lines = [line[20:] for line in agentctl("logs", deployed).stdout.splitlines()]
    assert lines[:2] == ["LifecycleEvent - AfterInstall", "Script - scripts/AfterInstall.sh"]
    assert set(lines[2:]) == {"[stdout]hello", "[stderr]careful"}


def test_logs_of_a_deployment_without_output_says_so(agentctl: Program, site: Site) -> None:
    agentctl("run-local", "-l", site.folder)
    run = agentctl("logs", "last")
    assert run.returncode == 2
    assert "no script wrote anything" in run.stderr


def test_logs_follows_a_running_deployment_to_its_end(
    agentctl: Program, site: Site, tmp_path: Path, until: Until
) -> None:
    site.script("BeforeInstall", f"echo first; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo second")
    deployment = agentctl.start("run-local", "-l", site.folder)
    until(lambda: "[stdout]first" in agentctl("logs", "last").stdout, "the first line")
    follower = agentctl.start("logs", "last", "-f")
    assert follower.stdout is not None
    while b"[stdout]first" not in follower.stdout.readline():
        assert follower.poll() is None
    (tmp_path / "go").touch()
    rest, _ = follower.communicate(timeout=60)
    deployment.communicate(timeout=60)
    assert b"[stdout]second" in rest
    assert follower.returncode == 0


def test_logs_follow_ends_when_the_deployment_was_killed(
    agentctl: Program, site: Site, tmp_path: Path, until: Until, gone: Callable[[int], bool]
) -> None:
    pid = tmp_path / "pid"
    site.script("BeforeInstall", f"echo $$ > {pid}; exec sleep 300")
    deployment = agentctl.start("run-local", "-l", site.folder)
    until(lambda: pid.exists() and pid.read_text() != "", "the script to run")
    deployment.kill()
    deployment.communicate()
    assert agentctl("logs", "last", "-f").returncode == 0
    gone(int(pid.read_text()))
    run = agentctl("recover")
    assert run.returncode == 0
    assert "interrupted" in run.stdout
    assert agentctl.objects("list")[0]["state"] == "interrupted"
    assert agentctl("recover").stdout == "nothing to recover\n"


def test_diff_shows_what_a_folder_would_change(agentctl: Program, site: Site, deployed: str) -> None:
    (site.folder / "index.html").write_text("two\n")
    run = agentctl("diff", site.folder, "--content")
    assert run.returncode == 0
    assert f"~ {site.www}/index.html  4 B" in run.stdout
    assert "-one" in run.stdout.splitlines()
    assert "+two" in run.stdout.splitlines()
    assert (site.www / "index.html").read_text() == "one\n"
    assert agentctl("diff", site.folder, "--exit-code").returncode == 1
    assert agentctl.objects("list")[0]["deployment_id"] == deployed


def test_diff_of_a_deployment_shows_what_installing_it_again_would_change(
    agentctl: Program, site: Site, deployed: str
) -> None:
    assert "Install would change nothing" in agentctl("diff", deployed).stdout
    (site.www / "index.html").write_text("changed by hand\n")
    run = agentctl("diff", "last", "--content")
    assert "-changed by hand" in run.stdout.splitlines()
    (plan,) = agentctl.objects("diff", "last")
    assert plan["changes"] == [
        {
            "change": "replace",
            "kind": "file",
            "path": f"{site.www}/index.html",
            "size_bytes": 4,
            "note": "4 B",
        }
    ]


def test_diff_guesses_the_type_of_an_archive(agentctl: Program, site: Site, tmp_path: Path) -> None:
    subprocess.run(["tar", "-czf", tmp_path / "site.tgz", "-C", site.folder, "."], check=True)
    run = agentctl("diff", tmp_path / "site.tgz")
    assert run.returncode == 0, run.stderr
    assert f"+ {site.www}/index.html" in run.stdout
    assert "--type" in agentctl("diff", site.folder / "index.html").stderr


def test_verify_finds_nothing_after_a_deployment(agentctl: Program, deployed: str) -> None:
    run = agentctl("verify", GROUP)
    assert (run.returncode, run.stdout) == (0, "2 paths checked, no drift\n")


def test_verify_names_every_drift_and_leaves_with_1(agentctl: Program, site: Site, deployed: str) -> None:
    (site.www / "index.html").write_text("two\n")
    (site.www / "index.html").chmod(0o600)
    run = agentctl("verify", GROUP)
    assert run.returncode == 1
    assert f"modified   {site.www}/index.html  other content of the same size" in run.stdout
    assert f"mode       {site.www}/index.html  was 0644, is 0600" in run.stdout
    (report,) = agentctl.objects("verify", GROUP)
    assert report["checked"] == 2


def test_verify_of_an_unknown_group_names_those_there_are(agentctl: Program, deployed: str) -> None:
    run = agentctl("verify", "nobody")
    assert run.returncode == 2
    assert run.stderr == f"error: no deployment group 'nobody'\nhint: known here: {GROUP}\n"


def test_names_that_are_no_text_are_printed_escaped(agentctl: Program, site: Site) -> None:
    name = b"\xff\x1b[31m\n.html"
    with open(os.fsencode(site.folder) + b"/" + name, "wb") as file:
        file.write(b"x")
    (site.folder / "appspec.yml").write_text(
        f"version: 0.0\nos: linux\nfiles:\n  - source: /\n    destination: {site.www}\n"
    )
    assert agentctl("run-local", "-l", site.folder).returncode == 0
    shown = agentctl("show", "last", "--files").stdout
    assert r"/\xff\x1b[31m\n.html" in shown
    assert "\x1b" not in shown
    (story,) = agentctl.objects("show", "last", "--files")
    files = story["files"]
    assert isinstance(files, list)
    assert os.fsencode(site.www) + b"/" + name in [os.fsencode(file["path"]) for file in files]
    with open(os.fsencode(site.www) + b"/" + name, "ab") as file:
        file.write(b"y")
    assert r"/\xff\x1b[31m\n.html" in agentctl("verify", GROUP).stdout


def test_a_reader_that_leaves_early_is_no_error_message(agentctl: Program, deployed: str) -> None:
    command = " ".join(agentctl.argv("show", "last", "--files"))
    run = subprocess.run(["sh", "-c", f"{command} | :"], env=agentctl.environ, capture_output=True, check=True)
    assert run.stderr == b""


@pytest.mark.parametrize(
    ("words", "offered"), [("agentctl sh", "show"), ("agentctl show d-", "{id}"), ("agentctl verify def", "{group}")]
)
def test_a_shell_completes_commands_deployments_and_groups(
    agentctl: Program, deployed: str, tmp_path: Path, words: str, offered: str
) -> None:
    config = tmp_path / "complete.yml"
    config.write_text(f"root_dir: {agentctl.root}\n")
    command, *rest = words.split()
    line = words if len(rest) == 1 else f"{command} {rest[0]} -c {config} {rest[1]}"
    asked = {"_AGENTCTL_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    run = subprocess.run(
        agentctl.argv("list")[:1], env={**agentctl.environ, **asked}, capture_output=True, encoding="utf-8", check=False
    )
    assert f"plain,{offered.format(id=deployed, group=GROUP)}" in run.stdout.splitlines()
