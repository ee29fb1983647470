"""
Work that is done with piece after piece in a thread of its own.

Invariant: the pieces are worked on one at a time and in their order; at most `QUEUE_LIMIT` of them wait; what the work
stumbles over is raised to whoever brings the next piece, or finishes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

QUEUE_LIMIT = 8  # pieces


class BackgroundWorker:
    """
    A thread that works; call `close` in the end.

    :param work: is given each piece.
    """

    def __init__(self, work: Callable[[bytes], object]) -> None:
        self._work = work
        self._chunks: queue.Queue[bytes | None] = queue.Queue(QUEUE_LIMIT)
        self._error: BaseException | None = None
        self._drops = False
        self._thread = threading.Thread(target=self._run, name="sixtyfour-beside", daemon=True)
        self._thread.start()

    def feed(self, chunk: bytes) -> None:
        """Bring the next piece; wait while there are enough already."""
        self._raise_error()
        self._chunks.put(chunk)

    def finish(self) -> None:
        """Wait until all is done."""
        self._end()
        self._raise_error()

    def close(self) -> None:
        """End the thread after the piece that it is at; what waits is dropped."""
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
            # After an error the pieces are taken all the same, so that nobody waits for room.
            if self._error is None and not self._drops:
                try:
                    self._work(chunk)
                except BaseException as error:
                    self._error = error
