"""One Install from AppSpec to files: the transaction, the deployment root's records, taking over, recovery."""

import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.appspec.model import AppSpec, FileMapping, Position
from agent.core.deployment import Deployment, DeploymentId, FileExistsBehavior, GroupId
from agent.core.install_steps import TEMP_PREFIX
from agent.core.layout import Layout
from agent.core.progress import BytesDone, Progress, ignore_progress
from agent.core.revision import LocalDirectoryRevision
from agent.deploy.install import InstallRequest, InstallResult, install_revision, plan_only
from agent.deploy.recovery import recover_installs
from agent.deploy.takeover import take_over
from agent.errors import AgentError, DestinationExistsError, InstallError
from agent.journal.history import History
from agent.journal.installs import Installs
from agent.journal.journal import Journal
from agent.journal.rows import Owner

HERE = Position(line=1, column=1)
GROUP = GroupId("blog")


class Host:
    """A deployment root and a destination; every install is a new deployment of `self.tree`."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path = path
        self.journal = journal
        self.layout = Layout(path / "root")
        self.site = path / "site"
        self.count = 0

    def request(self, tree: dict[str, str], behavior: FileExistsBehavior) -> InstallRequest:
        self.count += 1
        archive = self.path / f"archive-{self.count}"
        archive.mkdir()
        for name, content in tree.items():
            (archive / name).parent.mkdir(parents=True, exist_ok=True)
            (archive / name).write_text(content)
            os.utime(archive / name, (0, 0))
        files = (FileMapping(source="/", destination=str(self.site), position=HERE),) if tree else ()
        deployment = Deployment(
            deployment_id=DeploymentId(f"d-{self.count}"),
            group_id=GROUP,
            group_name="blog",
            application="site",
            revision=LocalDirectoryRevision(path=archive),
            file_exists_behavior=behavior,
        )
        folder = self.layout.deployment(GROUP, deployment.deployment_id)
        owner = Owner(pid=os.getpid(), started=0.0)
        History(self.journal).begin_deployment(deployment, folder=str(folder.path), owner=owner, at=time.time())
        return InstallRequest(
            deployment=deployment,
            deployment_dir=folder,
            archive=archive,
            appspec=AppSpec(files=files),
            layout=self.layout,
        )

    def install(
        self, tree: dict[str, str], behavior: FileExistsBehavior = FileExistsBehavior.DISALLOW
    ) -> InstallResult:
        return install_revision(self.request(tree, behavior), self.journal, ignore_progress)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with Journal.open(tmp_path / "root/.deploy-agent/journal.db") as journal:
        yield Host(tmp_path, journal)


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def test_a_revision_replaces_the_one_before(host: Host) -> None:
    host.install({"a": "1", "sub/b": "1", "gone/c": "1"})
    result = host.install({"a": "2", "sub/b": "1", "new/d": "2"})
    assert contents(host.site) == {"a": "2", "sub/b": "1", "new/d": "2"}
    assert not (host.site / "gone").exists()
    assert (result.written, result.removed, result.unchanged) == (3, 2, 1)


@pytest.mark.parametrize("folder", [".deploy-agent", "deployment-instructions", "blog/d-1"])
def test_a_bundle_cannot_install_into_the_agents_own_folders(host: Host, folder: str) -> None:
    host.site = host.path / "root"
    with pytest.raises(InstallError, match="nothing is installed into the agent's own folders") as caught:
        host.install({f"{folder}/journal.db": "not a database"}, FileExistsBehavior.OVERWRITE)
    assert caught.value.hint == "choose a destination outside the deployment root"
    with Journal.open(host.layout.journal) as journal:
        assert not Installs(journal).recorded_everywhere()


def test_a_link_to_the_agents_own_folders_is_seen_through(host: Host) -> None:
    host.site = host.path / "link"
    host.site.symlink_to(host.path / "root/.deploy-agent")
    with pytest.raises(InstallError, match="nothing is installed into the agent's own folders"):
        host.install({"journal.db": "not a database"}, FileExistsBehavior.OVERWRITE)


def test_installing_the_same_again_touches_nothing(host: Host) -> None:
    host.install({"a": "1", "sub/b": "1"})
    before = {path: path.lstat() for path in host.site.rglob("*")}
    request = host.request({"a": "1", "sub/b": "1"}, FileExistsBehavior.DISALLOW)
    assert plan_only(request, host.journal).is_noop
    result = install_revision(request, host.journal, ignore_progress)
    assert (result.written, result.removed, result.unchanged) == (0, 0, 2)
    assert {path: path.lstat() for path in host.site.rglob("*")} == before


def test_a_conflict_changes_nothing(host: Host) -> None:
    host.install({"a": "1"})
    (host.site / "b").write_text("foreign")
    with pytest.raises(DestinationExistsError):
        host.install({"a": "2", "b": "2", "c": "2"})
    assert contents(host.site) == {"a": "1", "b": "foreign"}
    assert Installs(host.journal).unfinished() == ()


def test_a_file_that_appears_while_staging_is_not_lost(host: Host) -> None:
    host.site.mkdir()

    def interfere(_: Progress) -> None:
        (host.site / "b").write_text("foreign")

    request = host.request({"a": "2", "b": "2", "z": "2"}, FileExistsBehavior.OVERWRITE)
    with pytest.raises(InstallError, match="b': somebody else changed it while it was being installed"):
        install_revision(request, host.journal, interfere)
    assert contents(host.site) == {"b": "foreign"}
    assert os.listdir(host.site) == ["b"]
    assert not host.layout.last_successful_install(GROUP).exists()
    assert Installs(host.journal).unfinished() == ()


def test_a_listener_that_raises_leaves_the_old_tree(host: Host) -> None:
    host.install({"a": "1"})

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install_revision(host.request({"a": "2", "b": "2"}, FileExistsBehavior.DISALLOW), host.journal, stop)
    assert contents(host.site) == {"a": "1"}
    assert os.listdir(host.site) == ["a"]


def test_progress_ends_with_all_bytes(host: Host) -> None:
    seen: list[Progress] = []
    install_revision(
        host.request({"a": "1" * 10, "b": "2" * 5}, FileExistsBehavior.DISALLOW), host.journal, seen.append
    )
    last = seen[-1]
    assert isinstance(last, BytesDone)
    assert (last.done, last.total) == (15, 15)


def test_a_running_program_is_replaced(host: Host) -> None:
    host.install({"program": "#!/bin/false\n"})
    shutil.copy("/bin/sleep", host.path / "sleep")
    os.replace(host.path / "sleep", host.site / "program")
    with subprocess.Popen([host.site / "program", "60"]) as running:
        host.install({"program": "#!/bin/true\n"}, FileExistsBehavior.OVERWRITE)
        assert running.poll() is None
        running.kill()
    assert (host.site / "program").read_text() == "#!/bin/true\n"


def test_the_deployment_root_keeps_the_official_records(host: Host) -> None:
    host.install({"sub/a": "1"})
    site = os.fsencode(host.site)
    cleanup = host.layout.cleanup(GROUP).read_bytes()
    assert cleanup == b"%s\n%s/sub\n%s/sub/a\n" % (site, site, site)
    assert host.layout.last_successful_install(GROUP).read_text() == f"{host.layout.group(GROUP)}/d-1\n"
    instructions = json.loads(host.layout.install_instructions(GROUP).read_bytes())["instructions"]
    assert instructions[0] == {"type": "mkdir", "directory": str(host.site)}
    assert instructions[-1] == {
        "type": "copy",
        "source": str(host.path / "archive-1/sub/a"),
        "destination": str(host.site / "sub/a"),
    }


def test_names_that_the_cleanup_format_cannot_hold_are_left_out_and_still_removed(host: Host) -> None:
    result = host.install({"a\nb": "1", "plain": "1"})
    assert "2 names do not fit" not in result.warnings[0]
    assert "1 names do not fit" in result.warnings[0]
    assert b"plain\n" in host.layout.cleanup(GROUP).read_bytes()
    host.install({"plain": "1"})
    assert contents(host.site) == {"plain": "1"}


def write_official(host: Host, lines: list[Path], *, mode: int = 0o644) -> Path:
    cleanup = host.layout.cleanup(GROUP)
    cleanup.parent.mkdir(parents=True, exist_ok=True)
    text = b"".join(os.fsencode(line) + b"\n" for line in lines) + b"semanage\0/x\n/cut/short"
    cleanup.write_bytes(text)
    cleanup.chmod(mode)
    host.layout.last_successful_install(GROUP).write_text(f"{host.layout.group(GROUP)}/d-OFFICIAL\n")
    return cleanup


def test_what_the_official_agent_installed_is_removed(host: Host) -> None:
    (host.site / "sub").mkdir(parents=True)
    (host.site / "sub/old").write_text("official")
    (host.site / "kept-by-hand").write_text("foreign")
    write_official(host, [host.site / "sub", host.site / "sub/old", host.site / "missing"])
    host.install({"new": "1"})
    assert contents(host.site) == {"new": "1", "kept-by-hand": "foreign"}
    assert not (host.site / "sub").exists()


def test_a_plan_alone_knows_what_the_official_agent_installed_and_records_nothing(host: Host) -> None:
    host.site.mkdir()
    (host.site / "old").write_text("official")
    write_official(host, [host.site / "old"])
    plan = plan_only(host.request({"new": "1"}, FileExistsBehavior.DISALLOW), host.journal)
    assert [item.path for item in plan.removals] == [os.fsencode(host.site / "old")]
    assert not Installs(host.journal).is_taken_over(GROUP)


def test_what_was_taken_over_names_its_deployment(host: Host) -> None:
    host.site.mkdir()
    write_official(host, [host.site])
    assert take_over(host.layout, GROUP, host.journal) == ()
    (record,) = Installs(host.journal).recorded(GROUP).values()
    assert (record.deployment_id, record.sha256) == ("d-OFFICIAL", None)


def test_the_official_cleanup_file_is_read_once(host: Host) -> None:
    take_over(host.layout, GROUP, host.journal)
    host.site.mkdir()
    write_official(host, [host.site])
    take_over(host.layout, GROUP, host.journal)
    assert not Installs(host.journal).recorded(GROUP)


def test_a_cleanup_file_others_may_write_to_is_not_taken_over(host: Host) -> None:
    host.site.mkdir()
    cleanup = write_official(host, [host.site], mode=0o666)
    (warning,) = take_over(host.layout, GROUP, host.journal)
    assert warning == f"{cleanup}: not taken over, since others may write to it; what it lists stays on the host"
    assert not Installs(host.journal).recorded(GROUP)


def test_a_link_in_place_of_the_cleanup_file_is_not_followed(host: Host, tmp_path: Path) -> None:
    host.site.mkdir()
    cleanup = write_official(host, [host.site])
    cleanup.rename(tmp_path / "elsewhere")
    cleanup.symlink_to(tmp_path / "elsewhere")
    (warning,) = take_over(host.layout, GROUP, host.journal)
    assert "not taken over" in warning


def test_nothing_is_left_to_recover_after_an_install(host: Host) -> None:
    host.install({"a": "1"})
    assert recover_installs(host.journal) == ()


def test_recovery_leaves_transactions_of_others_alone(host: Host) -> None:
    host.site.mkdir()
    with pytest.raises(InstallError, match="agentctl recover|could not all be put back"):
        _blocked_undo(host)
    assert recover_installs(host.journal, group_id=GroupId("other")) == ()
    assert recover_installs(host.journal, is_abandoned=lambda _: False) == ()
    assert len(Installs(host.journal).unfinished()) == 1


def test_recovery_finishes_an_undo_once_the_way_is_free(host: Host) -> None:
    with pytest.raises(InstallError) as caught:
        _blocked_undo(host)
    assert "agentctl recover" in caught.value.hint
    with pytest.raises(InstallError):
        recover_installs(host.journal)
    subprocess.run(["chattr", "-a", host.site / "locked"], check=True)
    (line,) = recover_installs(host.journal)
    assert line == "Install of d-2 (deployment group 'blog'): interrupted, undone"
    assert contents(host.site) == {"a": "1", "locked/b": "1"}
    assert recover_installs(host.journal) == ()


def _blocked_undo(host: Host) -> None:
    """An Install that fails and whose staged names cannot be taken away: the folder became append-only."""
    if not (host.site / "locked").exists():
        host.install({"a": "1", "locked/b": "1"})
    if os.geteuid() != 0 or subprocess.run(["chattr", "+a", host.site / "locked"], check=False).returncode:
        pytest.skip("needs root and a file system with append-only folders")
    host.install({"a": "2", "locked/b": "2"})


@pytest.fixture(autouse=True)
def unlock(tmp_path: Path) -> Iterator[None]:
    yield
    locked = tmp_path / "site/locked"
    if locked.exists() and shutil.which("chattr"):
        subprocess.run(["chattr", "-a", locked], check=False, stderr=subprocess.DEVNULL)


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8
).filter(lambda name: name not in {".", ".."})
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def without_clashes(paths: dict[str, str]) -> dict[str, str]:
    """Leave out what would need one path to be both file and folder."""
    return {path: text for path, text in paths.items() if not any(other.startswith(path + "/") for other in paths)}


TREES = st.dictionaries(PATHS, st.text(max_size=10).map(lambda text: text.replace("\r", "")), max_size=8).map(
    without_clashes
)


@settings(deadline=None, max_examples=12)
@given(foreign=TREES, first=TREES, second=TREES)
def test_install_then_remove_restores_the_tree(
    foreign: dict[str, str], first: dict[str, str], second: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("property")
    with Journal.open(base / "journal.db") as journal:
        host = Host(base, journal)
        host.site.mkdir()
        for name, content in foreign.items():
            (host.site / name).parent.mkdir(parents=True, exist_ok=True)
            (host.site / name).write_text(content)
        before = everything(host.site)
        for tree in (first, second):
            try:
                host.install(tree)
            except AgentError:
                continue  # a foreign file or folder is in the way
        host.install({})
        assert everything(host.site) == before
    shutil.rmtree(base)


def everything(folder: Path) -> dict[str, tuple[int, bytes, int]]:
    """Every path below a folder: mode, content, mtime of files."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        assert not os.fsencode(path.name).startswith(TEMP_PREFIX)
        is_file = stat.S_ISREG(status.st_mode)
        found[str(path)] = (status.st_mode, path.read_bytes() if is_file else b"", status.st_mtime_ns if is_file else 0)
    return found


def test_a_folder_that_stays_since_it_holds_something_else_is_not_counted_as_removed(host: Host) -> None:
    host.install({"a": "1", "sub/b": "1"})
    (host.site / "sub/foreign").touch()
    assert host.install({"a": "1"}).removed == 1
    assert host.install({"a": "1"}).removed == 0
    assert (host.site / "sub/foreign").exists()
