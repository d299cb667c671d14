"""Reads a deployment's script log from its oldest file to its newest, and follows it through rotation."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 1 << 16


class ScriptLogReader:
    """Gives what `scripts.log` and the older files beside it (`.1` is the newest of them) hold, each byte once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read_new(self) -> Iterator[bytes]:
        """Yield everything written since the last call; the first call begins with the oldest file."""
        if self._file is not None:
            yield from _rest(self._file)
        for path in self._newer_files():
            with contextlib.suppress(FileNotFoundError):
                self._open(path)
                assert self._file is not None
                yield from _rest(self._file)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, path: Path) -> None:
        file = path.open("rb")
        self.close()
        self._file = file

    def _newer_files(self) -> list[Path]:
        """Return the files begun after the one we are in, oldest first; a rotation may have given ours another name."""
        files = [self._path]
        while (older := self._path.with_name(f"{self._path.name}.{len(files)}")).exists():
            files.append(older)
        for place, path in enumerate(files):
            if self._file is not None and _is_same(self._file, path):
                return files[:place][::-1]
        return files[::-1]


def _rest(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _is_same(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
