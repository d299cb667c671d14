"""Whole or not at all: limits, damage, space, cancelling, stripping of a top folder, declared types."""

import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.revision import BundleType
from agent.errors import BundleError
from agent.host.archive import UnpackOptions, detect_type, unpack

MakeTar = Callable[..., Path]
MakeZip = Callable[..., Path]
Make = Callable[..., tuple[tarfile.TarInfo, bytes]]

PACKED = {
    BundleType.TAR: ["tar", "-cf"],
    BundleType.TGZ: ["tar", "-czf"],
    BundleType.BZ2: ["tar", "-cjf"],
    BundleType.XZ: ["tar", "-cJf"],
    BundleType.ZST: ["tar", "--zstd", "-cf"],
    BundleType.ZIP: ["zip", "-qr"],
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[BundleType, bytes]:
    """One small tree in every packing."""
    base = tmp_path_factory.mktemp("bundles")
    (base / "source/folder").mkdir(parents=True)
    for number in range(6):
        (base / f"source/folder/file-{number}").write_bytes(os.urandom(700) + bytes(700))
    for bundle_type, argv in PACKED.items():
        subprocess.run([*argv, base / f"bundle.{bundle_type}", "."], cwd=base / "source", check=True)
    return {bundle_type: (base / f"bundle.{bundle_type}").read_bytes() for bundle_type in PACKED}


@pytest.mark.parametrize("bundle_type", PACKED)
def test_the_type_is_told_by_the_content(
    tmp_path: Path, bundles: dict[BundleType, bytes], bundle_type: BundleType
) -> None:
    (tmp_path / "bundle").write_bytes(bundles[bundle_type])
    assert detect_type(tmp_path / "bundle") is bundle_type


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<html>404</html>", "is no tar, tgz, zst, bz2, xz or zip archive"),
        (gzip.compress(b"one file, no tar"), "is compressed (tgz) and holds no tar archive"),
        (gzip.compress(bytes(range(256)))[:200], "is a damaged tgz bundle: its data is cut short"),
    ],
    ids=["empty", "text", "gzip", "cut"],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bundle").write_bytes(content)
    with pytest.raises(BundleError) as caught:
        detect_type(tmp_path / "bundle")
    assert message in caught.value.message
    assert caught.value.hint


def test_a_tar_whose_last_member_is_a_zip_is_a_tar(
    tmp_path: Path, make_tar: MakeTar, member: Make, make_zip: MakeZip
) -> None:
    inner = make_zip([("x", b"x", 0o644)]).read_bytes()
    assert detect_type(make_tar([member("inner.zip", inner)])) is BundleType.TAR


def test_a_wrongly_declared_type_is_refused(tmp_path: Path, bundles: dict[BundleType, bytes]) -> None:
    (tmp_path / "bundle").write_bytes(bundles[BundleType.ZIP])
    with pytest.raises(BundleError, match="the bundle type is 'tgz' and the content is 'zip'") as caught:
        unpack(tmp_path / "bundle", BundleType.TGZ, tmp_path / "into")
    assert caught.value.hint == "declare the bundle type 'zip', or pack the bundle as 'tgz'"


@pytest.mark.parametrize("bundle_type", PACKED)
def test_a_bundle_cut_short_anywhere_fails_and_leaves_nothing(
    tmp_path: Path, bundles: dict[BundleType, bytes], bundle_type: BundleType
) -> None:
    whole = bundles[bundle_type]
    bundle = tmp_path / "bundle"
    last = len(whole.rstrip(b"\0")) if bundle_type is BundleType.TAR else len(whole)
    for length in range(0, last - 1, max(1, last // 40)):
        bundle.write_bytes(whole[:length])
        with pytest.raises(BundleError):
            unpack(bundle, bundle_type, tmp_path / "into")
        assert os.listdir(tmp_path) == ["bundle"]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), bundle_type=st.sampled_from(list(PACKED)))
def test_flipped_bits_raise_only_bundle_errors_and_leave_nothing(
    tmp_path: Path, bundles: dict[BundleType, bytes], data: st.DataObject, bundle_type: BundleType
) -> None:
    content = bytearray(bundles[bundle_type])
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    room = tmp_path / "room"
    subprocess.run(["rm", "-rf", room], check=True)
    room.mkdir()
    (room / "bundle").write_bytes(content)
    try:
        unpack(room / "bundle", bundle_type, room / "into")
    except BundleError:
        assert os.listdir(room) == ["bundle"]
    else:
        assert sorted(os.listdir(room)) == ["bundle", "into"]


def test_damage_names_the_member(tmp_path: Path, make_tar: MakeTar, member: Make) -> None:
    bundle = make_tar([member("first", b"x" * 100), member("second", b"y" * 5000)])
    bundle.write_bytes(bundle.read_bytes()[: 1024 + 512 + 3000])
    with pytest.raises(BundleError, match="member 'second': .*cut short") as caught:
        unpack(bundle, BundleType.TAR, tmp_path / "into")
    assert caught.value.hint == "make or fetch it again"


def test_a_plain_tar_cut_between_two_members_is_seen(tmp_path: Path, make_tar: MakeTar, member: Make) -> None:
    bundle = make_tar([member("first", b"x" * 100), member("second", b"y")])
    bundle.write_bytes(bundle.read_bytes()[:1024])
    with pytest.raises(BundleError, match="ends without an end marker"):
        unpack(bundle, BundleType.TAR, tmp_path / "into")


def test_a_gzip_checksum_is_checked_past_the_end_of_the_tar(tmp_path: Path, bundles: dict[BundleType, bytes]) -> None:
    (tmp_path / "bundle").write_bytes(bundles[BundleType.TGZ][:-8] + bytes(8))
    with pytest.raises(BundleError, match="incorrect data check"):
        unpack(tmp_path / "bundle", BundleType.TGZ, tmp_path / "into")


def test_too_many_members_are_refused(tmp_path: Path, make_tar: MakeTar, member: Make) -> None:
    with pytest.raises(BundleError, match="member 'c': the bundle holds more than 2 members"):
        unpack(
            make_tar([member(name) for name in "abc"]), BundleType.TAR, tmp_path / "into", UnpackOptions(max_entries=2)
        )
    assert os.listdir(tmp_path) == ["bundle.tar"]


@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_a_bomb_is_stopped_by_what_it_has_written(
    tmp_path: Path, make_tar: MakeTar, member: Make, make_zip: MakeZip, kind: str
) -> None:
    zeros = bytes(30_000_000)
    bundle = make_tar([member("bomb", zeros)], mode="w:gz") if kind == "tgz" else make_zip([("bomb", zeros, 0)])
    options = UnpackOptions(ratio_free_bytes=1_000_000, max_ratio=100)
    with pytest.raises(BundleError, match="member 'bomb': unpacking takes more than .* out of proportion") as caught:
        unpack(bundle, BundleType(kind), tmp_path / "into", options)
    assert "raise the limit" in caught.value.hint
    assert os.listdir(tmp_path) == [bundle.name]


def test_small_bundles_may_compress_as_well_as_they_can(tmp_path: Path, make_tar: MakeTar, member: Make) -> None:
    bundle = make_tar([member("zeros", bytes(5_000_000))], mode="w:bz2")
    (file,) = unpack(bundle, BundleType.BZ2, tmp_path / "into")
    assert file.size == 5_000_000


def test_zeros_behind_the_end_of_a_tar_count_too(tmp_path: Path, make_tar: MakeTar, member: Make) -> None:
    bundle = make_tar([member("file", b"x")])
    (tmp_path / "bundle.tgz").write_bytes(gzip.compress(bundle.read_bytes() + bytes(30_000_000)))
    with pytest.raises(BundleError, match="unpacking takes more than 20000000 bytes"):
        unpack(tmp_path / "bundle.tgz", BundleType.TGZ, tmp_path / "into", UnpackOptions(max_bytes=20_000_000))


class StopError(Exception):
    pass


@pytest.mark.parametrize("bundle_type", PACKED)
def test_stopping_from_the_progress_report_leaves_nothing(
    tmp_path: Path, bundles: dict[BundleType, bytes], make_zip: MakeZip, bundle_type: BundleType
) -> None:
    bundle = tmp_path / "bundle"
    content = bundles[bundle_type]
    if bundle_type is BundleType.ZIP:
        content = make_zip([("big", os.urandom(2_000_000), 0o644)], name="bundle").read_bytes()
    bundle.write_bytes(content)

    def stop(done: int, total: int | None) -> None:
        assert 0 < done <= (total or 0) == len(content)
        raise StopError

    with pytest.raises(StopError):
        unpack(bundle, bundle_type, tmp_path / "into", progress=stop)
    assert os.listdir(tmp_path) == ["bundle"]


def test_what_a_killed_run_left_is_replaced(tmp_path: Path, make_tar: MakeTar, member: Make) -> None:
    (tmp_path / ".into.unpacking").mkdir()
    (tmp_path / ".into.unpacking/half").write_bytes(b"x")
    unpack(make_tar([member("file")]), BundleType.TAR, tmp_path / "into")
    assert sorted(os.listdir(tmp_path)) == ["bundle.tar", "into"]
    assert os.listdir(tmp_path / "into") == ["file"]


def test_a_folder_that_holds_something_is_not_unpacked_into(tmp_path: Path, make_tar: MakeTar, member: Make) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "into/mine").touch()
    with pytest.raises(BundleError, match="is there and not empty"):
        unpack(make_tar([member("file")]), BundleType.TAR, tmp_path / "into")
    assert os.listdir(tmp_path / "into") == ["mine"]


def test_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path, make_tar: MakeTar, member: Make) -> None:
    bundle = make_tar([member("big", bytes(3_000_000)), member("more", bytes(3_000_000))], mode="w:gz")
    room = tmp_path / "room"
    room.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", room], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        with pytest.raises(BundleError, match="member 'big': no space left to unpack it") as caught:
            unpack(bundle, BundleType.TGZ, room / "into")
        assert "free space or inodes" in caught.value.hint
        assert os.listdir(room) == []
    finally:
        subprocess.run(["umount", room], check=True)


def test_the_root_is_0755_and_other_modes_are_as_packed(tmp_path: Path, make_tar: MakeTar, member: Make) -> None:
    bundle = make_tar([member("./", type=tarfile.DIRTYPE, mode=0o700), member("./file", mode=0o666)])
    unpack(bundle, BundleType.TAR, tmp_path / "into")
    assert (tmp_path / "into").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "into/file").stat().st_mode & 0o7777 == 0o666


@pytest.mark.parametrize("noise", [(), (".DS_Store", "__MACOSX/._x", "._top", "pax_global_header")])
@pytest.mark.parametrize("appspec", ["appspec.yml", "appspec.yaml", "deploy/other.yml"])
def test_a_single_top_folder_with_the_appspec_in_it_is_stripped(
    tmp_path: Path, make_tar: MakeTar, member: Make, noise: tuple[str, ...], appspec: str
) -> None:
    bundle = make_tar([member(name) for name in (*noise, f"top/{appspec}", "top/bin/run")])
    files = unpack(bundle, BundleType.TAR, tmp_path / "into", UnpackOptions(appspec_filename="deploy/other.yml"))
    assert sorted(file.path.decode() for file in files) == sorted([appspec, "bin/run"])
    assert sorted(os.listdir(tmp_path / "into")) == sorted({"bin", appspec.split("/")[0]})
    assert sorted(os.listdir(tmp_path)) == ["bundle.tar", "into"]


@pytest.mark.parametrize(
    "names",
    [("top/my-appspec.yml",), ("top/sub/appspec.yml",), ("top/appspec.yml", "other"), ("appspec.yml", ".DS_Store")],
)
def test_anything_else_stays_as_packed(tmp_path: Path, make_tar: MakeTar, member: Make, names: tuple[str, ...]) -> None:
    files = unpack(make_tar([member(name) for name in names]), BundleType.TAR, tmp_path / "into")
    assert sorted(file.path.decode() for file in files) == sorted(names)


def test_a_compressed_tar_without_end_marker_is_whole_by_its_checksum(tmp_path: Path, member: Make) -> None:
    info, content = member("file", b"x" * 512)
    (tmp_path / "bundle").write_bytes(gzip.compress(info.tobuf() + content))
    assert len(unpack(tmp_path / "bundle", BundleType.TGZ, tmp_path / "into")) == 1


def test_several_gzip_streams_are_one(tmp_path: Path, make_tar: MakeTar, member: Make) -> None:
    data = make_tar([member("file", os.urandom(5000))]).read_bytes()
    (tmp_path / "bundle").write_bytes(gzip.compress(data[:3000]) + gzip.compress(data[3000:]) + bytes(512))
    (file,) = unpack(tmp_path / "bundle", BundleType.TGZ, tmp_path / "into")
    assert file.size == 5000


def test_large_members_pass_through_in_blocks(tmp_path: Path, make_tar: MakeTar, member: Make) -> None:
    content = io.BytesIO(os.urandom(4096) * 1500).getvalue()
    bundle = make_tar([member("big", content), member("next", b"next")], mode="w:gz")
    unpack(bundle, BundleType.TGZ, tmp_path / "into")
    assert (tmp_path / "into/big").read_bytes() == content
    assert (tmp_path / "into/next").read_bytes() == b"next"
