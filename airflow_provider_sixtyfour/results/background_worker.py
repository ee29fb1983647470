"""
A background thread with a bounded queue: it works on one chunk after the other.

Invariant: the chunks are worked on one at a time and in their order; at most `QUEUE_LIMIT` of them wait; an exception
of the work is raised by the next `feed`, or by `finish`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

QUEUE_LIMIT = 8  # chunks


class BackgroundWorker:
    """
    A thread that works; call `close` in the end.

    :param work: is given each chunk.
    """

    def __init__(self, work: Callable[[bytes], object]) -> None:
        self._work = work
        self._chunks: queue.Queue[bytes | None] = queue.Queue(QUEUE_LIMIT)
        self._error: BaseException | None = None
        self._drops = False
        self._thread = threading.Thread(target=self._run, name="sixtyfour-background-worker", daemon=True)
        self._thread.start()

    def feed(self, chunk: bytes) -> None:
        """Add the next chunk; wait while the queue is full."""
        self._raise_error()
        self._chunks.put(chunk)

    def finish(self) -> None:
        """Wait until all chunks are worked on."""
        self._end()
        self._raise_error()

    def close(self) -> None:
        """End the thread after the chunk that it is at; what waits is dropped."""
        self._drops = True
        self._end()

    def _end(self) -> None:
        if self._thread.is_alive():
            self._chunks.put(None)
        self._thread.join()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            # After an error the chunks are taken all the same, so that nobody waits for room.
            if self._error is None and not self._drops:
                try:
                    self._work(chunk)
                except BaseException as error:
                    self._error = error
