"""Archives made member by member, honest or not, and the tree they lie in."""

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

Member = tuple[tarfile.TarInfo, bytes]


def tar_member(name: str | bytes, content: bytes = b"", **fields: object) -> Member:
    """A regular file unless `type` says otherwise."""
    info = tarfile.TarInfo(os.fsdecode(name))
    info.size = len(content)
    info.mtime = 1_600_000_000
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


@pytest.fixture
def member() -> Callable[..., Member]:
    return tar_member


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[..., Path]:
    """Write members, given in order, to a tar; `mode` is tarfile's."""

    def make(members: Iterable[Member], *, name: str = "bundle.tar", mode: str = "w") -> Path:
        path = tmp_path / name
        with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload] # mode is any
            for info, content in members:
                archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
        return path

    return make


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[..., Path]:
    """Write a zip of names and contents; a mode may stand beside the content."""

    def make(members: Iterable[tuple[str, bytes, int]], *, name: str = "bundle.zip", system: int = 3) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member_name, content, mode in members:
                info = zipfile.ZipInfo(member_name, (2020, 2, 2, 2, 2, 2))
                info.create_system = system
                info.external_attr = mode << 16 | 0x20  # an attribute of DOS, or writestr sets a mode
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, content)
        return path

    return make


@pytest.fixture
def snapshot() -> Callable[[Path], Mapping[bytes, tuple[object, ...]]]:
    """What a tree holds, by relative path: kind and mode, times, content, and which files are one."""
    return take_snapshot


def take_snapshot(root: Path) -> dict[bytes, tuple[object, ...]]:
    base = os.fsencode(root)
    seen: dict[tuple[int, int], bytes] = {}
    found: dict[bytes, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(base):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = (file.read(), seen.setdefault((status.st_dev, status.st_ino), path[len(base) :]))
            mode = stat.S_IFMT(status.st_mode) if stat.S_ISLNK(status.st_mode) else status.st_mode
            found[path[len(base) + 1 :]] = (mode, status.st_mtime_ns, content)
    return found
