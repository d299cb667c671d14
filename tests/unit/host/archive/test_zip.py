"""Zips of every maker: names, modes, times, links, and what is refused."""

import os
import stat
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from agent.core.revision import BundleType
from agent.errors import BundleError
from agent.host.archive import UnpackOptions, unpack

MakeZip = Callable[..., Path]


def open_zip(bundle: Path, into: Path) -> None:
    unpack(bundle, BundleType.ZIP, into)


def test_what_zip_packed_comes_out_the_same(
    tmp_path: Path, snapshot: Callable[[Path], Mapping[bytes, tuple[object, ...]]]
) -> None:
    source = tmp_path / "source"
    (source / "bin/empty").mkdir(parents=True)
    (source / "bin/run").write_bytes(b"#!/bin/sh\n" * 500)
    (source / "bin/run").chmod(0o750)
    (source / "bin/link").symlink_to("run")
    (source / "read only").mkdir()
    (source / "read only/file").write_bytes(os.urandom(3000))
    for name in (b"caf\xe9", "grün".encode(), b"quote'"):
        with open(os.path.join(os.fsencode(source), name), "wb") as file:
            file.write(name)
    for folder, folders, files in os.walk(os.fsencode(source)):
        for name in folders + files:
            os.utime(os.path.join(folder, name), (1_600_000_001, 1_600_000_001), follow_symlinks=False)
    (source / "read only").chmod(0o555)
    subprocess.run(["zip", "-qry", tmp_path / "bundle.zip", "."], cwd=source, check=True)
    open_zip(tmp_path / "bundle.zip", tmp_path / "into")
    assert snapshot(tmp_path / "into") == snapshot(source)


def test_a_streamed_zip_with_data_descriptors_is_read(tmp_path: Path) -> None:
    zipped = subprocess.run(["zip", "-qr", "-", "."], cwd=_folder_with_file(tmp_path), check=True, capture_output=True)
    (tmp_path / "bundle.zip").write_bytes(zipped.stdout)
    open_zip(tmp_path / "bundle.zip", tmp_path / "into")
    assert (tmp_path / "into/file").read_bytes() == b"streamed" * 1000


def _folder_with_file(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/file").write_bytes(b"streamed" * 1000)
    return tmp_path / "source"


def test_a_zip64_zip_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive, archive.open("file", "w", force_zip64=True) as file:
        file.write(b"x" * 100)
    open_zip(tmp_path / "bundle.zip", tmp_path / "into")
    assert (tmp_path / "into/file").read_bytes() == b"x" * 100


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_large_members_are_read_by_every_method(tmp_path: Path, method: int) -> None:
    content = os.urandom(100_000 if method == zipfile.ZIP_BZIP2 else 9_000_000)
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w", method) as archive:
        archive.writestr("file", content)
    open_zip(tmp_path / "bundle.zip", tmp_path / "into")
    assert (tmp_path / "into/file").read_bytes() == content


def test_without_unix_modes_files_are_0644_and_folders_0755(tmp_path: Path, make_zip: MakeZip) -> None:
    open_zip(make_zip([("folder/", b"", 0), ("folder/file", b"x", 0)]), tmp_path / "into")
    assert stat.S_IMODE((tmp_path / "into/folder").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "into/folder/file").stat().st_mode) == 0o644


def test_backslashes_of_windows_tools_are_folders(tmp_path: Path, make_zip: MakeZip) -> None:
    open_zip(make_zip([("folder\\file", b"x", 0)], system=0), tmp_path / "into")
    assert (tmp_path / "into/folder/file").read_bytes() == b"x"


def test_names_of_dos_tools_are_code_page_437(tmp_path: Path, make_zip: MakeZip) -> None:
    bundle = make_zip([("gr?n", b"x", 0)], system=0)
    bundle.write_bytes(bundle.read_bytes().replace(b"gr?n", b"gr\x81n"))
    open_zip(bundle, tmp_path / "into")
    assert os.listdir(tmp_path / "into") == ["grün"]


def test_a_unicode_path_field_wins_over_the_plain_name(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("gr?n")
    path = "grün".encode()
    info.extra = struct.pack("<HHBL", 0x7075, 5 + len(path), 1, zlib.crc32(b"gr?n")) + path
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr(info, b"x")
    open_zip(tmp_path / "bundle.zip", tmp_path / "into")
    assert os.listdir(tmp_path / "into") == ["grün"]


def test_an_ntfs_time_is_used(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("file")
    ticks = (1_600_000_000 + 11_644_473_600) * 10_000_000 + 5
    info.extra = struct.pack("<HHLHHQQQ", 0x000A, 32, 0, 1, 24, ticks, 0, 0)
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr(info, b"x")
    open_zip(tmp_path / "bundle.zip", tmp_path / "into")
    assert (tmp_path / "into/file").stat().st_mtime_ns == 1_600_000_000_000_000_500


def test_an_encrypted_member_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x" * 100)
    subprocess.run(["zip", "-qP", "password", "bundle.zip", "secret"], cwd=tmp_path, check=True)
    with pytest.raises(BundleError, match="member 'secret': .*encrypted: pack the bundle without a password"):
        open_zip(tmp_path / "bundle.zip", tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_a_member_with_wrong_content_is_refused_by_name(tmp_path: Path, make_zip: MakeZip) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr("good", b"good")
        archive.writestr("bad", b"needle")
    data = (tmp_path / "bundle.zip").read_bytes().replace(b"needle", b"noodle")
    (tmp_path / "bundle.zip").write_bytes(data)
    with pytest.raises(BundleError, match="member 'bad': is damaged: .*checksum") as caught:
        open_zip(tmp_path / "bundle.zip", tmp_path / "into")
    assert caught.value.hint == "make the bundle or fetch it again"
    assert os.listdir(tmp_path) == ["bundle.zip"]


def test_members_that_share_their_data_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr("same", b"x" * 50)
        archive.filelist.append(archive.filelist[0])
    with pytest.raises(BundleError, match="member 'same': is damaged: its data lies over"):
        open_zip(tmp_path / "bundle.zip", tmp_path / "into")


def test_a_member_that_holds_more_than_it_promises_is_refused(tmp_path: Path, make_zip: MakeZip) -> None:
    bundle = make_zip([("bomb", bytes(1_000_000), 0o644)])
    bundle.write_bytes(bundle.read_bytes().replace(struct.pack("<L", 1_000_000), struct.pack("<L", 10)))
    with pytest.raises(BundleError, match="member 'bomb': is damaged: it holds more than the 10 bytes"):
        open_zip(bundle, tmp_path / "into")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners_of_info_zip_are_restored_where_asked(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("file")
    info.extra = struct.pack("<HHBBLBL", 0x7875, 11, 1, 4, 12345, 4, 23456)
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr(info, b"x")
    unpack(tmp_path / "bundle.zip", BundleType.ZIP, tmp_path / "into", UnpackOptions(restore_ownership=True))
    status = (tmp_path / "into/file").stat()
    assert (status.st_uid, status.st_gid) == (12345, 23456)
