"""Which old deployment folders go. Knows the limits and what is never deleted; deletes nothing itself."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionLimits:
    """How much a deployment group may keep, the newest deployment included. None means no limit of that kind."""

    max_revisions: int = 5
    max_bytes: int | None = None
    max_inodes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One deployment folder of a group, by name."""

    name: str
    size_bytes: int
    inodes: int


def choose_removals(folders: Sequence[Kept], protected: frozenset[str], limits: RetentionLimits) -> tuple[str, ...]:
    """Return the folders to delete, oldest first, so that what stays is within `limits`.

    `folders` come oldest first. Protected ones (the current revision, the last good one) count and are never chosen,
    so a limit may stay exceeded.
    """
    count = len(folders)
    size_bytes = sum(folder.size_bytes for folder in folders)
    inodes = sum(folder.inodes for folder in folders)
    chosen: list[str] = []
    for folder in folders:
        fits_bytes = limits.max_bytes is None or size_bytes <= limits.max_bytes
        fits_inodes = limits.max_inodes is None or inodes <= limits.max_inodes
        if count <= limits.max_revisions and fits_bytes and fits_inodes:
            break
        if folder.name in protected:
            continue
        chosen.append(folder.name)
        count, size_bytes, inodes = count - 1, size_bytes - folder.size_bytes, inodes - folder.inodes
    return tuple(chosen)
