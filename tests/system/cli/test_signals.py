"""Ctrl-C and its relatives: nothing of a script survives, the outcome is recorded, the host is consistent."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.cli.conftest import Program, Site

Until = Callable[[Callable[[], bool], str], None]
Gone = Callable[[int], bool]


def _pids(path: Path) -> list[int]:
    return [int(text) for text in path.read_text().split()] if path.exists() else []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_script_tree_and_records_a_cancelled_deployment(
    agentctl: Program, site: Site, tmp_path: Path, until: Until, gone: Gone, number: signal.Signals
) -> None:
    pids = tmp_path / "pids"
    site.script("BeforeInstall", f"sleep 300 & setsid sleep 301 & echo $! $$ > {pids}; wait")
    child = agentctl.start("run-local", "-l", site.folder)
    until(lambda: len(_pids(pids)) == 2, "the script to run")
    child.send_signal(number)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 128 + number, output
    assert all(gone(pid) for pid in _pids(pids))
    (row,) = agentctl.objects("list")
    assert row["state"] == "cancelled"
    assert not site.www.exists()
    assert b"cancelled" in output
    assert agentctl("run-local", "-l", site.folder, "-e", "ApplicationStart").returncode == 0


def test_a_second_signal_kills_a_script_that_ignores_the_first(
    agentctl: Program, site: Site, tmp_path: Path, until: Until, gone: Gone
) -> None:
    ready = tmp_path / "pids"
    site.script("BeforeInstall", f"trap '' TERM; echo $$ > {ready}; while :; do sleep 0.2; done", timeout_s=600)
    child = agentctl.start("run-local", "-l", site.folder)
    until(lambda: bool(_pids(ready)), "the script to run")
    child.send_signal(signal.SIGINT)
    assert child.stdout is not None
    while b"stopping" not in child.stdout.readline():
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    assert gone(_pids(ready)[0])
    assert agentctl.objects("list")[0]["state"] == "cancelled"


def test_a_signal_that_was_ignored_from_the_start_stays_ignored(
    agentctl: Program, site: Site, tmp_path: Path, until: Until
) -> None:
    ready = tmp_path / "ready"
    site.script("BeforeInstall", f"echo > {ready}; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done")
    child = subprocess.Popen(["/usr/bin/env", "nohup", *agentctl.argv("run-local", "-l", site.folder)],
                             env=agentctl.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)  # fmt: skip
    until(ready.exists, "the script to run")
    child.send_signal(signal.SIGHUP)
    (tmp_path / "go").touch()
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 0, output


def test_a_killed_deployment_is_not_shown_as_running(
    agentctl: Program, site: Site, tmp_path: Path, until: Until
) -> None:
    pids = tmp_path / "pids"
    site.script("BeforeInstall", f"echo $$ > {pids}; exec sleep 300")
    child = agentctl.start("run-local", "-l", site.folder)
    until(lambda: len(_pids(pids)) == 1, "the script to run")
    assert agentctl.objects("list")[0]["state"] == "running"
    child.kill()
    child.communicate(timeout=60)
    os.kill(_pids(pids)[0], signal.SIGKILL)
    assert agentctl.objects("list")[0]["state"] == "interrupted"
    text = agentctl("show", "last").stdout
    assert "State        interrupted" in text
    assert f"BeforeInstall interrupted: its process (pid {child.pid}) died" in text
    assert "hint: `agentctl recover`, or the next deployment, brings it to an end" in text
