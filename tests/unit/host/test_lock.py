"""A group and its destinations belong to one live process at a time, and to nobody after it died."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.deployment import DeploymentId, GroupId
from agent.errors import AgentFault, DestinationLockedError
from agent.host.lock import HostLock

HOLD = """
import sys, pathlib
from agent.host.lock import HostLock
lock = HostLock(pathlib.Path(sys.argv[1]), "d-first", "blog")
lock.acquire()
lock.add_destinations([b"/srv/app"])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        yield child
        if child.poll() is None:
            child.kill()


def lock(folder: Path, group: str = "other") -> HostLock:
    return HostLock(folder, DeploymentId("d-second"), GroupId(group))


def test_a_held_group_names_its_holder(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    with pytest.raises(DestinationLockedError, match=f"'blog' is held by deployment d-first.*pid {holder.pid}"):
        lock(tmp_path, "blog").acquire()


@pytest.mark.parametrize("path", [b"/srv/app", b"/srv/app/sub", b"/srv", b"/"])
def test_an_overlapping_destination_is_refused(tmp_path: Path, holder: "subprocess.Popen[bytes]", path: bytes) -> None:
    second = lock(tmp_path)
    second.acquire()
    with pytest.raises(DestinationLockedError, match="destination '/.*d-first"):
        second.add_destinations([path])
    second.release()


def test_a_neighbour_is_no_overlap(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    second = lock(tmp_path)
    second.acquire()
    second.add_destinations([b"/srv/app2", b"/srv/ap"])
    second.release()


def test_a_dead_holder_holds_nothing(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    second = lock(tmp_path, "blog")
    second.acquire()
    second.add_destinations([b"/srv/app"])
    second.release()


def test_release_leaves_no_file_behind(tmp_path: Path) -> None:
    only = lock(tmp_path)
    only.acquire()
    only.release()
    only.release()
    assert not list(tmp_path.glob("*.lock"))


def test_a_folder_that_went_away_is_a_fault_of_our_ground(tmp_path: Path) -> None:
    held = lock(tmp_path / "locks")
    held.acquire()
    shutil.rmtree(held.folder)
    with pytest.raises(AgentFault, match="lock folder .*locks'?: No such file or directory") as caught:
        held.add_destinations([b"/srv/app"])
    assert caught.value.hint == "check that this folder is there and can be written; a hook script may have removed it"


def test_a_lock_is_let_go_of_although_its_folder_went_away(tmp_path: Path) -> None:
    held = lock(tmp_path / "locks")
    held.acquire()
    shutil.rmtree(held.folder)
    held.release()
    again = lock(tmp_path / "locks")
    again.acquire()
    again.release()


def test_a_folder_that_cannot_be_made_is_a_fault_of_our_ground(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AgentFault, match="lock folder .*: Not a directory"):
        lock(tmp_path / "file/locks").acquire()


def test_two_recoveries_of_one_group_exclude_each_other(tmp_path: Path) -> None:
    first, second = (HostLock(tmp_path, DeploymentId("recovery-of-blog"), GroupId("blog")) for _ in range(2))
    first.acquire()
    with pytest.raises(DestinationLockedError, match="'blog' is held by deployment recovery-of-blog"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
