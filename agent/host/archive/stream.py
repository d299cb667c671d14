"""The bytes of a bundle, decompressed in bounded blocks and read ahead of who takes them. Knows no archive format."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from agent.core.revision import BundleType
from agent.host.archive.model import MIB, BytesProgress

READ_BYTES = 256 * 1024
BLOCK_BYTES = MIB
READ_AHEAD_BLOCKS = 3
DECODER_MEMORY_BYTES = 192 * MIB
"""What a compressed stream may ask of us: `xz -9` needs 65 MiB, `zstd --ultra -22` 128 MiB."""

Blocks = Generator[bytes, None, None]
Read = Callable[[int], bytes]


class Damage(Exception):  # noqa: N818 - becomes a BundleError where the member is known
    """The data is not what its format promises."""


class Decoder(Protocol):
    """What the decompressors of bz2 and lzma have in common; `Inflater` is the same for zlib."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class Inflater:
    """A zlib decompressor in the manner of the others: it keeps the input that did not fit into one block."""

    def __init__(self, wbits: int) -> None:
        import zlib

        self._zlib = zlib.decompressobj(wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = BLOCK_BYTES) -> bytes:
        block = self._zlib.decompress(self._zlib.unconsumed_tail or data, max_length)
        self.needs_input = len(block) < max_length and not self._zlib.unconsumed_tail
        return block


@contextmanager
def open_blocks(bundle: Path, bundle_type: BundleType, progress: BytesProgress | None = None) -> Iterator[Blocks]:
    """Open `bundle` and give its decompressed content in blocks of at most a few MiB.

    A stream that is cut or fails its own checksum raises Damage from the generator, never ends quietly.
    `progress` is told how much of the bundle has been read, in the caller's thread.
    """
    with open(bundle, "rb", buffering=0) as file:
        total = file.seek(0, 2)
        file.seek(0)
        blocks = decoded_blocks(file, bundle_type)
        if bundle_type is not BundleType.TAR:
            blocks = read_ahead(blocks)
        with closing(blocks):
            yield blocks if progress is None else _reporting(blocks, lambda: progress(file.tell(), total))


def decoded_blocks(file: BinaryIO, bundle_type: BundleType) -> Blocks:
    """Yield what `file` holds once its compression is undone."""
    match bundle_type:
        case BundleType.TGZ:
            return _gzip_blocks(file.read)
        case BundleType.BZ2:
            return _bz2_blocks(file.read)
        case BundleType.XZ:
            return _xz_blocks(file.read)
        case BundleType.ZST:
            return _zstd_blocks(file)
        case _:
            return _plain_blocks(file.read)


def decode(read: Read, decoder: Decoder, data: bytes = b"") -> Blocks:
    """Yield what `decoder` makes of `data` and what follows it, up to the end of its stream."""
    while not decoder.eof:
        if not data and decoder.needs_input and not (data := read(READ_BYTES)):
            raise Damage("its data is cut short")
        if block := decoder.decompress(data, BLOCK_BYTES):
            yield block
        data = b""


def read_ahead(blocks: Blocks) -> Blocks:
    """Yield the same blocks, made by a thread of their own: decompression and the writing of files overlap."""
    ready: queue.Queue[bytes | BaseException | None] = queue.Queue(READ_AHEAD_BLOCKS)
    stop = threading.Event()

    def produce() -> None:
        end: BaseException | None = None
        try:
            for block in blocks:
                ready.put(block)
                if stop.is_set():
                    break
        except BaseException as exc:  # noqa: BLE001 - raised again by who takes the blocks
            end = exc
        ready.put(end)

    producer = threading.Thread(target=produce, name="bundle-reader", daemon=True)
    producer.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        while producer.is_alive():  # it may wait for room
            _empty(ready)
            producer.join(0.001)


def _empty(ready: "queue.Queue[bytes | BaseException | None]") -> None:
    while not ready.empty():
        ready.get_nowait()


def _reporting(blocks: Blocks, report: Callable[[], None]) -> Blocks:
    for block in blocks:
        report()
        yield block


def _plain_blocks(read: Read) -> Blocks:
    while block := read(BLOCK_BYTES):
        yield block


def _gzip_blocks(read: Read) -> Blocks:
    import zlib

    try:
        yield from _concatenated(read, lambda: Inflater(zlib.MAX_WBITS | 16))
    except zlib.error as exc:
        raise Damage(f"its gzip data is damaged ({exc})") from exc


def _bz2_blocks(read: Read) -> Blocks:
    import bz2

    try:
        yield from _concatenated(read, bz2.BZ2Decompressor)
    except OSError as exc:  # what the module raises for bad data; errors of the disk carry an errno
        if exc.errno is not None:
            raise
        raise Damage(f"its bzip2 data is damaged ({exc})") from exc


def _xz_blocks(read: Read) -> Blocks:
    import lzma

    try:
        yield from _concatenated(read, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DECODER_MEMORY_BYTES))
    except lzma.LZMAError as exc:
        raise Damage(
            f"its xz data is damaged, or needs more than {DECODER_MEMORY_BYTES} bytes to decode ({exc})"
        ) from exc


def _concatenated(read: Read, new_decoder: Callable[[], Decoder]) -> Blocks:
    """Streams one after another are one stream; zeros after the last are padding."""
    data = read(READ_BYTES)
    while data:
        decoder = new_decoder()
        yield from decode(read, decoder, data)
        data = decoder.unused_data.lstrip(b"\0")
        while not data and (more := read(READ_BYTES)):
            data = more.lstrip(b"\0")


def _zstd_blocks(file: BinaryIO) -> Blocks:
    """The library's reader bounds its output but takes a cut stream for a finished one.

    So one more frame follows the last: it comes out whole only if every frame before it was whole.
    """
    import zstandard

    seal = b"deploy-agent: the stream was whole"
    last = zstandard.ZstdCompressor(write_checksum=True).compress(seal)
    decoder = zstandard.ZstdDecompressor(max_window_size=DECODER_MEMORY_BYTES * 2 // 3)
    held = b""
    try:
        source = _Followed(file, last)
        with decoder.stream_reader(
            source,  # type: ignore[arg-type] # all that it calls is read()
            read_size=READ_BYTES,
            read_across_frames=True,
        ) as reader:
            while block := reader.read(BLOCK_BYTES):
                held += block
                yield held[: -len(seal)]
                held = held[-len(seal) :]
    except zstandard.ZstdError as exc:
        raise Damage(f"its zstd data is damaged ({exc})") from exc
    if held != seal:
        raise Damage("its data is cut short")


class _Followed:
    """A file with a few bytes after its end."""

    def __init__(self, file: BinaryIO, tail: bytes) -> None:
        self._file = file
        self._tail = tail

    def read(self, size: int) -> bytes:
        if data := self._file.read(size):
            return data
        data, self._tail = self._tail, b""
        return data
