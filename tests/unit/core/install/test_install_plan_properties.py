"""Whatever the AppSpec, the bundle, the host and the records: a plan or an InstallError, and nothing taken too much."""

import posixpath

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.appspec.model import AppSpec, FileMapping, PermissionEntry, Position
from agent.core.deployment import FileExistsBehavior
from agent.core.install_claims import LEAVES
from agent.core.install_facts import Contents, Entry, Folder, Found, HostFacts, InstallRequest, MappedTree
from agent.core.install_model import InstallPlan, Kind, Recorded
from agent.core.install_plan import plan_install
from agent.errors import InstallError

P = Position(line=1, column=1)
NAMES = (b"a", b"b", b"c\n")
PATHS = [b"/d", *(b"/d/" + x for x in NAMES), *(b"/d/" + x + b"/" + y for x in NAMES for y in NAMES)]


def found(kind: Kind, size: int, uid: int) -> Found:
    return Found(kind, 0o644, uid, 0, size, 1, 1, 1, 1, b"t" if kind is Kind.SYMLINK else None)


founds = st.builds(found, st.sampled_from(Kind), st.integers(0, 1), st.sampled_from([0, 7]))


def recorded(path: bytes, kind: Kind, group: str, label: str | None) -> Recorded:
    return Recorded(
        path=path,
        group_id=group,
        deployment_id="d-1",
        kind=kind,
        mode=0o644,
        uid=0,
        gid=0,
        size=1,
        mtime_ns=1,
        ino=1,
        ctime_ns=1,
        sha256=b"x",
        acl=None,
        context=label,
    )


@st.composite
def records(draw: st.DrawFn) -> dict[bytes, Recorded]:
    kinds = st.sampled_from([Kind.FILE, Kind.SYMLINK, Kind.DIRECTORY])
    paths = draw(st.sets(st.sampled_from(PATHS)))
    groups, labels = st.sampled_from(["g", "g", "other"]), st.sampled_from([None, None, "u:r:t:s0"])
    return {path: recorded(path, draw(kinds), draw(groups), draw(labels)) for path in sorted(paths)}


def drop_orphans(tree: dict[bytes, Found]) -> dict[bytes, Found]:
    """Only directories hold anything."""
    kept: dict[bytes, Found] = {}
    for path in sorted(tree):
        parent = kept.get(posixpath.dirname(path))
        if path == b"/d" or (parent is not None and parent.kind is Kind.DIRECTORY):
            kept[path] = tree[path]
    return kept


@st.composite
def worlds(draw: st.DrawFn) -> tuple[InstallRequest, HostFacts]:
    records_ = draw(records())
    present = drop_orphans(draw(st.dictionaries(st.sampled_from(PATHS), founds)))
    trees = []
    for _ in range(draw(st.integers(0, 2))):
        bundle = drop_orphans(
            {b"/d": found(Kind.DIRECTORY, 0, 0), **draw(st.dictionaries(st.sampled_from(PATHS), founds))}
        )
        entries = tuple(Entry(path, path, b"/s" + path, at, b"x") for path, at in bundle.items() if path != b"/d")
        mapping = FileMapping(source="/", destination="/d", position=P)
        trees.append(MappedTree(mapping=mapping, folders=(Folder(b"/d", b"/d"),), entries=entries))
    permission = st.builds(
        PermissionEntry,
        object=st.sampled_from(["/d", "/d/a", "/", "d", "~x"]),
        pattern=st.sampled_from(["**", "*", "b"]),
        mode=st.sampled_from([None, 0o4755]),
        owner=st.sampled_from([None, "root", "nosuch"]),
        position=st.just(P),
    )
    request = InstallRequest(
        appspec=AppSpec(permissions=tuple(draw(st.lists(permission, max_size=2)))),
        behavior=draw(st.sampled_from(FileExistsBehavior)),
        group_id="g",
        deployment_id="d-2",
        archive=b"/s",
        cwd=b"/",
        recorded=records_,
    )
    contents = {
        path: Contents(paths=tuple(other for other in present if other.startswith(path + b"/")), is_complete=True)
        for path, at in present.items()
        if at.kind is Kind.DIRECTORY
    }
    digests = {path: b"x" for path in present if draw(st.booleans())}
    facts = HostFacts(trees=tuple(trees), present=present, contents=contents, digests=digests, users={"root": 0})
    return request, facts


def planned(world: tuple[InstallRequest, HostFacts]) -> InstallPlan:
    try:
        return plan_install(*world)
    except InstallError as exc:
        assert exc.message
        assert exc.hint
        assert exc.problems
        return InstallPlan()


def written(plan: InstallPlan) -> set[bytes]:
    return {step.path for step in plan.files} | {step.path for step in plan.links}


@settings(deadline=None, max_examples=100)
@given(worlds())
def test_removals_are_recorded_for_this_group_with_the_kind_that_is_there(
    world: tuple[InstallRequest, HostFacts],
) -> None:
    request, facts = world
    for step in planned(world).removals:
        record = request.ours(step.path)
        assert record is not None
        assert record.kind is step.kind is facts.present[step.path].kind


@settings(deadline=None, max_examples=100)
@given(worlds())
def test_a_path_has_one_fate(world: tuple[InstallRequest, HostFacts]) -> None:
    plan = planned(world)
    groups: list[tuple[bytes, ...]] = [
        tuple(step.path for step in plan.directories),
        tuple(step.path for step in plan.files),
        tuple(step.path for step in plan.links),
        tuple(step.path for step in plan.removals),
        tuple(step.path for step in plan.changed if step.kind is Kind.FILE),
        plan.unchanged,
        plan.kept_directories,
        plan.retained,
    ]
    paths = [path for group in groups for path in group]
    assert len(paths) == len(set(paths))
    assert not set(plan.forgotten) & (set(paths) - set(plan.retained))


@settings(deadline=None, max_examples=100)
@given(worlds())
def test_nothing_of_others_is_lost_unless_overwriting(world: tuple[InstallRequest, HostFacts]) -> None:
    request, facts = world
    plan = planned(world)
    lost = {path for path in written(plan) | {step.path for step in plan.directories} if path in facts.present}
    lost |= {path for tree in plan.replaced_trees for path in facts.contents[tree].paths}
    for path in lost:
        record = request.ours(path)
        is_ours = record is not None and (record.kind in LEAVES) is (facts.present[path].kind in LEAVES)
        assert is_ours or request.behavior is FileExistsBehavior.OVERWRITE
        assert is_ours or facts.present[path].kind in LEAVES


@settings(deadline=None, max_examples=100)
@given(worlds())
def test_every_parent_of_what_is_written_will_be_a_directory(world: tuple[InstallRequest, HostFacts]) -> None:
    _, facts = world
    plan = planned(world)
    made = {step.path for step in plan.directories}
    leaves = written(plan)
    for path in made | leaves:
        parent = posixpath.dirname(path)
        assert parent == b"/" or parent in made or facts.present[parent].kind is Kind.DIRECTORY
        assert parent not in leaves
