"""Reads tar headers (v7, ustar, GNU, pax) into values. Knows nothing of where members go.

Written here because `tarfile` takes longer to read ten thousand headers than the rest of unpacking takes in all.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from agent.host.archive.stream import Damage

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)
_TIME_MAX_S = 2**40
_ADLER_MODULUS = 65521


@dataclass(slots=True)
class Header:
    """One member's header. A GNU or pax extension before it has already had its say."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    type: bytes
    link: bytes
    user: bytes
    group: bytes
    block: bytes


def has_checksum(block: bytes) -> bool:
    """True when `block` is a tar header: 512 bytes that carry their own checksum."""
    if len(block) != BLOCK:
        return False
    own = block[148:156]
    try:
        stated = _octal(own)
    except Damage:
        return False
    # The low half of Adler-32 is the sum of the bytes plus one, modulo a prime: far faster than sum().
    if (zlib.adler32(block) & 0xFFFF) == (stated + sum(own) - 256 + 1) % _ADLER_MODULUS:
        return True
    unsigned = sum(block) - sum(own) + 256
    high = sum(byte > 127 for byte in block[:148] + block[156:])  # some old tars summed signed bytes
    return stated == unsigned - 256 * high


def parse_header(block: bytes) -> Header:
    """Return the header in `block`. Raises: Damage."""
    if not has_checksum(block):
        raise Damage("its header is damaged (wrong checksum)")
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:  # GNU keeps other things there
        name = _text(block[345:500]) + b"/" + name
    return Header(
        name,
        parse_octal(block[100:108]),
        parse_octal(block[108:116]),
        parse_octal(block[116:124]),
        parse_octal(block[124:136]),
        _clamped_s(parse_octal(block[136:148])) * 1_000_000_000,
        block[156:157],
        _text(block[157:257]),
        _text(block[265:297]),
        _text(block[297:329]),
        block,
    )


def parse_pax(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the records of a pax header in order. Raises: Damage."""
    at = 0
    while at < len(data) and data[at]:
        length, space, _ = data[at : at + 24].partition(b" ")
        end = at + decimal(length) if space else at
        if end <= at + len(length) + 1 or data[end - 1 : end] != b"\n":
            raise Damage("its pax header is damaged")
        key, equals, value = data[at + len(length) + 1 : end - 1].partition(b"=")
        if not equals:
            raise Damage("its pax header is damaged")
        yield key, value
        at = end


def apply_pax(header: Header, records: dict[bytes, bytes]) -> None:
    """Let pax records override what the header says. Raises: Damage."""
    header.name = records.get(b"path", header.name)
    header.link = records.get(b"linkpath", header.link)
    header.user = records.get(b"uname", header.user)
    header.group = records.get(b"gname", header.group)
    if (size := records.get(b"size")) is not None:
        header.size = decimal(size)
    if (uid := records.get(b"uid")) is not None:
        header.uid = decimal(uid)
    if (gid := records.get(b"gid")) is not None:
        header.gid = decimal(gid)
    if (mtime := records.get(b"mtime")) is not None:
        header.mtime_ns = _time_ns(mtime)


def decimal(text: bytes) -> int:
    """Return the number that `text` writes in decimal digits. Raises: Damage."""
    if not text.isdigit() or len(text) > 20:
        raise Damage(f"its header is damaged ({text[:40]!r} is no number)")
    return int(text)


def _time_ns(text: bytes) -> int:
    sign, digits = (-1, text[1:]) if text.startswith(b"-") else (1, text)
    whole, _, fraction = digits.partition(b".")
    nanoseconds = decimal((fraction + b"000000000")[:9])
    return sign * (_clamped_s(decimal(whole)) * 1_000_000_000 + nanoseconds)


def _clamped_s(seconds: int) -> int:
    return max(-_TIME_MAX_S, min(_TIME_MAX_S, seconds))


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _octal(field: bytes) -> int:
    """Octal text; or, where that is too short, big-endian binary marked by the first byte (GNU). Raises: Damage."""
    if field[0] in (0x80, 0xFF):
        value = int.from_bytes(field[1:], "big")
        return value - (1 << (8 * (len(field) - 1))) if field[0] == 0xFF else value
    text = field.partition(b"\0")[0].strip(b" ")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise Damage(f"its header is damaged ({field!r} is no octal number)") from None


parse_octal = lru_cache(maxsize=1024)(_octal)
"""The same, remembered: modes, owners and times are alike in most members of an archive."""
