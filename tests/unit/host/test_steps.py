"""Commit, undo and finish of single steps, on real files."""

import os
from pathlib import Path

import pytest

from agent.core.install_model import Attributes, Kind
from agent.core.install_steps import Occupant, Step, StepKind, TempNames
from agent.errors import InstallError
from agent.host.renames import exchange, move, settle
from agent.host.steps import commit, discard_staged, finish, undo

NAMES = TempNames(token="0123456789ab")
TEMP = NAMES.name(1)


def path_of(folder: Path, name: bytes = b"file") -> bytes:
    return os.fsencode(folder) + b"/" + name


def occupant(path: bytes, kind: Kind = Kind.FILE) -> Occupant:
    status = os.lstat(path)
    return Occupant(ino=status.st_ino, kind=kind, size=status.st_size, mtime_ns=status.st_mtime_ns)


def stage_text(folder: Path, text: str) -> int:
    (folder / os.fsdecode(TEMP)).write_text(text)
    return (folder / os.fsdecode(TEMP)).stat().st_ino


@pytest.fixture
def create(tmp_path: Path) -> Step:
    return Step(kind=StepKind.CREATE, path=path_of(tmp_path), temp=TEMP, staged=stage_text(tmp_path, "new"))


@pytest.fixture
def swap(tmp_path: Path) -> Step:
    (tmp_path / "file").write_text("old")
    old = occupant(path_of(tmp_path))
    return Step(kind=StepKind.SWAP, path=path_of(tmp_path), temp=TEMP, staged=stage_text(tmp_path, "new"), old=old)


@pytest.fixture
def remove(tmp_path: Path) -> Step:
    (tmp_path / "file").write_text("old")
    return Step(kind=StepKind.REMOVE, path=path_of(tmp_path), temp=TEMP, old=occupant(path_of(tmp_path)))


def test_create_brings_staged_content_live(create: Step, tmp_path: Path) -> None:
    commit([create])
    assert os.listdir(tmp_path) == ["file"]


def test_create_does_not_take_the_place_of_a_file_that_appeared(create: Step, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("foreign")
    with pytest.raises(InstallError, match="somebody else changed it") as caught:
        commit([create])
    assert "stop it, then deploy again" in caught.value.hint
    assert (tmp_path / "file").read_text() == "foreign"


def test_swap_keeps_the_old_content_until_finish(swap: Step, tmp_path: Path) -> None:
    commit([swap])
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / os.fsdecode(TEMP)).read_text() == "old"
    assert finish([swap]).is_complete
    assert os.listdir(tmp_path) == ["file"]


def test_swap_puts_a_file_back_that_somebody_wrote_to(swap: Step, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("edited by hand")
    with pytest.raises(InstallError, match="somebody else changed it"):
        commit([swap])
    assert (tmp_path / "file").read_text() == "edited by hand"


def test_swap_puts_a_file_back_that_somebody_replaced(swap: Step, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("old")
    os.replace(tmp_path / "other", tmp_path / "file")
    with pytest.raises(InstallError, match="somebody else changed it"):
        commit([swap])
    assert (tmp_path / "file").read_text() == "old"


def test_remove_does_not_take_what_somebody_replaced(remove: Step, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("theirs")
    os.replace(tmp_path / "other", tmp_path / "file")
    with pytest.raises(InstallError, match="somebody else changed it"):
        commit([remove])
    assert (tmp_path / "file").read_text() == "theirs"


def test_remove_of_what_is_gone_already_is_done(remove: Step, tmp_path: Path) -> None:
    (tmp_path / "file").unlink()
    commit([remove])
    assert finish([remove]).is_complete
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["create", "swap", "remove"])
def test_every_rename_can_be_repeated_and_undone_twice(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    step: Step = request.getfixturevalue(name)
    before = {entry: (tmp_path / entry).read_text() for entry in os.listdir(tmp_path)}
    commit([step])
    commit([step], resuming=True)
    undo([step])
    undo([step])
    assert {entry: (tmp_path / entry).read_text() for entry in os.listdir(tmp_path)} == before


def test_undo_does_not_overwrite_what_appeared_where_old_content_belongs(remove: Step, tmp_path: Path) -> None:
    commit([remove])
    (tmp_path / "file").write_text("foreign")
    with pytest.raises(InstallError, match="a file appeared where the old content belongs") as caught:
        undo([remove])
    assert "agentctl recover" in caught.value.hint
    (tmp_path / "file").unlink()
    undo([remove])
    assert (tmp_path / "file").read_text() == "old"


def test_discarding_takes_only_names_of_this_transaction(create: Step, tmp_path: Path) -> None:
    other = TempNames(token="ba9876543210").name(1)
    (tmp_path / os.fsdecode(other)).touch()
    (tmp_path / os.fsdecode(NAMES.name(2)) / "sub").mkdir(parents=True)
    discard_staged(NAMES, [os.fsencode(tmp_path), path_of(tmp_path, b"gone")])
    assert os.listdir(tmp_path) == [os.fsdecode(other)]


def test_a_folder_with_foreign_content_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "foreign").write_text("theirs")
    step = Step(
        kind=StepKind.SWAP,
        path=path_of(tmp_path),
        temp=TEMP,
        staged=stage_text(tmp_path, "new"),
        old=occupant(path_of(tmp_path), Kind.DIRECTORY),
    )
    with pytest.raises(InstallError, match=r"file/foreign': a file that this group did not install appeared"):
        commit([step])
    assert (tmp_path / "file" / "foreign").read_text() == "theirs"


def test_a_replaced_folder_goes_with_its_recorded_content_only(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "ours").touch()
    old = occupant(path_of(tmp_path), Kind.DIRECTORY)
    swap = Step(kind=StepKind.SWAP, path=path_of(tmp_path), temp=TEMP, staged=stage_text(tmp_path, "new"), old=old)
    discard = Step(kind=StepKind.DISCARD, path=path_of(tmp_path, TEMP + b"/ours"))
    commit([swap, discard])
    (tmp_path / os.fsdecode(TEMP) / "late").touch()
    finished = finish([swap, discard])
    assert finished.is_complete
    assert "holds what was not ours" in finished.warnings[0]
    assert os.listdir(tmp_path / os.fsdecode(TEMP)) == ["late"]


def test_prune_removes_only_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "empty").mkdir()
    steps = [Step(kind=StepKind.PRUNE, path=path_of(tmp_path, name)) for name in (b"full", b"empty", b"missing")]
    finished = finish(steps)
    assert finished.pruned == (path_of(tmp_path, b"empty"), path_of(tmp_path, b"missing"))
    assert not finished.warnings
    assert os.listdir(tmp_path) == ["full"]


def test_attributes_are_set_and_put_back(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o644)
    step = Step(
        kind=StepKind.ATTRIBUTES,
        path=path_of(tmp_path),
        old=occupant(path_of(tmp_path)),
        old_attributes=Attributes(mode=0o644),
        new_attributes=Attributes(mode=0o4750),
    )
    commit([step])
    assert os.stat(tmp_path / "file").st_mode & 0o7777 == 0o4750
    undo([step])
    assert os.stat(tmp_path / "file").st_mode & 0o7777 == 0o644


def test_attributes_are_not_set_on_a_file_that_took_the_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o644)
    old = occupant(path_of(tmp_path))
    (tmp_path / "other").touch(mode=0o600)
    os.replace(tmp_path / "other", tmp_path / "file")
    attributes = Attributes(mode=0o777)
    step = Step(
        kind=StepKind.ATTRIBUTES, path=path_of(tmp_path), old=old, old_attributes=attributes, new_attributes=attributes
    )
    with pytest.raises(InstallError, match="somebody else changed it"):
        commit([step])
    assert os.stat(tmp_path / "file").st_mode & 0o7777 == 0o600


@pytest.fixture
def folder_fd(tmp_path: Path) -> int:
    fd = os.open(tmp_path, os.O_PATH)
    (tmp_path / "one").write_text("1")
    (tmp_path / "other").write_text("2")
    return fd


def contents(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in os.listdir(folder)}


def test_move_refuses_a_name_that_is_taken(folder_fd: int, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        move(folder_fd, b"one", b"other")
    os.close(folder_fd)


def test_exchange_swaps_two_names(folder_fd: int, tmp_path: Path) -> None:
    exchange(folder_fd, b"one", b"other", backup=b"b")
    os.close(folder_fd)
    assert contents(tmp_path) == {"one": "2", "other": "1"}


@pytest.mark.parametrize("cut_after", [1, 2])
def test_settle_mends_an_exchange_by_steps(cut_after: int, folder_fd: int, tmp_path: Path) -> None:
    os.link(tmp_path / "one", tmp_path / "backup")
    if cut_after == 2:
        os.replace(tmp_path / "other", tmp_path / "one")
    settle(folder_fd, b"one", b"other", b"backup")
    os.close(folder_fd)
    assert contents(tmp_path) == ({"one": "1", "other": "2"} if cut_after == 1 else {"one": "2", "other": "1"})


def test_settle_brings_back_a_folder_that_was_moved_aside(folder_fd: int, tmp_path: Path) -> None:
    os.rename(tmp_path / "one", tmp_path / "backup")
    settle(folder_fd, b"one", b"other", b"backup")
    os.close(folder_fd)
    assert contents(tmp_path) == {"one": "1", "other": "2"}
