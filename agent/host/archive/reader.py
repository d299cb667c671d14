"""Takes exact numbers of bytes out of a flow of blocks, copying little. Knows no archive format."""

from collections.abc import Generator, Iterator

from agent.host.archive.stream import Damage


class ByteReader:
    """Who takes the bytes sees one flow; where blocks end is hidden."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._block = b""
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes. Raises: Damage when the data ends before."""
        end = self._at + size
        if end <= len(self._block):
            data = self._block[self._at : end]
            self._at = end
            return data
        return b"".join(self.pieces(size))

    def take_or_end(self, size: int) -> bytes:
        """Return the next `size` bytes, or nothing when the data ended just here."""
        return self.take(size) if self._at < len(self._block) or self._next() else b""

    def pieces(self, size: int) -> Generator[memoryview, None, None]:
        """Yield the next `size` bytes as they come. Raises: Damage when the data ends before."""
        while size:
            if self._at >= len(self._block) and not self._next():
                raise Damage("its data is cut short")
            piece = memoryview(self._block)[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def skip(self, size: int) -> None:
        """Pass over the next `size` bytes. Raises: Damage when the data ends before."""
        self._at += size
        if self._at > len(self._block):
            self._at -= size
            for _ in self.pieces(size):
                pass

    def rest(self) -> Iterator[int]:
        """Read to the end, so that the stream proves its own checksum; yields the sizes of the blocks passed over."""
        while self._next():
            yield len(self._block)

    def _next(self) -> bool:
        """Go to the next block that holds something."""
        self._block, self._at = b"", 0
        while not self._block:
            block = next(self._blocks, None)
            if block is None:
                return False
            self._block = block
        return True
