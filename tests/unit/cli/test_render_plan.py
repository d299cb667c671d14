"""How a plan is shown."""

import os
from pathlib import Path

from agent.cli.content_diff import MAX_BYTES, content_lines
from agent.cli.render_plan import Mark, change_line, path_changes, plan_lines, plan_object
from agent.core.install_model import (
    Attributes,
    InstallPlan,
    Kind,
    MakeDirectory,
    Remove,
    SetAttributes,
    WriteFile,
    WriteLink,
)
from agent.deploy.dry_run import DryRun

PLAIN = Attributes(mode=0o644)


def write(path: Path, source: Path) -> WriteFile:
    return WriteFile(path=os.fsencode(path), source=os.fsencode(source), size=4, sha256=None, attributes=PLAIN)


def test_every_kind_of_change_has_its_sign_in_the_order_of_paths(tmp_path: Path) -> None:
    www = tmp_path / "www"
    (tmp_path / "old").touch()
    plan = InstallPlan(
        directories=(MakeDirectory(path=os.fsencode(www), attributes=PLAIN),),
        files=(write(www / "new", tmp_path / "x"), write(tmp_path / "old", tmp_path / "x")),
        links=(WriteLink(path=os.fsencode(www / "link"), target=b"\xff", attributes=PLAIN),),
        changed=(
            SetAttributes(
                path=b"/a", kind=Kind.FILE, old=Attributes(mode=0o644, uid=0), new=Attributes(mode=0o600, uid=1)
            ),
        ),
        removals=(Remove(path=os.fsencode(www / "zzz"), kind=Kind.FILE),),
        unchanged=(b"/same",),
        retained=(b"/theirs",),
    )
    assert list(plan_lines(DryRun(plan=plan, scripts=(), problems=()))) == [
        "p /a  mode 0644 -> 0600, uid 0 -> 1",
        f"~ {tmp_path}/old  4 B",
        f"+ {www}/",
        rf"+ {www}/link  -> \xff",
        f"+ {www}/new  4 B",
        f"- {www}/zzz",
        "= /theirs  retained, it is not this group's",
        "Files: 3 to add, 1 to replace, 1 to get other permissions, 1 to remove, 1 unchanged, 1 retained; 8 B to write",
    ]


def test_a_plan_that_changes_nothing_says_so() -> None:
    dry_run = DryRun(plan=InstallPlan(unchanged=(b"/a",)), scripts=(), problems=())
    assert list(plan_lines(dry_run))[-1] == "Install would change nothing"
    assert plan_object(dry_run)["is_noop"] is True


def test_small_text_files_are_compared_line_by_line(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.write_text("a\nb\n")
    there.write_text("a\n\x1b[2Jc\n")
    (change,) = path_changes(InstallPlan(files=(write(here, there),)))
    assert change.mark is Mark.REPLACE
    assert change_line(change) == f"~ {here}  4 B"
    assert list(content_lines(change)) == [
        f"--- {here} (here)",
        f"+++ {here} (revision)",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]


def test_large_and_binary_files_are_only_named(tmp_path: Path) -> None:
    here, large, binary = tmp_path / "here", tmp_path / "large", tmp_path / "binary"
    large.write_bytes(b"x" * (MAX_BYTES + 1))
    binary.write_bytes(b"a\0b")
    for source in (large, binary):
        (change,) = path_changes(InstallPlan(files=(write(here, source),)))
        assert list(content_lines(change)) == [f"Content of {here} differs (not a small text file)"]
