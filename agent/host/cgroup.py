"""A control group of our own below the one we are in, to hold processes that are about to be ended.

What is once inside cannot leave by forking, changing session or losing its parent. Where no control group can be made
(no privilege, read-only mount) there is none, and callers do without.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_SYSTEMD_HIERARCHY = "name=systemd"


class ControlGroup:
    """One control group that we made. `kill` is atomic where the kernel has `cgroup.kill` (5.14)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._procs = path / "cgroup.procs"

    def add(self, pid: int) -> bool:
        """Put a process inside; False when it is gone or may not be moved."""
        try:
            self._procs.write_text(f"{pid}")
        except OSError:
            return False
        return True

    def pids(self) -> set[int]:
        """Return who is inside; a zombie may be among them."""
        try:
            return {int(line) for line in self._procs.read_text().split()}
        except OSError:
            return set()

    def kill(self) -> None:
        """Send SIGKILL to all inside, whoever they belong to; does nothing where the kernel has no such switch."""
        with contextlib.suppress(OSError), open(self._path / "cgroup.kill", "r+") as switch:  # "r+": never create it
            switch.write("1")

    def remove(self) -> None:
        """Remove it. One that is still busy stays behind, empty soon, and is of no harm."""
        with contextlib.suppress(OSError):
            self._path.rmdir()


def make_control_group(name: str) -> ControlGroup | None:
    """Return a new control group below our own, None where none can be made."""
    for own in _own_groups():
        path = own / name
        with contextlib.suppress(OSError):
            path.mkdir()
            return ControlGroup(path)
    return None


def _own_groups() -> Iterator[Path]:
    """Yield the folders of the control groups we are in: the unified hierarchy first, then systemd's of version 1."""
    memberships = _memberships()
    for mount_root, mount_point, hierarchy in _mounts():
        inside = memberships.get(hierarchy)
        if inside is None:
            continue
        with contextlib.suppress(ValueError):  # a mount that does not show our part of the hierarchy
            yield mount_point / inside.relative_to(mount_root)


def _memberships() -> dict[str, Path]:
    """Return hierarchy -> our group in it; the unified hierarchy has an empty name."""
    found: dict[str, Path] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, hierarchy, group = line.split(":", 2)
            found[hierarchy] = Path(group)
    return found


def _mounts() -> list[tuple[Path, Path, str]]:
    """Return (root, mount point, hierarchy) of the hierarchies that serve only to hold processes together."""
    unified, systemd = [], []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            kind, _, options = after.split(" ", 2)
            root, point = (Path(os.fsdecode(_unescape(field))) for field in before.split(" ")[3:5])
            if kind == "cgroup2":
                unified.append((root, point, ""))
            elif kind == "cgroup" and _SYSTEMD_HIERARCHY in options.split(","):
                systemd.append((root, point, _SYSTEMD_HIERARCHY))
    return [*unified, *systemd]


def _unescape(field: str) -> bytes:
    """Undo the octal escapes (space, tab, newline, backslash) of mountinfo."""
    return field.encode(errors="surrogateescape").decode("unicode_escape").encode("latin-1")
