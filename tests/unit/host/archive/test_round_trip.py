"""Any honest tree that is packed comes out as it was."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.revision import BundleType
from agent.host.archive import UnpackOptions, copy_folder, unpack

Snapshot = Callable[[Path], Mapping[bytes, tuple[object, ...]]]

NAMES = st.binary(min_size=1, max_size=120).map(lambda name: b"n" + name.replace(b"/", b"_").replace(b"\0", b"0"))
MTIMES = st.integers(0, 4_000_000_000_000_000_000)
FILES = st.tuples(st.just("file"), st.binary(max_size=3000), st.integers(0, 0o777), MTIMES)
LINKS = st.tuples(st.just("link"), NAMES, st.just(0), MTIMES)
TREES = st.recursive(
    st.dictionaries(NAMES, FILES | LINKS, max_size=4),
    lambda below: st.dictionaries(
        NAMES, FILES | LINKS | st.tuples(st.just("folder"), below, st.integers(0, 0o777), MTIMES), max_size=4
    ),
    max_leaves=12,
)


def build(folder: bytes, tree: Mapping[bytes, tuple[str, object, int, int]]) -> None:
    for name, (kind, content, mode, mtime) in tree.items():
        path = os.path.join(folder, name)
        if kind == "link":
            assert isinstance(content, bytes)
            os.symlink(content, path)
        elif kind == "folder":
            assert isinstance(content, dict)
            os.mkdir(path)
            build(path, content)
            os.chmod(path, mode | 0o700)
        else:
            assert isinstance(content, bytes)
            with open(path, "wb") as file:
                file.write(content)
            os.chmod(path, mode | 0o400)
        os.utime(path, ns=(mtime, mtime), follow_symlinks=False)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_trees_come_out_of_a_tar_and_of_a_copy_as_they_were(
    snapshot: Snapshot, tree: dict[bytes, tuple[str, object, int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        (base / "source").mkdir()
        build(os.fsencode(base / "source"), tree)
        subprocess.run(["tar", "--format=posix", "-cf", base / "bundle", "-C", base / "source", "."], check=True)
        unpack(base / "bundle", BundleType.TAR, base / "unpacked")
        copy_folder(base / "source", base / "copied", options=UnpackOptions())
        expected = snapshot(base / "source")
        assert snapshot(base / "unpacked") == expected
        assert snapshot(base / "copied") == expected
