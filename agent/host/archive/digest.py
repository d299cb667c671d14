"""The SHA-256 of what is being written: large pieces are hashed on another core while they go to the disk."""

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

BESIDE_MIN = 256 * 1024
"""Smaller pieces are hashed on the spot: handing one over costs more than that."""

_ZEROS = memoryview(bytes(1024 * 1024))


class HashingThread:
    """Started when first needed; `close` ends it and may be called at any time."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> "ThreadPoolExecutor":
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # costs 10 ms, and few bundles hold large files

            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hash")
        return self._pool

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


class Digest:
    """Of one file. A piece must not change after it was handed in; one at a time is under way, so memory is bounded."""

    def __init__(self, thread: HashingThread) -> None:
        self._thread = thread
        self._hash = sha256()
        self._under_way: Future[None] | None = None

    def update(self, piece: bytes | memoryview) -> None:
        self._wait()
        if len(piece) < BESIDE_MIN:
            self._hash.update(piece)
        else:
            self._under_way = self._thread.start().submit(self._hash.update, piece)

    def update_zeros(self, size: int) -> None:
        """Take in a hole of `size` bytes."""
        while size > 0:
            self.update(_ZEROS[:size])
            size -= len(_ZEROS)

    def digest(self) -> bytes:
        self._wait()
        return self._hash.digest()

    def _wait(self) -> None:
        if self._under_way is not None:
            self._under_way.result()
            self._under_way = None
