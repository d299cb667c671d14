"""Standard output for a program that must not fail because nobody reads it any more."""

import threading
from typing import TextIO

FLUSH_EVERY_S = 0.2


class Output:
    """Lines to a stream: written in large pieces, seen within `FLUSH_EVERY_S`, dropped once the reader has left.

    A deployment goes on when the terminal or the pipe it reports to is gone, so nothing here raises.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._waits = False
        self._is_gone = False
        self._closed = threading.Event()
        self._flusher = threading.Thread(target=self._flush_regularly, name="output", daemon=True)
        self._flusher.start()

    def line(self, text: str) -> None:
        """Write one line, sooner or later."""
        with self._lock:
            if not self._is_gone:
                try:
                    self._stream.write(text + "\n")
                except (OSError, ValueError):
                    self._is_gone = True
            self._waits = True

    def flush(self) -> None:
        """Let everything written so far be seen now."""
        with self._lock:
            self._waits = False
            if not self._is_gone:
                try:
                    self._stream.flush()
                except (OSError, ValueError):
                    self._is_gone = True

    def close(self) -> None:
        """Flush and stop; the stream stays open. May be called again."""
        self._closed.set()
        self._flusher.join()
        self.flush()

    def _flush_regularly(self) -> None:
        while not self._closed.wait(FLUSH_EVERY_S):
            if self._waits:
                self.flush()
