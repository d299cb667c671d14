"""What a tar holds is what lies on disk afterwards."""

import hashlib
import os
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from agent.core.revision import BundleType
from agent.errors import BundleError
from agent.host.archive import UnpackOptions, unpack

Snapshot = Callable[[Path], Mapping[bytes, tuple[object, ...]]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with everything a bundle may hold."""
    root = tmp_path / "source"
    (root / "bin").mkdir(parents=True)
    (root / "appspec.yml").write_text("version: 0.0\n")
    (root / "bin/run").write_bytes(b"#!/bin/sh\n")
    (root / "bin/run").chmod(0o755)
    (root / "bin/again").hardlink_to(root / "bin/run")
    (root / "bin/link").symlink_to("../appspec.yml")
    (root / "dangling").symlink_to("nowhere")
    (root / "empty folder").mkdir(mode=0o700)
    (root / ("long-" * 30)).mkdir()
    (root / ("long-" * 30) / ("name-" * 40)).write_bytes(b"deep")
    (root / "read only").mkdir()
    (root / "read only/secret").write_bytes(b"x" * 5000)
    (root / "read only/secret").chmod(0o400)
    for name in (b"caf\xe9", b"new\nline", b"-dash", b"quote'\"", "grün".encode()):
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(name)
    os.utime(root / "appspec.yml", ns=(1, 1_234_567_890_123_456_789))
    (root / "read only").chmod(0o555)
    os.utime(root / "read only", ns=(1, 1_111_111_111_000_000_000))
    return root


@pytest.mark.parametrize("dialect", ["gnu", "posix"])
@pytest.mark.parametrize("compress", ["", "--gzip", "--bzip2", "--xz", "--zstd"])
def test_what_tar_packed_comes_out_the_same(
    tree: Path, tmp_path: Path, snapshot: Snapshot, dialect: str, compress: str
) -> None:
    bundle = tmp_path / "bundle"
    argv = ["tar", "-cf", str(bundle), f"--format={dialect}", "-C", str(tree), "."]
    subprocess.run([*argv, *filter(None, [compress])], check=True)
    types = {"": "tar", "--gzip": "tgz", "--bzip2": "bz2", "--xz": "xz", "--zstd": "zst"}
    into = tmp_path / "into"
    unpack(bundle, BundleType(types[compress]), into)
    expected, actual = snapshot(tree), snapshot(into)
    if dialect == "gnu":  # keeps whole seconds only
        expected, actual = (
            {path: (mode, int(str(mtime)) // 10**9, content) for path, (mode, mtime, content) in entries.items()}
            for entries in (expected, actual)
        )
    assert actual == expected


def test_every_file_is_returned_with_its_digest_and_final_status(tree: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-cf", tmp_path / "bundle", "-C", tree, "."], check=True)
    files = unpack(tmp_path / "bundle", BundleType.TAR, tmp_path / "into")
    assert len({file.path for file in files}) == len(files) == 10
    for file in files:
        path = os.path.join(os.fsencode(tmp_path / "into"), file.path)
        status = os.stat(path)
        with open(path, "rb") as stream:
            assert hashlib.sha256(stream.read()).digest() == file.sha256
        assert (file.size, file.ino, file.ctime_ns) == (status.st_size, status.st_ino, status.st_ctime_ns)


@pytest.mark.parametrize(
    "options",
    [["--format=gnu"], ["--format=posix", "--sparse-version=0.0"], ["--format=posix", "--sparse-version=0.1"],
     ["--format=posix", "--sparse-version=1.0"]],
    ids=lambda argv: "-".join(argv),
)  # fmt: skip
def test_holes_of_sparse_files_stay_holes(tmp_path: Path, options: list[str]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with open(source / "disk.img", "wb") as file:
        for at in range(30):
            file.seek(at * 400_000)
            file.write(b"data%d" % at)
        file.truncate(20_000_000)
    (source / "after").write_bytes(b"after")
    subprocess.run(["tar", "-cSf", tmp_path / "bundle", *options, "-C", source, "disk.img", "after"], check=True)
    (unpacked, _) = unpack(tmp_path / "bundle", BundleType.TAR, tmp_path / "into")
    content = (tmp_path / "into/disk.img").read_bytes()
    assert content == (source / "disk.img").read_bytes()
    assert unpacked.sha256 == hashlib.sha256(content).digest()
    assert (tmp_path / "into/disk.img").stat().st_blocks * 512 < 2_000_000
    assert (tmp_path / "into/after").read_bytes() == b"after"


def test_special_bits_are_dropped(tmp_path: Path, make_tar: Callable[..., Path], member: Callable[..., object]) -> None:
    bundle = make_tar([member("tool", b"x", mode=0o6755), member("shared", type=tarfile.DIRTYPE, mode=0o3775)])
    unpack(bundle, BundleType.TAR, tmp_path / "into")
    assert (tmp_path / "into/tool").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "into/shared").stat().st_mode & 0o7777 == 0o775


def test_special_bits_are_kept_where_asked(
    tmp_path: Path, make_tar: Callable[..., Path], member: Callable[..., object]
) -> None:
    bundle = make_tar([member("tool", b"x", mode=0o6755), member("shared", type=tarfile.DIRTYPE, mode=0o3775)])
    unpack(bundle, BundleType.TAR, tmp_path / "into", UnpackOptions(keep_special_bits=True))
    assert (tmp_path / "into/tool").stat().st_mode & 0o7777 == 0o6755
    assert (tmp_path / "into/shared").stat().st_mode & 0o7777 == 0o3775


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners_are_restored_only_where_asked(
    tmp_path: Path, make_tar: Callable[..., Path], member: Callable[..., object]
) -> None:
    bundle = make_tar([member("file", b"x", uid=12345, gid=23456)])
    unpack(bundle, BundleType.TAR, tmp_path / "plain")
    unpack(bundle, BundleType.TAR, tmp_path / "owned", UnpackOptions(restore_ownership=True))
    assert (tmp_path / "plain/file").stat().st_uid == 0
    owned = (tmp_path / "owned/file").stat()
    assert (owned.st_uid, owned.st_gid) == (12345, 23456)


def test_the_last_of_several_members_wins(
    tmp_path: Path, make_tar: Callable[..., Path], member: Callable[..., object]
) -> None:
    bundle = make_tar(
        [
            member("file", b"first"),
            member("link", type=tarfile.SYMTYPE, linkname="file"),
            member("file", b"second"),
            member("link", b"now a file"),
        ]
    )
    files = unpack(bundle, BundleType.TAR, tmp_path / "into")
    assert (tmp_path / "into/file").read_bytes() == b"second"
    assert (tmp_path / "into/link").read_bytes() == b"now a file"
    assert sorted(file.path for file in files) == [b"file", b"link"]


def test_gzip_inside_a_tar_is_taken_as_github_sends_it(
    tmp_path: Path, make_tar: Callable[..., Path], member: Callable[..., object]
) -> None:
    bundle = make_tar([member("file", b"x")], mode="w:gz")
    unpack(bundle, BundleType.TAR, tmp_path / "into")
    assert (tmp_path / "into/file").read_bytes() == b"x"


def test_an_old_tar_with_signed_checksum_and_folder_by_slash_is_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("gr\xfcn/")
    info.type = tarfile.AREGTYPE
    info.mode = 0o755
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT, "latin-1", "strict"))
    total = sum(byte - 256 if byte > 127 else byte for byte in block[:148] + block[156:]) + 256
    block[148:156] = b"%06o\0 " % total
    (tmp_path / "bundle").write_bytes(bytes(block) + bytes(1024))
    unpack(tmp_path / "bundle", BundleType.TAR, tmp_path / "into")
    assert os.listdir(os.fsencode(tmp_path / "into")) == [b"gr\xfcn"]


@pytest.mark.parametrize(
    ("kind", "what"), [(tarfile.FIFOTYPE, "FIFO"), (tarfile.CHRTYPE, "character device"), (b"Q", "unknown type b'Q'")]
)
def test_what_is_no_file_folder_or_link_is_refused_by_name(
    tmp_path: Path, make_tar: Callable[..., Path], member: Callable[..., object], kind: bytes, what: str
) -> None:
    with pytest.raises(BundleError, match=f"member 'odd': is .*{what}") as caught:
        unpack(make_tar([member("odd", type=kind)]), BundleType.TAR, tmp_path / "into")
    assert caught.value.hint == "a bundle may hold files, folders and links"
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE])
def test_an_owner_no_system_has_is_refused(
    tmp_path: Path, make_tar: Callable[..., Path], member: Callable[..., object], kind: bytes
) -> None:
    bundle = make_tar([member("odd", type=kind, linkname="x", uid=2**40)])
    with pytest.raises(BundleError, match="owner 1099511627776:0 is out of range"):
        unpack(bundle, BundleType.TAR, tmp_path / "into", UnpackOptions(restore_ownership=True))
