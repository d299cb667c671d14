"""`permissions` as pure values: matching by name, labels, and entries that claim one object twice."""

import pytest

from agent.core.appspec.model import ObjectType, PermissionEntry, Position, SelinuxContext
from agent.core.install_model import Attributes, Kind
from agent.core.permissions import Names, Override, Target, apply_override, resolve_permissions

NAMES = Names(users={"www": 33}, groups={"adm": 4}, homes={"": b"/root"}, cwd=b"/work", has_selinux=True)
TARGETS = tuple(
    Target(b"/real" + name, name, kind)
    for name, kind in [
        (b"/a", Kind.DIRECTORY),
        (b"/a/b", Kind.FILE),
        (b"/a/.hid", Kind.FILE),
        (b"/a/x.sh", Kind.FILE),
        (b"/a/x.sh.bak", Kind.FILE),
        (b"/a/d", Kind.DIRECTORY),
        (b"/a/d/c", Kind.FILE),
        (b"/a/l", Kind.SYMLINK),
        (b"/ab", Kind.FILE),
        (b"/work/f", Kind.FILE),
        (b"/root/f", Kind.FILE),
    ]
)


def entry(line: int = 1, **values: object) -> PermissionEntry:
    return PermissionEntry(position=Position(line=line, column=1), **{"object": "/a", "mode": 0o600, **values})  # type: ignore[arg-type]


def matched(**values: object) -> list[bytes]:
    found = resolve_permissions([entry(1, **values)], TARGETS, NAMES)
    assert found.problems == ()
    return sorted(path.removeprefix(b"/real") for path in found.overrides)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, [b"/a/.hid", b"/a/b", b"/a/d", b"/a/d/c", b"/a/l", b"/a/x.sh", b"/a/x.sh.bak"]),
        ({"pattern": "*"}, [b"/a/.hid", b"/a/b", b"/a/d", b"/a/l", b"/a/x.sh", b"/a/x.sh.bak"]),
        ({"pattern": "*.sh"}, [b"/a/x.sh"]),
        ({"pattern": "?"}, []),
        ({"pattern": "d/c"}, []),
        ({"pattern": "**c"}, []),
        ({"pattern": ""}, []),
        ({"types": frozenset({ObjectType.DIRECTORY})}, [b"/a/d"]),
        ({"types": frozenset()}, []),
        ({"except_": ("x*", "d", "c")}, [b"/a/.hid", b"/a/b", b"/a/d/c", b"/a/l"]),
        ({"object": "/a/b"}, [b"/a/b"]),
        ({"object": "/a/./d/../b"}, [b"/a/b"]),
        ({"object": "/a/"}, [b"/a/.hid", b"/a/b", b"/a/d", b"/a/d/c", b"/a/l", b"/a/x.sh", b"/a/x.sh.bak"]),
        ({"object": "//a"}, []),
        ({"object": "f"}, [b"/work/f"]),
        ({"object": "~/f"}, [b"/root/f"]),
        ({"object": "/", "pattern": "*"}, [b"/a", b"/ab"]),
    ],
)
def test_an_entry_means(values: dict[str, object], names: list[bytes]) -> None:
    assert matched(**values) == names


def test_an_object_in_the_home_of_nobody_is_a_problem() -> None:
    problems = resolve_permissions([entry(object="~nobody-here/x")], TARGETS, NAMES).problems
    assert "user 'nobody-here' has no home directory here" in problems[0]


def test_each_object_of_two_entries_is_told_with_the_lines_of_both() -> None:
    found = resolve_permissions([entry(3), entry(8, pattern="x*")], TARGETS, NAMES)
    assert found.problems == (
        "permissions: /a/x.sh is meant by more than one entry (lines 3, 8)",
        "permissions: /a/x.sh.bak is meant by more than one entry (lines 3, 8)",
    )


def test_owner_and_group_are_looked_up_by_name() -> None:
    found = resolve_permissions([entry(object="/ab", owner="www", group="adm")], TARGETS, NAMES)
    assert found.overrides[b"/real/ab"] == Override(mode=0o600, uid=33, gid=4)


@pytest.mark.parametrize(
    ("context", "label"),
    [
        (SelinuxContext(type="etc_t"), "system_u:object_r:etc_t:s0"),
        (SelinuxContext(type="etc_t", user="u", range="s0-s1:c0.c3"), "u:object_r:etc_t:s0-s1:c0.c3"),
    ],
)
def test_a_context_becomes_a_full_label(context: SelinuxContext, label: str) -> None:
    found = resolve_permissions([entry(object="/ab", context=context)], TARGETS, NAMES)
    assert found.overrides[b"/real/ab"].context == label


def test_what_an_entry_leaves_out_stays() -> None:
    base = Attributes(mode=0o640, uid=1, gid=2, mtime_ns=3)
    changed = apply_override(base, Override(gid=9), Kind.FILE, fresh_mode=0o640)
    assert changed == Attributes(mode=0o640, uid=1, gid=9, mtime_ns=3)
