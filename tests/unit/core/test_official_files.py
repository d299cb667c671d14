"""The official agent's cleanup and instruction files, as text."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.appspec.model import AclEntry
from agent.core.install_model import (
    Attributes,
    InstallPlan,
    Kind,
    MakeDirectory,
    Recorded,
    Remove,
    SetAttributes,
    WriteFile,
)
from agent.core.official_files import cleanup_text, instructions_text, owned_paths, parse_cleanup


def record(path: bytes, group_id: str = "blog") -> Recorded:
    return Recorded(
        path=path, group_id=group_id, deployment_id="d-1", kind=Kind.FILE, mode=0o644, uid=0, gid=0, size=0, mtime_ns=0,
        ino=1, ctime_ns=0, sha256=None, acl=None, context=None,
    )  # fmt: skip


def test_folders_stand_before_what_is_in_them() -> None:
    text, left_out = cleanup_text([b"/s/d/x", b"/s/d", b"/s/d-e", b"/s"], [])
    assert text == b"/s\n/s/d\n/s/d-e\n/s/d/x\n"
    assert left_out == ()


def test_labelled_paths_get_a_line_of_their_own() -> None:
    text, _ = cleanup_text([b"/s/a"], [b"/s/a"])
    assert text == b"/s/a\nsemanage\0/s/a\n"


def test_names_that_do_not_fit_a_line_are_left_out() -> None:
    odd = [b"/s/a\nb", b"/s/trailing ", b"/s/\xff", b"/s/cr\rx"]
    assert cleanup_text(odd, odd) == (b"", tuple(sorted(odd)))


def test_parsing_drops_a_last_line_that_was_cut_short() -> None:
    assert parse_cleanup(b"/s/a\n  /s/b \n\nrelative\nsemanage\0/s/a\n/s/cu") == (b"/s/a", b"/s/b")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(min_size=1, max_size=12).map(lambda name: b"/s/" + name.replace(b"\0", b"0")), unique=True))
def test_what_is_written_is_read_back(paths: list[bytes]) -> None:
    text, left_out = cleanup_text(paths, paths)
    assert sorted((*parse_cleanup(text), *left_out)) == sorted(paths)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_any_cleanup_file_parses_to_absolute_paths(text: bytes) -> None:
    assert all(path.startswith(b"/") and b"\0" not in path for path in parse_cleanup(text))


def test_instructions_have_the_official_form() -> None:
    acl = (AclEntry(default=False, kind="user", name="1", perms="rwx"),)
    context = "system_u:object_r:httpd_sys_content_t:s0"
    plan = InstallPlan(
        directories=(MakeDirectory(path=b"/s", attributes=Attributes(mode=0o755)),),
        files=(
            WriteFile(
                path=b"/s/\xff'\"",
                source=b"/r/a",
                size=1,
                sha256=None,
                attributes=Attributes(mode=0o640, acl=acl, context=context),
            ),
        ),
        changed=(SetAttributes(path=b"/s/b", kind=Kind.FILE, old=Attributes(mode=0o600), new=Attributes(mode=0o4755)),),
    )
    file = "/s/\\xff'\""
    assert json.loads(instructions_text(plan)) == {
        "instructions": [
            {"type": "mkdir", "directory": "/s"},
            {"type": "copy", "source": "/r/a", "destination": file},
            {"type": "chmod", "mode": "4755", "file": "/s/b"},
            {"type": "setfacl", "acl": ["user:1:rwx"], "file": file},
            {
                "type": "semanage",
                "context": {"user": "system_u", "role": None, "type": "httpd_sys_content_t", "range": "s0"},
                "file": file,
            },
        ]
    }


def test_a_group_owns_what_it_had_and_gets_and_not_what_goes() -> None:
    plan = InstallPlan(
        directories=(MakeDirectory(path=b"/s/new", attributes=Attributes()),),
        removals=(Remove(path=b"/s/gone", kind=Kind.FILE),),
        replaced_trees=frozenset({b"/s/tree"}),
        forgotten=(b"/s/forgotten",),
        refreshed=(record(b"/s/adopted"),),
    )
    recorded = [record(b"/s/" + name) for name in (b"gone", b"forgotten", b"tree/x", b"kept")]
    owned = owned_paths(plan, [*recorded, record(b"/s/theirs", "other")], "blog")
    assert owned == {b"/s/new", b"/s/adopted", b"/s/kept"}
