"""Makes the bundles that are measured: the same bytes for the same words, kept between runs. Measures nothing.

Content is hexadecimal text from a seeded generator, which compresses about two to one, as much as real sites do.
"""

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

EPOCH = 1_700_000_000
ZIP_DATE = (2023, 11, 14, 22, 13, 20)
BLOCK = 1 << 20
RECIPE = 1
"""Counted up when the same `Bundle` would come out as other bytes than before."""

Add = Callable[[str, IO[bytes], int, int], None]
"""Adds one member to an archive: name, content, size in bytes, mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What one bundle holds: `files` of `file_bytes` each, installed at `destination`; `kind` is tar, tgz or zip.

    The first `changed` files have other content than in a bundle without that word. `hooks` are (event, script text,
    time limit in seconds); all their scripts run as whoever runs the agent.
    """

    kind: str
    files: int
    file_bytes: int
    destination: str
    changed: int = 0
    hooks: tuple[tuple[str, str, int], ...] = ()

    @property
    def name(self) -> str:
        words = json.dumps([RECIPE, asdict(self)], sort_keys=True).encode()
        return f"{self.files}x{self.file_bytes}-{hashlib.sha256(words).hexdigest()[:12]}.{self.kind}"


def make(bundle: Bundle, folder: Path) -> Path:
    """Return the bundle's file in `folder`, made by a child of this process when it is not there yet.

    A child, because a process that has once been big makes every later child's peak memory look as big.
    """
    path = folder / bundle.name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        child = os.fork()
        if child == 0:
            _make_and_exit(bundle, path)
        _, status = os.waitpid(child, 0)
        if status:
            raise RuntimeError(f"{path}: making it failed, see above")
    return path


def warm(path: Path) -> None:
    """Read the whole file, so that it lies in the page cache for everybody measured."""
    with path.open("rb", buffering=0) as file:
        while file.read(BLOCK):
            pass


def _make_and_exit(bundle: Bundle, path: Path) -> None:
    temp = path.with_suffix(".making")
    try:
        with _WRITERS[bundle.kind](temp) as add:
            texts = [("appspec.yml", _appspec(bundle), 0o644)]
            texts += [(f"hooks/{event}", text, 0o755) for event, text, _ in bundle.hooks]
            for name, text, mode in texts:
                add(name, io.BytesIO(text.encode()), len(text.encode()), mode)
            for number in range(bundle.files):
                content = _Content(number, bundle.file_bytes, changed=number < bundle.changed)
                add(f"content/d{number // 100:03}/f{number:05}.txt", content, bundle.file_bytes, 0o644)
        temp.replace(path)
    except BaseException as exc:  # noqa: BLE001 - a forked child must not run on in its parent's code
        print(f"{path}: {exc!r}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def _appspec(bundle: Bundle) -> str:
    lines = ["version: 0.0", "os: linux"]
    if bundle.files:
        lines += ["files:", "  - source: /content", f"    destination: {bundle.destination}"]
    if bundle.hooks:
        lines.append("hooks:")
    for event, _, timeout_s in bundle.hooks:
        lines += [f"  {event}:", f"    - location: hooks/{event}", f"      timeout: {timeout_s}"]
    return "\n".join(lines) + "\n"


class _Content(io.BytesIO):
    """One file's bytes, made while they are read."""

    def __init__(self, number: int, size: int, *, changed: bool) -> None:
        super().__init__()
        self._random = random.Random(number * 2 + changed)
        self._left = size

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        self._left -= wanted
        return self._random.randbytes((wanted + 1) // 2).hex().encode()[:wanted]


@contextmanager
def _tar(path: Path) -> Iterator[Add]:
    with path.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        yield _tar_adder(archive)


@contextmanager
def _tgz(path: Path) -> Iterator[Add]:
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=EPOCH) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        yield _tar_adder(archive)


def _tar_adder(archive: tarfile.TarFile) -> Add:
    def add(name: str, content: IO[bytes], size: int, mode: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, mode, EPOCH
        archive.addfile(member, content)

    return add


@contextmanager
def _zip(path: Path) -> Iterator[Add]:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, content: IO[bytes], size: int, mode: int) -> None:
            member = zipfile.ZipInfo(name, ZIP_DATE)
            member.create_system, member.external_attr = 3, (0o100000 | mode) << 16
            member.compress_type, member.file_size = zipfile.ZIP_DEFLATED, size
            with archive.open(member, "w") as out:
                shutil.copyfileobj(content, out, BLOCK)

        yield add


_WRITERS = {"tar": _tar, "tgz": _tgz, "zip": _zip}
