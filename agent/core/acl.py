"""POSIX access control lists as `setfacl --set` would leave them: completed, ordered, and in the kernel's own form.

Pure: names have become ids before they come here, and agent.host sets and reads the bytes.
"""

import struct
from collections.abc import Iterable

from agent.core.appspec.model import AclEntry

Acl = tuple[AclEntry, ...]

_HEADER = struct.pack("<I", 2)  # version, linux/posix_acl_xattr.h
_ENTRY = struct.Struct("<HHI")
_NO_ID = 0xFFFFFFFF
_TAGS = {
    ("user", False): 0x01,
    ("user", True): 0x02,
    ("group", False): 0x04,
    ("group", True): 0x08,
    ("mask", False): 0x10,
    ("other", False): 0x20,
}
_BASE = ("user", "group", "other")


def access_acl(given: Iterable[AclEntry], mode: int) -> Acl:
    """The access entries of `given`, completed from a mode: base entries, and a mask where a name asks for one."""
    named = [entry for entry in given if not entry.default]
    return _complete(named, _base_permissions(mode), default=False)


def default_acl(given: Iterable[AclEntry], mode: int) -> Acl | None:
    """The default entries of `given`, completed likewise; None when there are none, so that a default ACL stays."""
    entries = [entry for entry in given if entry.default]
    return _complete(entries, _base_permissions(mode), default=True) if entries else None


def mode_under(acl: Acl, mode: int) -> int:
    """The mode a path shows once it has `acl`: where there is a mask, the group's bits are the mask's."""
    mask = next((entry for entry in acl if entry.kind == "mask"), None)
    return mode if mask is None else (mode & ~0o070) | _bits(mask.perms) << 3


def duplicates(given: Iterable[AclEntry]) -> tuple[AclEntry, ...]:
    """Entries for somebody whom an earlier entry already names."""
    seen: set[tuple[bool, str, str]] = set()
    again = []
    for entry in given:
        key = (entry.default, entry.kind, entry.name)
        if key in seen:
            again.append(entry)
        seen.add(key)
    return tuple(again)


def encode_acl(acl: Acl) -> bytes:
    """The value of the `system.posix_acl_access` or `_default` attribute. Names must be decimal ids."""
    return _HEADER + b"".join(
        _ENTRY.pack(_tag(entry), _bits(entry.perms), int(entry.name) if entry.name else _NO_ID) for entry in acl
    )


def stored_acl(acl: Acl | None, *, default: bool) -> bytes:
    """What the kernel gives back after `encode_acl` was set: nothing for an access ACL that only repeats the mode."""
    if not acl or (not default and len(acl) == len(_BASE)):
        return b""
    return encode_acl(acl)


def decode_acl(value: bytes, *, default: bool) -> Acl:
    """The inverse of `encode_acl`; an empty value is an empty list."""
    kinds = {tag: kind for (kind, _), tag in _TAGS.items()}
    return tuple(
        AclEntry(default=default, kind=kinds[tag], name="" if number == _NO_ID else str(number), perms=_text(bits))
        for tag, bits, number in _ENTRY.iter_unpack(value[len(_HEADER) :])
    )


def acl_text(acl: Acl | None, default: Acl | None) -> str:
    """Both lists as canonical text, entries parted by commas."""
    return ",".join(str(entry) for entry in (acl or ()) + (default or ()))


def recorded_acl(acl: Acl | None, default: Acl | None) -> str | None:
    """What the journal keeps of ACLs that somebody asked for; None where nobody did."""
    return None if acl is None and default is None else acl_text(acl, default)


def _complete(given: list[AclEntry], base: dict[str, str], *, default: bool) -> Acl:
    entries = list(given)
    present = {(entry.kind, entry.name) for entry in entries}
    entries.extend(
        AclEntry(default=default, kind=kind, name="", perms=base[kind]) for kind in _BASE if (kind, "") not in present
    )
    if any(entry.name for entry in given) and ("mask", "") not in present:
        group = next(entry for entry in entries if entry.kind == "group" and not entry.name)
        entries.append(AclEntry(default=default, kind="mask", name="", perms=group.perms))
    return tuple(sorted(entries, key=lambda entry: (_tag(entry), int(entry.name or 0))))


def _base_permissions(mode: int) -> dict[str, str]:
    return {kind: _text(mode >> shift & 7) for kind, shift in zip(_BASE, (6, 3, 0), strict=True)}


def _tag(entry: AclEntry) -> int:
    return _TAGS[entry.kind, bool(entry.name)]


def _bits(perms: str) -> int:
    return sum(bit for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if letter in perms)


def _text(bits: int) -> str:
    return "".join(letter if bits & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
