"""What a plan holds on the way to success: every rule of `files`, of what exists, and of what was installed before."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.core.deployment import FileExistsBehavior
from agent.core.install_model import InstallPlan, Kind, Remove

if TYPE_CHECKING:
    from tests.unit.core.install.conftest import Host

OVERWRITE, RETAIN = FileExistsBehavior.OVERWRITE, FileExistsBehavior.RETAIN


def test_a_source_folder_goes_into_the_destination_dot_files_included(host: Host) -> None:
    host.pack("web/index.html", "web/.htaccess", "web/css/a.css", "other.txt")
    plan = host.plan(("web", "site"))
    assert host.names(plan.files) == ["site/.htaccess", "site/css/a.css", "site/index.html"]
    assert host.names(plan.directories) == ["site", "site/css"]


def test_a_source_file_goes_below_the_destination_under_its_own_name(host: Host) -> None:
    host.pack("conf/app.ini")
    assert host.names(host.plan(("conf/app.ini", "etc/app")).files) == ["etc/app/app.ini"]


@pytest.mark.parametrize("source", ["/", "", ".", "web/.."])
def test_the_whole_archive_is_meant_by(host: Host, source: str) -> None:
    host.pack("appspec.yml", "web/a")
    assert host.names(host.plan((source, "site")).files) == ["site/appspec.yml", "site/web/a"]


def test_a_leading_slash_in_a_source_means_the_root_of_the_bundle(host: Host) -> None:
    host.pack("web/a")
    assert host.names(host.plan(("/web", "site")).files) == ["site/a"]


def test_missing_parents_of_a_destination_are_made_parents_first(host: Host) -> None:
    host.pack("a")
    plan = host.plan(("a", "x/y/z"))
    assert [os.path.relpath(step.path, host.path()) for step in plan.directories] == [b"x", b"x/y", b"x/y/z"]
    assert plan.directories[0].attributes.mode is None


def test_an_empty_folder_of_the_bundle_is_made(host: Host) -> None:
    host.pack("web/cache/")
    assert host.names(host.plan().directories) == ["web", "web/cache"]


def test_a_directory_that_exists_and_is_not_ours_is_nowhere_in_the_plan(host: Host) -> None:
    host.pack("web/a")
    host.put("web/")
    plan = host.plan()
    assert (plan.directories, plan.kept_directories, plan.changed) == ((), (), ())


@pytest.mark.parametrize("target", ["a", "missing", "../../etc/passwd", "sub"])
def test_a_link_of_the_bundle_is_copied_as_a_link(host: Host, target: str) -> None:
    host.pack("a", "sub/b")
    host.pack("link", content=f"-> {target}")
    plan = host.plan()
    assert [(link.path, link.target) for link in plan.links] == [(host.path("link"), target.encode())]
    assert host.names(plan.files) == ["a", "sub/b"]


def test_a_source_that_is_a_link_to_a_folder_of_the_bundle_counts_as_that_folder(host: Host) -> None:
    host.pack("releases/2/a")
    host.pack("current", content="-> releases/2")
    plan = host.plan(("current", "site"))
    assert [(step.path, step.source) for step in plan.files] == [
        (host.path("site/a"), os.fsencode(host.bundle / "releases/2/a"))
    ]


def test_a_source_that_is_a_link_to_a_file_is_copied_as_a_link(host: Host) -> None:
    host.pack("a")
    host.pack("b", content="-> a")
    assert host.names(host.plan(("b", "site")).links) == ["site/b"]


def test_names_are_bytes(host: Host) -> None:
    name = b"-n \"'\n\xff"
    with open(os.path.join(os.fsencode(host.bundle), name), "wb"):
        pass
    assert [step.path for step in host.plan().files] == [os.path.join(host.path(), name)]


def test_a_destination_is_normalised(host: Host) -> None:
    host.pack("a")
    assert host.names(host.plan(("a", "x/../y//./")).files) == ["y/a"]


def test_a_relative_destination_starts_at_the_working_directory(host: Host) -> None:
    host.pack("a")
    assert host.names(host.plan(("a", "./etc")).files) == ["etc/a"]


# Modes, times and owners.


def test_mode_and_time_come_from_the_archive(host: Host) -> None:
    host.pack("run.sh")
    (host.bundle / "run.sh").chmod(0o750)
    (step,) = host.plan().files
    assert step.attributes.mode == 0o750
    assert step.attributes.mtime_ns == (host.bundle / "run.sh").stat().st_mtime_ns


@pytest.mark.parametrize(("keep", "mode"), [(False, 0o755), (True, 0o4755)])
def test_special_bits_of_the_archive_are_dropped_unless_kept(host: Host, keep: bool, mode: int) -> None:
    host.pack("su")
    (host.bundle / "su").chmod(0o4755)
    host.keep_special_bits = keep
    assert host.plan().files[0].attributes.mode == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_keeps_the_owner_of_the_archive(host: Host) -> None:
    host.pack("a")
    os.chown(host.bundle / "a", 33, 34)
    attributes = host.plan().files[0].attributes
    assert (attributes.uid, attributes.gid) == (33, 34)


# What exists.


def test_overwrite_takes_a_file_that_is_there(host: Host) -> None:
    host.pack("a")
    host.put("a")
    host.behavior = OVERWRITE
    assert host.names(host.plan().files) == ["a"]


def test_overwrite_leaves_an_identical_file_and_records_it(host: Host) -> None:
    host.pack("a")
    host.put("a", "a")
    host.behavior = OVERWRITE
    plan = host.plan()
    assert plan.is_noop
    assert host.names(plan.unchanged) == host.names(plan.refreshed) == ["a"]
    assert plan.refreshed[0].deployment_id == "d-2"
    assert plan.refreshed[0].ino == (host.root / "a").stat().st_ino


def test_an_identical_file_of_somebody_else_is_recorded_also_when_its_time_is_set(host: Host) -> None:
    host.pack("a")
    os.utime(host.put("a", "a"), ns=(1, 1))
    host.behavior = OVERWRITE
    plan = host.plan()
    assert host.names(plan.changed) == host.names(plan.refreshed) == ["a"]


def test_overwrite_replaces_a_link_itself(host: Host) -> None:
    host.pack("a")
    host.put("elsewhere")
    host.put("a", "-> elsewhere")
    host.behavior = OVERWRITE
    assert host.names(host.plan().files) == ["a"]


def test_overwrite_takes_a_path_over_from_another_group_with_a_warning(host: Host) -> None:
    host.pack("a")
    host.put("a")
    host.record("a", group="shop")
    host.behavior = OVERWRITE
    plan = host.plan()
    assert host.names(plan.files) == ["a"]
    assert "taken over from deployment group 'shop'" in plan.warnings[0]


def test_retain_leaves_an_existing_file_untouched_and_unrecorded(host: Host) -> None:
    host.pack("a", "b")
    host.put("a")
    host.behavior = RETAIN
    plan = host.plan()
    assert host.names(plan.retained) == ["a"]
    assert host.names(plan.files) == ["b"]
    assert plan.refreshed == ()


@pytest.mark.parametrize("content", ["-> missing", "there"])
def test_retain_keeps_a_dangling_link_as_it_keeps_a_file(host: Host, content: str) -> None:
    host.pack("a")
    host.put("a", content)
    host.behavior = RETAIN
    assert host.names(host.plan().retained) == ["a"]


def test_retain_keeps_a_directory_where_a_file_would_go(host: Host) -> None:
    host.pack("a")
    host.put("a/")
    host.behavior = RETAIN
    assert host.names(host.plan().retained) == ["a"]


@pytest.mark.parametrize("behavior", FileExistsBehavior)
def test_what_this_group_installed_is_replaced_whatever_the_behavior(host: Host, behavior: FileExistsBehavior) -> None:
    host.pack("a")
    host.put("a", "of the last revision")
    host.record("a")
    host.behavior = behavior
    assert host.names(host.plan().files) == ["a"]


def test_what_this_group_installed_is_replaced_even_when_it_became_a_link(host: Host) -> None:
    host.pack("a")
    host.put("a", "-> elsewhere")
    host.record("a", kind=Kind.FILE)
    assert host.names(host.plan().files) == ["a"]


# Unchanged.


def test_a_second_install_of_the_same_revision_does_nothing(host: Host) -> None:
    host.pack("a", "web/b")
    host.pack("link", content="-> a")
    host.install("a", "web", "web/b", "link")
    plan = host.plan()
    assert plan.is_noop
    assert host.names(plan.unchanged) == ["a", "link", "web/b"]
    assert host.names(plan.kept_directories) == ["web"]
    assert plan.refreshed == ()


def test_only_a_time_that_differs_is_set_in_place(host: Host) -> None:
    host.pack("a")
    host.install("a")
    os.utime(host.root / "a", ns=(1, 1))
    (step,) = host.plan().changed
    assert (step.old.mtime_ns, step.new.mtime_ns) == (1, (host.bundle / "a").stat().st_mtime_ns)


def test_a_time_is_not_set_through_a_hard_link(host: Host) -> None:
    host.pack("a")
    host.install("a")
    os.link(host.root / "a", host.root / "backup")
    os.utime(host.root / "a", ns=(1, 1))
    plan = host.plan()
    assert (plan.changed, host.names(plan.files)) == ((), ["a"])


def test_a_mode_that_differs_is_rewritten(host: Host) -> None:
    host.pack("a")
    host.install("a")
    (host.root / "a").chmod(0o600)
    assert host.names(host.plan().files) == ["a"]


def test_content_of_the_same_size_and_time_is_told_apart(host: Host) -> None:
    host.pack("a", content="one")
    host.put("a", "two")
    host.record("a")
    assert host.names(host.plan().files) == ["a"]


def test_a_file_with_a_new_identity_and_the_same_content_is_recorded_anew(host: Host) -> None:
    host.pack("a")
    host.install("a")
    host.record("a", ino=1)
    plan = host.plan()
    assert plan.is_noop
    assert host.names(plan.refreshed) == ["a"]


@pytest.mark.parametrize("field", ["acl", "context"])
def test_what_only_an_earlier_revision_asked_for_is_undone(host: Host, field: str) -> None:
    host.pack("a")
    host.install("a")
    host.record("a", **{field: "something"})
    assert host.names(host.plan().files) == ["a"]


# Cleanup.


def test_what_the_new_revision_lacks_is_removed_children_first(host: Host) -> None:
    host.pack("keep", "old/sub/a")
    host.install("keep", "old", "old/sub", "old/sub/a")
    os.remove(host.bundle / "old/sub/a")
    os.removedirs(host.bundle / "old/sub")
    removals = host.plan().removals
    assert [(os.path.relpath(step.path, host.path()), step.kind) for step in removals] == [
        (b"old/sub/a", Kind.FILE),
        (b"old/sub", Kind.DIRECTORY),
        (b"old", Kind.DIRECTORY),
    ]


def test_a_removed_link_is_removed_even_when_it_dangles(host: Host) -> None:
    host.put("link", "-> missing")
    host.record("link")
    assert host.plan().removals == (Remove(path=host.path("link"), kind=Kind.SYMLINK),)


def test_a_recorded_file_that_was_written_to_is_removed_with_a_warning(host: Host) -> None:
    host.put("a", "edited by hand")
    host.record("a", size=3)
    plan = host.plan()
    assert host.names(plan.removals) == ["a"]
    assert plan.warnings == (f"changed since the last install and removed all the same: {host.root}/a",)


def test_a_recorded_file_that_is_gone_is_forgotten(host: Host) -> None:
    host.put("a")
    host.record("a")
    (host.root / "a").unlink()
    plan = host.plan()
    assert (host.names(plan.forgotten), plan.removals, plan.warnings) == (["a"], (), ())


def test_something_else_at_a_recorded_path_is_left_with_a_warning(host: Host) -> None:
    host.put("a/")
    host.record("a", kind=Kind.FILE)
    plan = host.plan()
    assert (host.names(plan.forgotten), plan.removals) == (["a"], ())
    assert "no longer what the last install put there" in plan.warnings[0]


def test_a_recorded_file_is_not_removed_through_a_link_that_took_its_folder(host: Host) -> None:
    host.put("d/a")
    host.record("d")
    host.record("d/a")
    (host.root / "d").rename(host.root / "moved")
    host.put("d", "-> moved")
    plan = host.plan()
    assert plan.removals == ()
    assert host.names(plan.forgotten) == ["d", "d/a"]


def test_paths_of_other_groups_are_never_removed(host: Host) -> None:
    host.put("a")
    host.record("a", group="shop")
    assert host.plan() == InstallPlan()


def test_a_directory_made_for_a_file_that_stays_is_kept(host: Host) -> None:
    host.pack("a")
    host.put("x/a", "a")
    host.record("x")
    host.record("x/a")
    plan = host.plan(("a", "x"))
    assert host.names(plan.kept_directories) == ["x"]
    assert plan.removals == ()


# A file where a directory was, and the other way round.


def test_a_recorded_file_gives_way_to_a_directory(host: Host) -> None:
    host.pack("x/a")
    host.put("x")
    host.record("x")
    plan = host.plan()
    assert host.names(plan.replaced_files) == host.names(plan.directories) == ["x"]
    assert host.names(plan.files) == ["x/a"]
    assert (plan.removals, plan.forgotten) == ((), ())


def test_a_recorded_link_gives_way_to_a_directory_and_is_not_followed(host: Host) -> None:
    host.pack("x/a")
    host.put("real/a")
    host.put("x", "-> real")
    host.record("x")
    plan = host.plan()
    assert host.names(plan.replaced_files) == ["x"]
    assert host.names(plan.files) == ["x/a"]


def test_a_recorded_link_above_a_destination_gives_way_too(host: Host) -> None:
    host.pack("a")
    host.put("real/")
    host.put("x", "-> real")
    host.record("x")
    plan = host.plan(("a", "x/y"))
    assert host.names(plan.directories) == ["x", "x/y"]


def test_a_recorded_tree_gives_way_to_a_file(host: Host) -> None:
    host.pack("x")
    host.put("x/sub/a")
    for name in ("x", "x/sub", "x/sub/a"):
        host.record(name)
    plan = host.plan()
    assert host.names(plan.replaced_trees) == host.names(plan.files) == ["x"]
    assert (plan.removals, plan.forgotten) == ((), ())


# Links on the host.


def test_links_above_a_destination_are_followed(host: Host) -> None:
    host.pack("a")
    host.put("disk/site/")
    host.put("www", "-> disk")
    plan = host.plan(("a", "www/site"))
    assert host.names(plan.files) == ["disk/site/a"]
    assert plan.directories == ()


def test_a_link_of_ours_or_of_root_stands_for_a_directory_of_the_bundle(host: Host) -> None:
    host.pack("media/a")
    host.put("disk/")
    host.put("media", "-> disk")
    assert host.names(host.plan().files) == ["disk/a"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give links away")
def test_a_link_of_somebody_else_above_a_destination_is_followed_with_a_warning(host: Host) -> None:
    host.pack("a")
    host.put("disk/")
    os.chown(host.put("www", "-> disk"), 12345, 12345, follow_symlinks=False)
    plan = host.plan(("a", "www"))
    assert host.names(plan.files) == ["disk/a"]
    assert "a symbolic link of uid 12345" in plan.warnings[0]
