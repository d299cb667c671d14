"""Whatever an archive says, nothing outside its folder changes, and what cannot be unpacked leaves nothing."""

import io
import os
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.revision import BundleType
from agent.errors import BundleError
from agent.host.archive import UnpackOptions, unpack
from agent.host.archive.links import leaves_tree

FILE, SYMLINK, HARDLINK, FOLDER = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
Members = list[tuple[str, bytes, str]]

PARTS = st.sampled_from(["a", "b", "c", "..", ".", "", "d\udcff", "n\nl", "A", "outside"])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
MEMBERS = st.lists(
    st.tuples(NAMES, st.sampled_from([FILE, FOLDER, SYMLINK, HARDLINK, tarfile.FIFOTYPE]), NAMES),
    max_size=8,
)


def tar_of(members: Members) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        for name, kind, target in members:
            info = tarfile.TarInfo(name or "empty")
            info.type, info.linkname = kind, target
            content = target.encode("utf-8", "surrogateescape") if info.isreg() else b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(members: Members) -> bytes:
    kinds = {FOLDER: stat.S_IFDIR, SYMLINK: stat.S_IFLNK, tarfile.FIFOTYPE: stat.S_IFIFO}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for position, (name, kind, target) in enumerate(members):
            info = zipfile.ZipInfo(f"{position}")
            info.filename = info.orig_filename = (name or "empty").encode("utf-8", "replace").decode()
            info.create_system = 3
            info.external_attr = (kinds.get(kind, stat.S_IFREG) | 0o755) << 16
            archive.filelist.append(info)
            info.header_offset = buffer.tell()
            content = b"" if kind == FOLDER else target.encode("utf-8", "replace")
            info.file_size = info.compress_size = len(content)
            info.CRC = zipfile.crc32(content)  # type: ignore[attr-defined] # zlib's, as zipfile imports it
            buffer.write(info.FileHeader() + content)
        archive.start_dir = buffer.tell()
        archive._didModify = True  # type: ignore[attr-defined] # writes the directory of what we wrote ourselves
    return buffer.getvalue()


def check_confined(data: bytes, bundle_type: BundleType, *, keep_outward_links: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        (base / "outside").mkdir()
        (base / "outside/sentinel").write_text("untouched")
        (base / "bundle").write_bytes(data)
        before = {path: path.stat() for path in [base / "outside", base / "outside/sentinel", base / "bundle"]}
        into = base / "room/into"
        into.parent.mkdir()
        unpacked = True
        try:
            unpack(base / "bundle", bundle_type, into, UnpackOptions(keep_outward_links=keep_outward_links))
        except BundleError:
            unpacked = False
        assert sorted(os.listdir(base)) == ["bundle", "outside", "room"]
        assert os.listdir(base / "room") == (["into"] if unpacked else [])
        assert os.listdir(base / "outside") == ["sentinel"]
        for path, status in before.items():
            now = path.stat()
            assert (now.st_mode, now.st_mtime_ns, now.st_ctime_ns) == (
                status.st_mode, status.st_mtime_ns, status.st_ctime_ns,
            )  # fmt: skip
        if unpacked and not keep_outward_links:
            for folder, folders, files in os.walk(into):
                for entry in folders + files:
                    real = os.path.realpath(os.path.join(folder, entry))
                    assert real == str(into) or real.startswith(f"{into}/")


@settings(deadline=None, max_examples=80)
@given(members=MEMBERS, keep=st.booleans())
def test_no_tar_writes_outside_its_folder(members: Members, keep: bool) -> None:
    check_confined(tar_of(members), BundleType.TAR, keep_outward_links=keep)


@settings(deadline=None, max_examples=100)
@given(members=MEMBERS, keep=st.booleans())
def test_no_zip_writes_outside_its_folder(members: Members, keep: bool) -> None:
    check_confined(zip_of(members), BundleType.ZIP, keep_outward_links=keep)


def unpack_tar(tmp_path: Path, members: Members) -> None:
    (tmp_path / "bundle.tar").write_bytes(tar_of(members))
    unpack(tmp_path / "bundle.tar", BundleType.TAR, tmp_path / "into")


def test_the_zips_made_here_are_zips(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes(zip_of([("a/b", FILE, "content"), ("a/l", SYMLINK, "b")]))
    unpack(tmp_path / "bundle", BundleType.ZIP, tmp_path / "into")
    assert (tmp_path / "into/a/l").read_text() == "content"


@pytest.mark.parametrize(
    ("members", "message", "hint"),
    [
        ([("../x", FILE, "")], "member '../x': its name leads out", "pack the bundle from within"),
        ([("/etc/x", FILE, "")], "member '/etc/x': its name is absolute", "pack the bundle from within"),
        ([("l", SYMLINK, "/etc")], "member 'l': is a symbolic link to '/etc', which leads out", "relative path"),
        ([("d/l", SYMLINK, "../../x")], "member 'd/l': is a symbolic link to '../../x'", "relative path"),
        ([("a", SYMLINK, "b"), ("a/x", FILE, "")], "lies below 'a', which is a symbolic link", "through links"),
        ([("a", FILE, ""), ("a/x", FILE, "")], "lies below 'a', which is a file", "one of the two"),
        ([("a/x", FILE, ""), ("a", FILE, "")], "place of a folder that is not empty", "one of the two"),
        ([("h", HARDLINK, "later")], "member 'h': is a hard link to 'later', which is no file", "earlier member"),
        ([("h", HARDLINK, "../out")], "member '../out': its name leads out", "pack the bundle from within"),
        ([("/".join("a" * 300), FILE, "")], "more than 200 folders", "shorter name"),
    ],
)  # fmt: skip
def test_what_would_leave_the_folder_is_refused_by_name(
    tmp_path: Path, members: Members, message: str, hint: str
) -> None:
    with pytest.raises(BundleError) as caught:
        unpack_tar(tmp_path, members)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert os.listdir(tmp_path) == ["bundle.tar"]


def test_links_that_leave_only_by_way_of_another_link_are_seen() -> None:
    links = {b"a/b/up": b"../..", b"sly": b"a/b/up/../x"}
    assert leaves_tree(b"sly", links)
    assert not leaves_tree(b"a/b/up", links)


def test_a_link_out_of_the_bundle_is_kept_where_the_host_allows_it(tmp_path: Path) -> None:
    (tmp_path / "bundle.tar").write_bytes(tar_of([("storage", SYMLINK, "/var/www/shared")]))
    unpack(tmp_path / "bundle.tar", BundleType.TAR, tmp_path / "into", UnpackOptions(keep_outward_links=True))
    assert (tmp_path / "into/storage").readlink() == Path("/var/www/shared")


def test_links_in_a_circle_lead_nowhere_and_are_kept(tmp_path: Path) -> None:
    unpack_tar(tmp_path, [("a", SYMLINK, "b"), ("b", SYMLINK, "a")])
    assert (tmp_path / "into/a").readlink() == Path("b")


def test_a_symlink_may_lead_into_the_stripped_folder_only(tmp_path: Path) -> None:
    members = [("top/appspec.yml", FILE, ""), ("top/link", SYMLINK, "../top/appspec.yml")]
    with pytest.raises(BundleError, match="member 'top/link': is a symbolic link"):
        unpack_tar(tmp_path, members)


def test_a_leading_dot_is_no_folder(tmp_path: Path) -> None:
    unpack_tar(tmp_path, [("./", FOLDER, ""), ("./a/./b", FILE, "")])
    assert (tmp_path / "into/a/b").is_file()


def in_child_without_rights(work: Callable[[], None]) -> int:
    """Run `work` as uid 65534; its exit status is 0 when it returns."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def open_room() -> object:
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


def test_read_only_folders_are_unpacked_without_being_root(open_room: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, mode in [
            ("ro", FOLDER, 0o555),
            ("ro/in", FOLDER, 0o500),
            ("ro/in/file", FILE, 0o400),
        ]:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, mode, 1_500_000_000
            archive.addfile(info)
    (open_room / "bundle").write_bytes(buffer.getvalue())
    assert in_child_without_rights(lambda: check(unpack(open_room / "bundle", BundleType.TAR, open_room / "into"))) == 0
    assert stat.S_IMODE((open_room / "into/ro/in").stat().st_mode) == 0o500
    assert (open_room / "into/ro").stat().st_mtime == 1_500_000_000


def test_a_failure_without_being_root_leaves_no_read_only_debris(open_room: Path) -> None:
    (open_room / "bundle").write_bytes(tar_of([("ro", FOLDER, ""), ("ro/x", FILE, ""), ("l", SYMLINK, "/")]))

    def work() -> None:
        with pytest.raises(BundleError):
            unpack(open_room / "bundle", BundleType.TAR, open_room / "into")

    assert in_child_without_rights(work) == 0
    assert os.listdir(open_room) == ["bundle"]


def test_owners_cannot_be_restored_without_being_root(open_room: Path) -> None:
    (open_room / "bundle").write_bytes(tar_of([("x", FILE, "")]))

    def work() -> None:
        with pytest.raises(BundleError, match="member 'x': .*Operation not permitted") as caught:
            unpack(open_room / "bundle", BundleType.TAR, open_room / "into", UnpackOptions(restore_ownership=True))
        assert caught.value.hint == "only root may restore owners"

    assert in_child_without_rights(work) == 0


def check(files: object) -> None:
    assert files
