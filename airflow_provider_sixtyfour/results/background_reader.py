"""
A background thread that reads the chunks of a file as they are fed.

Invariant: at most `QUEUE_LIMIT` chunks wait; whoever feeds them waits while there are as many, but for no reader that
has returned before the end, or has failed.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

QUEUE_LIMIT = 8  # chunks

T = TypeVar("T")


class BackgroundReader(Generic[T]):
    """
    A thread that reads; call `close` in the end.

    :param read: is given the chunks, and returns what `finish` returns.
    """

    def __init__(self, read: Callable[[Iterator[bytes]], T]) -> None:
        self._read = read
        self._queue: queue.Queue[bytes] = queue.Queue(QUEUE_LIMIT)
        self._drops = False
        self._is_closed = False
        self._has_ended = False
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="sixtyfour-background-reader", daemon=True)
        self._thread.start()

    def feed(self, chunk: bytes) -> None:
        """Add the next chunk; wait while the queue is full."""
        if chunk:
            self._queue.put(chunk)

    def finish(self) -> T:
        """
        Wait until all chunks are read, and return what the reader has made of them.

        An exception of the reader is raised here.
        """
        self._end()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def close(self) -> None:
        """End the thread after the chunk that it is at; what waits is dropped."""
        self._drops = True
        self._end()

    def _end(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(b"")
        self._thread.join()

    def _work(self) -> None:
        try:
            self._result.append(self._read(self._chunks()))
        except BaseException as error:
            self._error = error
        while not self._has_ended:
            self._next()

    def _chunks(self) -> Iterator[bytes]:
        while (chunk := self._next()) and not self._drops:
            yield chunk

    def _next(self) -> bytes:
        chunk = self._queue.get()
        self._has_ended = not chunk
        return chunk
