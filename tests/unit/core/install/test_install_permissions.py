"""`permissions` on their way into a plan: which objects they mean and what these get."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.core.acl import access_acl, acl_text, encode_acl
from agent.core.appspec.model import AclEntry, ObjectType, SelinuxContext
from agent.core.deployment import FileExistsBehavior
from agent.core.install_model import Attributes, InstallPlan
from agent.errors import PermissionsError

if TYPE_CHECKING:
    from tests.unit.core.install.conftest import Host

FILE, DIRECTORY = frozenset({ObjectType.FILE}), frozenset({ObjectType.DIRECTORY})
DAEMON = pwd.getpwnam("daemon").pw_uid


def modes(host: Host, plan: InstallPlan) -> dict[str, int | None]:
    found = [(step.path, step.attributes.mode) for step in plan.files]
    found += [(step.path, step.attributes.mode) for step in plan.directories]
    return {os.path.relpath(path, host.path()).decode(): mode for path, mode in found}


def user(name: str, perms: str, *, default: bool = False) -> AclEntry:
    return AclEntry(default=default, kind="user", name=name, perms=perms)


def test_i9_children_at_all_depths_and_not_the_object_itself(host: Host) -> None:
    host.pack("d/a", "d/e/b")
    plan = host.plan(permissions=(host.entry("d", mode=0o700),))
    assert modes(host, plan) == {"d/a": 0o700, "d/e/b": 0o700, "d": None, "d/e": 0o700}


def test_i10_files_at_all_depths(host: Host) -> None:
    host.pack("d/a", "d/e/b")
    plan = host.plan(permissions=(host.entry("d", mode=0o600, types=FILE),))
    assert modes(host, plan) == {"d/a": 0o600, "d/e/b": 0o600, "d": None, "d/e": None}


def test_directories_only(host: Host) -> None:
    host.pack("d/a", "d/e/b")
    plan = host.plan(permissions=(host.entry("", mode=0o711, types=DIRECTORY),))
    assert modes(host, plan) == {"d/a": 0o644, "d/e/b": 0o644, "d": 0o711, "d/e": 0o711}


def test_a_pattern_means_immediate_children(host: Host) -> None:
    host.pack("a.sh", "b.txt", "d/c.sh")
    plan = host.plan(permissions=(host.entry("", mode=0o755, pattern="*.sh", types=FILE),))
    assert modes(host, plan) == {"a.sh": 0o755, "b.txt": 0o644, "d/c.sh": 0o644, "d": None}


def test_except_holds_on_the_first_level_only(host: Host) -> None:
    host.pack("a", "b", "d/a")
    plan = host.plan(permissions=(host.entry("", mode=0o600, types=FILE, except_=("a",)),))
    assert modes(host, plan) == {"a": 0o644, "b": 0o600, "d/a": 0o600, "d": None}


def test_i7_a_file_object_of_type_directory_is_ignored_with_a_warning(host: Host) -> None:
    host.pack("a")
    plan = host.plan(permissions=(host.entry("a", mode=0o600, types=DIRECTORY),))
    assert modes(host, plan) == {"a": 0o644}
    assert plan.warnings == (
        f"permissions at line 9, object '{host.root}/a': means nothing that this install copies or makes",
    )


@pytest.mark.parametrize("name", ["elsewhere", "there", "a/below"])
def test_i11_an_object_not_of_this_install_is_ignored_with_a_warning(host: Host, name: str) -> None:
    host.pack("a")
    host.put("there")
    plan = host.plan(permissions=(host.entry(name, mode=0o600, owner="nosuchuser"),))
    assert modes(host, plan) == {"a": 0o644}
    assert len(plan.warnings) == 1


def test_i12_what_was_there_before_is_never_changed(host: Host) -> None:
    host.pack("d/a", "e/b")
    host.put("d/old")
    plan = host.plan(permissions=(host.entry("", mode=0o600),))
    assert modes(host, plan) == {"d/a": 0o600, "e/b": 0o600, "e": 0o600}
    assert plan.changed == ()


def test_a_retained_file_keeps_its_permissions(host: Host) -> None:
    host.pack("a", "b")
    host.put("a")
    host.behavior = FileExistsBehavior.RETAIN
    plan = host.plan(permissions=(host.entry("", mode=0o600),))
    assert modes(host, plan) == {"b": 0o600}


def test_an_entry_means_a_destination_as_the_appspec_names_it(host: Host) -> None:
    host.pack("a")
    host.put("disk/")
    host.put("www", "-> disk")
    plan = host.plan(("a", "www"), permissions=(host.entry("www", mode=0o600),))
    assert modes(host, plan) == {"disk/a": 0o600}


def test_an_object_in_a_home_directory(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.pack("a")
    home = pwd.getpwuid(os.geteuid()).pw_dir
    facts = host.facts(("a", "~/deploy-agent-test-x/y"))
    assert facts.trees[0].entries[0].named == os.fsencode(home) + b"/deploy-agent-test-x/y/a"


def test_a_mode_sets_special_bits(host: Host) -> None:
    host.pack("a")
    assert modes(host, host.plan(permissions=(host.entry("a", mode=0o4755),))) == {"a": 0o4755}


def test_owner_and_group_become_ids_and_a_missing_half_stays(host: Host) -> None:
    host.pack("a", "b")
    daemon = grp.getgrnam("daemon").gr_gid
    plan = host.plan(permissions=(host.entry("a", owner="daemon"), host.entry("b", group="daemon")))
    owners = [(step.attributes.uid, step.attributes.gid) for step in plan.files]
    assert owners[0][0] == DAEMON
    assert owners[1] == (os.geteuid(), daemon)


def test_a_link_gets_an_owner_and_no_mode(host: Host) -> None:
    host.pack("l", content="-> missing")
    (link,) = host.plan(permissions=(host.entry("", mode=0o600, owner="daemon", acls=()),)).links
    assert (link.attributes.mode, link.attributes.uid, link.attributes.acl) == (None, DAEMON, None)


def test_a_kept_directory_is_changed_where_it_differs(host: Host) -> None:
    host.pack("d/a")
    host.install("d", "d/a")
    (host.root / "d").chmod(0o755)
    (change,) = host.plan(permissions=(host.entry("", mode=0o750, types=DIRECTORY),)).changed
    assert (change.old, change.new) == (Attributes(mode=0o755), Attributes(mode=0o750))


def test_a_kept_directory_that_is_right_is_not_touched(host: Host) -> None:
    host.pack("d/a")
    host.install("d", "d/a")
    (host.root / "d").chmod(0o750)
    assert host.plan(permissions=(host.entry("", mode=0o750, types=DIRECTORY),)).changed == ()


def test_files_that_have_their_permissions_are_unchanged(host: Host) -> None:
    host.pack("a")
    host.install("a")
    (host.root / "a").chmod(0o600)
    assert host.plan(permissions=(host.entry("a", mode=0o600),)).is_noop


# ACLs.


def test_an_acl_is_completed_from_the_final_mode(host: Host) -> None:
    host.pack("a")
    (step,) = host.plan(permissions=(host.entry("a", mode=0o640, acls=(user("daemon", "rw-"),)),)).files
    texts = [str(entry) for entry in step.attributes.acl or ()]
    assert texts == ["user::rw-", f"user:{DAEMON}:rw-", "group::r--", "mask::r--", "other::---"]


def test_an_acl_that_is_there_leaves_the_file_unchanged(host: Host) -> None:
    host.pack("a")
    host.install("a")
    acls = (user("daemon", "rw-"),)
    wanted = host.plan(permissions=(host.entry("a", acls=acls),)).files[0].attributes.acl
    assert wanted is not None
    os.setxattr(host.path("a"), "system.posix_acl_access", encode_acl(wanted))
    host.record("a", acl="recorded")
    assert host.plan(permissions=(host.entry("a", acls=acls),)).is_noop


def test_an_empty_acl_resets_to_the_mode(host: Host) -> None:
    host.pack("a", "b")
    host.install("a", "b")
    extra = (AclEntry(default=False, kind="user", name="1", perms="r--"),)
    os.setxattr(host.path("a"), "system.posix_acl_access", encode_acl(access_acl(extra, 0o644)))
    plan = host.plan(permissions=(host.entry("", acls=()),))
    assert host.names(plan.files) == ["a"]
    assert host.names(plan.unchanged) == ["b"]
    assert [str(entry) for entry in plan.files[0].attributes.acl or ()] == ["user::rw-", "group::r--", "other::r--"]


def test_a_default_acl_goes_on_directories(host: Host) -> None:
    host.pack("d/a")
    plan = host.plan(permissions=(host.entry("", types=DIRECTORY, acls=(user("daemon", "rwx", default=True),)),))
    texts = [str(entry) for entry in plan.directories[0].attributes.default_acl or ()]
    assert texts == [
        "default:user::rwx",
        f"default:user:{DAEMON}:rwx",
        "default:group::r-x",
        "default:mask::r-x",
        "default:other::r-x",
    ]


def test_an_acl_no_longer_asked_for_is_taken_from_a_kept_directory(host: Host) -> None:
    host.pack("d/a")
    host.install("d", "d/a")
    (host.root / "d").chmod(0o750)
    acl = access_acl((AclEntry(default=False, kind="user", name="1", perms="rwx"),), 0o750)
    os.setxattr(host.path("d"), "system.posix_acl_access", encode_acl(acl))
    os.setxattr(host.path("d"), "system.posix_acl_default", encode_acl(acl))
    host.record("d", acl="user:1:rwx,default:user:1:rwx")
    (change,) = host.plan().changed
    assert change.old.acl == acl
    assert [str(entry) for entry in change.new.acl or ()] == ["user::rwx", "group::r-x", "other::---"]
    assert change.new.default_acl == ()


@pytest.mark.parametrize(
    ("acls", "problem"),
    [
        ((user("nosuchuser", "r--"),), "ACL entry 'user:nosuchuser:r--': no such user on this host"),
        ((user("root", "r--"), user("0", "rw-")), "two ACL entries for the same user (user:0:rw-)"),
        ((user("9" * 5000, "r--"),), "no such user on this host"),
    ],
)
def test_acl_entries_that_cannot_be_set_are_told(host: Host, acls: tuple[AclEntry, ...], problem: str) -> None:
    host.pack("a")
    with pytest.raises(PermissionsError) as caught:
        host.plan(permissions=(host.entry("a", acls=acls),))
    assert problem in caught.value.message


# SELinux labels.


@pytest.mark.skipif(Path("/sys/fs/selinux/status").exists(), reason="SELinux is enabled on this machine")
def test_a_context_on_a_host_without_selinux_is_refused(host: Host) -> None:
    host.pack("a")
    with pytest.raises(PermissionsError, match="SELinux is not enabled on this host"):
        host.plan(permissions=(host.entry("a", context=SelinuxContext(type="httpd_sys_content_t")),))


def test_a_rule_of_an_earlier_revision_goes(host: Host) -> None:
    host.pack("a")
    host.install("a")
    host.record("a", context="system_u:object_r:etc_t:s0")
    assert host.plan().selinux_rules_removed == (host.path("a"),)


@pytest.mark.parametrize("field", ["acl", "context"])
def test_a_kept_directory_forgets_what_is_not_asked_for_any_more(host: Host, field: str) -> None:
    host.pack("d/a")
    host.install("d", "d/a")
    host.record("d", **{field: "something"})
    (record,) = host.plan().refreshed
    assert (record.path, record.acl, record.context) == (host.path("d"), None, None)


def test_a_kept_file_whose_acl_is_right_already_is_recorded_with_it(host: Host) -> None:
    host.pack("a")
    host.install("a")
    acl = access_acl((AclEntry(default=False, kind="user", name="1", perms="r--"),), 0o644)
    os.setxattr(host.path("a"), "system.posix_acl_access", encode_acl(acl))
    host.record("a")
    plan = host.plan(permissions=(host.entry("a", acls=(user("1", "r--"),)),))
    assert plan.is_noop
    assert [record.acl for record in plan.refreshed] == [acl_text(acl, None)]
