"""The maps of sparse files in tar: GNU's old format and pax 0.0, 0.1 and 1.0. Reads no content."""

from collections.abc import Generator, Iterable

from agent.host.archive.reader import ByteReader
from agent.host.archive.stream import Damage
from agent.host.archive.tar_header import BLOCK, Header, decimal, parse_octal

ENTRIES_MAX = 200_000

SparseMap = list[tuple[int, int]]
"""Offset and length of each piece of data; holes lie between."""


def gnu_map(header: Header, reader: ByteReader) -> tuple[SparseMap, int]:
    """Return the map and the true size of a member of type `S`, reading the blocks its header goes on in."""
    entries = _octal_pairs(header.block[386:482])
    more, size = header.block[482], parse_octal(header.block[483:495])
    while more:
        block = reader.take(BLOCK)
        entries += _octal_pairs(block[:504])
        more = block[504]
        _check_count(len(entries))
    return entries, size


def pax_map(records: list[tuple[bytes, bytes]]) -> SparseMap:
    """Return the map that pax records of formats 0.0 and 0.1 hold."""
    named = dict(records)
    if b"GNU.sparse.map" in named:
        numbers = [decimal(number) for number in named[b"GNU.sparse.map"].split(b",") if number]
    else:
        numbers = [decimal(value) for key, value in records if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes")]
    return _pairs(numbers)


def leading_map(reader: ByteReader) -> tuple[SparseMap, int]:
    """Return the map that pax format 1.0 puts before the content, and how many bytes it takes there."""
    blocks = [reader.take(BLOCK)]
    first, newline, _ = blocks[0].partition(b"\n")
    count = decimal(first) if newline else -1
    if not 0 <= count <= ENTRIES_MAX:
        raise Damage("its map of holes is damaged or has too many entries")
    lines = blocks[0].count(b"\n")
    while lines < 1 + 2 * count:
        blocks.append(reader.take(BLOCK))
        if not (more := blocks[-1].count(b"\n")):
            raise Damage("its map of holes is damaged")
        lines += more
    numbers = b"".join(blocks).split(b"\n")[1 : 1 + 2 * count]
    return _pairs([decimal(number) for number in numbers]), len(blocks) * BLOCK


def with_holes(reader: ByteReader, entries: SparseMap, size: int) -> Generator[memoryview | int, None, None]:
    """Yield a sparse file's content in order, its holes as numbers."""
    at = 0
    for offset, length in entries:
        if offset < at or offset + length > size:
            raise Damage("its map of holes is damaged")
        if offset > at:
            yield offset - at
        yield from reader.pieces(length)
        at = offset + length
    if size > at:
        yield size - at


def data_size(entries: Iterable[tuple[int, int]]) -> int:
    """Return how many bytes of content the map says are stored."""
    return sum(length for _, length in entries)


def _octal_pairs(area: bytes) -> SparseMap:
    pairs = []
    for at in range(0, len(area) - 23, 24):
        if not area[at]:
            break
        pairs.append((parse_octal(area[at : at + 12]), parse_octal(area[at + 12 : at + 24])))
    return pairs


def _pairs(numbers: list[int]) -> SparseMap:
    if len(numbers) % 2:
        raise Damage("its map of holes is damaged")
    _check_count(len(numbers) // 2)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _check_count(count: int) -> None:
    if count > ENTRIES_MAX:
        raise Damage(f"its map of holes has more than {ENTRIES_MAX} entries")
