"""Reads a zip's members and hands them to a TreeWriter. The directory is `zipfile`'s to read, the content ours."""

import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Generator
from typing import BinaryIO

from agent.errors import BundleError
from agent.host.archive.model import MIB, BytesProgress, member_error, os_error
from agent.host.archive.stream import BLOCK_BYTES, Blocks, Damage, Decoder, Inflater, decode, read_ahead
from agent.host.archive.tree import Meta, TreeWriter

READ_AHEAD_FROM_BYTES = 8 * MIB
LINK_TARGET_MAX = 4096

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_EXTRA_HEADER = struct.Struct("<2H")
_ENCRYPTED, _UTF8 = 0x1, 0x800
_FAT, _UNIX = 0, (3, 19)
_UNICODE_PATH, _TIMES, _NTFS_TIMES, _OWNERS = 0x7075, 0x5455, 0x000A, 0x7875
_EPOCH_IN_NTFS_TICKS = 116_444_736_000_000_000


class ZipUnpacker:
    """One zip on its way into a tree."""

    def __init__(
        self, bundle: str, tree: TreeWriter, *, restore_ownership: bool, progress: BytesProgress | None
    ) -> None:
        self._bundle = bundle
        self._tree = tree
        self._restore_ownership = restore_ownership
        self._progress = progress
        self._reported = 0

    def run(self, file: BinaryIO) -> None:
        """Unpack everything, in the order of the file. Raises: BundleError naming the member."""
        self._file = file
        self._total = file.seek(0, 2)
        members = sorted(self._directory(), key=lambda info: info.header_offset)
        self._tree.expect(sum(info.file_size for info in members))
        end = 0
        for info in members:
            extra = dict(_extra_fields(info.extra))
            name = member_name(info, extra)
            try:
                if info.header_offset < end:
                    raise Damage("its data lies over that of the member before it")
                end = self._unpack(info, name, extra)
            except (Damage, zlib.error) as exc:
                raise member_error(
                    self._bundle, name, f"is damaged: {exc}", hint="make the bundle or fetch it again"
                ) from exc
            except OSError as exc:
                raise os_error(self._bundle, name, exc) from exc
            self._report(MIB)

    def _directory(self) -> list[zipfile.ZipInfo]:
        try:
            with zipfile.ZipFile(self._file) as archive:
                return archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error, OverflowError) as exc:
            raise BundleError(
                f"{self._bundle}: its zip directory is damaged ({exc})", hint="make the bundle or fetch it again"
            ) from exc

    def _unpack(self, info: zipfile.ZipInfo, name: bytes, extra: dict[int, bytes]) -> int:
        """Unpack one member; return where its data ends."""
        start = self._go_to_data(info)
        mode = info.external_attr >> 16
        kind = stat.S_IFMT(mode)
        if name.endswith(b"/") or kind == stat.S_IFDIR:
            self._tree.add_folder(name, self._meta(info, extra, mode or 0o755))
        elif kind == stat.S_IFLNK:
            self._tree.add_symlink(name, self._link_target(info), self._meta(info, extra, mode))
        elif kind in (0, stat.S_IFREG):
            self._tree.add_file(name, self._meta(info, extra, mode or 0o644), self._content(info))
        else:
            raise member_error(
                self._bundle,
                name,
                f"is no file, folder or link (mode {mode:o})",
                hint="a bundle may hold files, folders and links",
            )
        return start + info.compress_size

    def _go_to_data(self, info: zipfile.ZipInfo) -> int:
        """Stand before the member's data, having seen that both its headers agree; return where that is."""
        self._file.seek(info.header_offset)
        header = self._file.read(_LOCAL_HEADER.size)
        if len(header) != _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
            raise Damage("its header is not where the directory says")
        *_, name_size, extra_size = _LOCAL_HEADER.unpack(header)
        if self._file.read(name_size) != _stored_name(info):
            raise Damage("the directory and its own header call it by two names")
        return self._file.seek(extra_size, 1)

    def _content(self, info: zipfile.ZipInfo) -> Generator[bytes, None, None]:
        """Yield what the member holds. Raises: Damage unless size and CRC are what the directory says."""
        blocks = self._decoded(info)
        if info.file_size >= READ_AHEAD_FROM_BYTES:
            blocks = read_ahead(blocks)
        crc = size = 0
        for block in blocks:
            crc = zlib.crc32(block, crc)
            size += len(block)
            if size > info.file_size:
                raise Damage(f"it holds more than the {info.file_size} bytes it promises")
            yield block
            self._report(MIB)
        if size != info.file_size or crc != info.CRC:
            raise Damage(f"its content does not match its checksum ({size} of {info.file_size} bytes)")

    def _decoded(self, info: zipfile.ZipInfo) -> Blocks:
        if info.flag_bits & _ENCRYPTED:
            raise Damage("it is encrypted: pack the bundle without a password")
        limited = _Limited(self._file, info.compress_size)
        decoder: Decoder
        match info.compress_type:
            case zipfile.ZIP_STORED:
                return limited.blocks()
            case zipfile.ZIP_DEFLATED:
                decoder = Inflater(-zlib.MAX_WBITS)
            case zipfile.ZIP_BZIP2:
                import bz2

                decoder = bz2.BZ2Decompressor()
            case method:
                raise Damage(f"its compression method {method} is not supported: pack with deflate, as `zip -r` does")
        return decode(limited.read, decoder)

    def _link_target(self, info: zipfile.ZipInfo) -> bytes:
        if info.file_size > LINK_TARGET_MAX:
            raise Damage("its target is too long for a symbolic link")
        return b"".join(self._content(info))

    def _meta(self, info: zipfile.ZipInfo, extra: dict[int, bytes], mode: int) -> Meta:
        owners = _owners(extra.get(_OWNERS, b"")) if self._restore_ownership else (None, None)
        return Meta(stat.S_IMODE(mode), _mtime_ns(info, extra), *owners)

    def _report(self, step: int) -> None:
        if self._progress and (done := self._file.tell()) >= self._reported + step:
            self._reported = done
            self._progress(done, self._total)


class _Limited:
    """The next bytes of a file and no more."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data

    def blocks(self) -> Blocks:
        while block := self.read(BLOCK_BYTES):
            yield block


def member_name(info: zipfile.ZipInfo, extra: dict[int, bytes]) -> bytes:
    """Return the bytes a member's name has on Linux: UTF-8 where the zip says so, else as its maker meant them."""
    stored = _stored_name(info)
    is_bytes = info.flag_bits & _UTF8 or info.create_system in _UNIX
    name = stored if is_bytes else info.orig_filename.encode()
    unicode_path = extra.get(_UNICODE_PATH, b"")
    if unicode_path[:1] == b"\1" and unicode_path[1:5] == zlib.crc32(stored).to_bytes(4, "little"):
        name = unicode_path[5:]
    if info.create_system == _FAT and b"/" not in name:  # zips made on Windows by tools that never read the standard
        name = name.replace(b"\\", b"/")
    return name


def _stored_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")  # undoes what zipfile did


def _extra_fields(extra: bytes) -> Generator[tuple[int, bytes], None, None]:
    at, end = 0, len(extra)
    while end - at >= 4:
        field, size = _EXTRA_HEADER.unpack_from(extra, at)
        yield field, extra[at + 4 : at + 4 + size]
        at += 4 + size


def _mtime_ns(info: zipfile.ZipInfo, extra: dict[int, bytes]) -> int | None:
    """The best of the times a member has; the plain one is in the local time of who packed, taken for ours."""
    times = extra.get(_TIMES, b"")
    if len(times) >= 5 and times[0] & 1:
        return int.from_bytes(times[1:5], "little", signed=True) * 1_000_000_000
    ntfs = extra.get(_NTFS_TIMES, b"")
    if ntfs[4:8] == b"\1\0\x18\0" and len(ntfs) >= 16:
        return (int.from_bytes(ntfs[8:16], "little") - _EPOCH_IN_NTFS_TICKS) * 100
    try:
        return int(time.mktime((*info.date_time, 0, 0, -1))) * 1_000_000_000
    except (ValueError, OverflowError):
        return None


def _owners(field: bytes) -> tuple[int | None, int | None]:
    """Numeric owners in Info-ZIP's form: version 1, then each number after its size."""
    if len(field) < 3 or field[0] != 1:
        return None, None
    uid_end = 2 + field[1]
    gid_size = field[uid_end : uid_end + 1]
    if not gid_size:
        return None, None
    gid = field[uid_end + 1 : uid_end + 1 + gid_size[0]]
    return int.from_bytes(field[2:uid_end], "little"), int.from_bytes(gid, "little")
