"""
A background thread that works on one chunk after the other.

Invariant: the chunks are worked on one at a time and in their order; at most `QUEUE_LIMIT` of them wait; an exception
of the work is raised by the next `feed`, or by `finish`.
"""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_sixtyfour.storage.bounded_threads import BoundedThreads

QUEUE_LIMIT = 8  # chunks


class BackgroundWorker:
    """
    A thread that works; call `close` in the end.

    :param work: is given each chunk.
    """

    def __init__(self, work: Callable[[bytes], object]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._drops = False
        self._thread = BoundedThreads(1, QUEUE_LIMIT + 1, "sixtyfour-background-worker")

    def feed(self, chunk: bytes) -> None:
        """Add the next chunk; wait while the queue is full."""
        self._raise_error()
        self._thread.submit(self._work_on, chunk)

    def finish(self) -> None:
        """Wait until all chunks are worked on."""
        self._thread.close()
        self._raise_error()

    def close(self) -> None:
        """End the thread after the chunk that it is at; what waits is dropped."""
        self._drops = True
        self._thread.close()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work_on(self, chunk: bytes) -> None:
        if self._error is None and not self._drops:
            try:
                self._work(chunk)
            except BaseException as error:
                self._error = error
