"""Reads a tar's members and hands them to a TreeWriter. Knows the order of a tar, not what a header looks like."""

import grp
import pwd
from collections.abc import Callable, Generator

from agent.core.revision import BundleType
from agent.host.archive import tar_sparse
from agent.host.archive.model import MIB, member_error, os_error
from agent.host.archive.reader import ByteReader
from agent.host.archive.stream import Blocks, Damage
from agent.host.archive.tar_header import BLOCK, ZERO_BLOCK, Header, apply_pax, decimal, parse_header, parse_pax
from agent.host.archive.tree import Meta, Piece, TreeWriter

EXTENSION_BYTES_MAX = 4 * MIB
"""Of one pax header or GNU long name: only the map of a very fragmented sparse file comes near."""

_REGULAR = (b"0", b"\0", b"7")
_REFUSED = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"M": "a part of a multi-volume archive",
}

Records = list[tuple[bytes, bytes]]


class TarUnpacker:
    """One tar on its way into a tree.

    A plain one must have its end marker: nothing else tells a whole one from one cut between two members. The
    compressed ones have checksums, and some tools that make them forget the marker.
    """

    def __init__(self, bundle: str, tree: TreeWriter, bundle_type: BundleType, *, restore_ownership: bool) -> None:
        self._bundle = bundle
        self._tree = tree
        self._is_plain = bundle_type is BundleType.TAR
        self._restore_ownership = restore_ownership
        self._owners = _Owners()
        self._defaults: Records = []
        self._name = b""

    def run(self, blocks: Blocks) -> None:
        """Unpack everything. Raises: BundleError naming the member, or the last whole one before the trouble."""
        self._reader = ByteReader(blocks)
        try:
            while (member := self._next()) is not None:
                self._unpack(*member)
            if not self._is_plain:
                for size in self._reader.rest():
                    self._tree.count_bytes(self._name, size)
        except Damage as exc:
            raise member_error(
                self._bundle, self._name, f"the archive is damaged at or after it: {exc}", hint="make or fetch it again"
            ) from exc
        except OSError as exc:
            raise os_error(self._bundle, self._name, exc) from exc

    def _next(self) -> tuple[Header, Records] | None:
        """Read headers up to one that stands for a member; None at the end of the archive."""
        records: Records = []
        while True:
            block = self._reader.take_or_end(BLOCK)
            if block == ZERO_BLOCK:
                return None
            if not block:
                if self._is_plain or records:
                    raise Damage("it ends without an end marker: it was cut short")
                return None
            header = parse_header(block)
            match header.type:
                case b"x" | b"X":
                    records += parse_pax(self._extension(header))
                case b"g":
                    self._defaults += parse_pax(self._extension(header))
                case b"L":
                    records.append((b"path", self._extension(header).rstrip(b"\0")))
                case b"K":
                    records.append((b"linkpath", self._extension(header).rstrip(b"\0")))
                case _:
                    records = self._defaults + records
                    if records:
                        apply_pax(header, dict(records))
                    return header, records

    def _extension(self, header: Header) -> bytes:
        if header.size > EXTENSION_BYTES_MAX:
            raise Damage(f"a header takes {header.size} bytes")
        data = self._reader.take(header.size)
        self._reader.skip(-header.size % BLOCK)
        return data

    def _unpack(self, header: Header, records: Records) -> None:
        self._name = name = header.name
        kind = header.type
        if header.size < 0:
            raise Damage(f"its header says {header.size} bytes")
        if kind in _REGULAR and not name.endswith(b"/"):
            self._file(header, records)
        elif kind == b"5" or kind in _REGULAR:
            self._tree.add_folder(name, self._meta(header))
        elif kind == b"2":
            self._tree.add_symlink(name, header.link, self._meta(header))
        elif kind == b"1":
            self._tree.add_hard_link(name, header.link)
        elif kind == b"S":
            entries, size = tar_sparse.gnu_map(header, self._reader)
            self._sparse_file(header, entries, size, stored=header.size)
        elif kind == b"D":
            self._tree.add_folder(name, self._meta(header))
            self._skip(header.size)
        elif kind == b"V":
            self._skip(header.size)
        else:
            raise member_error(
                self._bundle,
                name,
                f"is {_REFUSED.get(kind, f'of the unknown type {kind!r}')}",
                hint="a bundle may hold files, folders and links",
            )

    def _file(self, header: Header, records: Records) -> None:
        if records and any(key.startswith(b"GNU.sparse.") for key, _ in records):
            self._pax_sparse_file(header, records)
            return
        size = header.size
        pieces: tuple[Piece, ...] | Generator[memoryview, None, None]
        pieces = (self._reader.take(size),) if size <= MIB else self._reader.pieces(size)
        self._tree.add_file(header.name, self._meta(header), pieces)
        self._reader.skip(-size % BLOCK)

    def _pax_sparse_file(self, header: Header, records: Records) -> None:
        named = dict(records)
        self._name = header.name = named.get(b"GNU.sparse.name", header.name)
        size = decimal(named.get(b"GNU.sparse.realsize") or named.get(b"GNU.sparse.size") or b"0")
        if named.get(b"GNU.sparse.major") == b"1":
            entries, taken = tar_sparse.leading_map(self._reader)
        else:
            entries, taken = tar_sparse.pax_map(records), 0
        self._sparse_file(header, entries, size, stored=header.size - taken)

    def _sparse_file(self, header: Header, entries: tar_sparse.SparseMap, size: int, *, stored: int) -> None:
        if tar_sparse.data_size(entries) != stored:
            raise Damage("its map of holes does not fit its content")
        self._tree.add_file(header.name, self._meta(header), tar_sparse.with_holes(self._reader, entries, size))
        self._reader.skip(-stored % BLOCK)

    def _skip(self, size: int) -> None:
        self._tree.count_bytes(self._name, size)
        self._reader.skip(size + -size % BLOCK)

    def _meta(self, header: Header) -> Meta:
        if not self._restore_ownership:
            return Meta(header.mode, header.mtime_ns)
        return Meta(header.mode, header.mtime_ns, self._owners.uid(header), self._owners.gid(header))


class _Owners:
    """This host's own number for a name, as tar does it; the archive's where the host does not know the name."""

    def __init__(self) -> None:
        self._uids: dict[bytes, int | None] = {b"": None}
        self._gids: dict[bytes, int | None] = {b"": None}

    def uid(self, header: Header) -> int:
        if header.user not in self._uids:
            self._uids[header.user] = _number_of(lambda name: pwd.getpwnam(name).pw_uid, header.user)
        known = self._uids[header.user]
        return header.uid if known is None else known

    def gid(self, header: Header) -> int:
        if header.group not in self._gids:
            self._gids[header.group] = _number_of(lambda name: grp.getgrnam(name).gr_gid, header.group)
        known = self._gids[header.group]
        return header.gid if known is None else known


def _number_of(find: Callable[[str], int], name: bytes) -> int | None:
    try:
        return find(name.decode())
    except (KeyError, ValueError):
        return None
