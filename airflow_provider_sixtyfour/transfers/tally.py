"""
What is known of a file once it has passed by: its size, its SHA-256, its rows.

Invariant: the pieces are counted in their order, in threads of their own beside the one that moves them, and at most
`WAITING` pieces wait to be counted; what a thread stumbles over is raised to whoever feeds it.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable
from typing import Any

from airflow_provider_sixtyfour.api.row_counts import row_count

WAITING = 8  # pieces, for each of the two counters


class Tally:
    """
    Counts one file; call `close` in the end.

    :param format: ``csv``, ``json`` or ``ndjson``.
    """

    def __init__(self, format: str) -> None:
        self._format = format
        self.start_over()

    def feed(self, piece: bytes) -> None:
        """Count the next piece."""
        self.bytes += len(piece)
        self._hashing.feed(piece)
        self._counting.feed(piece)

    def start_over(self) -> None:
        """Forget all that was counted."""
        if hasattr(self, "_hashing"):
            self.close()
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._rows = row_count(self._format)
        # Two, since one would be slower than the network: hashing runs beside Python, counting rows doesn't.
        self._hashing = _Beside(self._digest.update)
        self._counting = _Beside(self._rows.feed)

    def finish(self) -> None:
        """Wait until all is counted."""
        self._hashing.finish()
        self._counting.finish()

    def close(self) -> None:
        """End the threads, whatever they have counted."""
        self._hashing.close()
        self._counting.close()

    @property
    def rows(self) -> int | None:
        """Rows so far, a little behind; all of them after `finish`. ``None`` for JSON that is no array."""
        return self._rows.rows()

    @property
    def sha256(self) -> str:
        """The digest, in hexadecimal, after `finish`."""
        return self._digest.hexdigest()


class _Beside:
    """Does one thing with piece after piece in a thread of its own."""

    def __init__(self, work: Callable[[bytes], Any]) -> None:
        self._work = work
        self._pieces: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sixtyfour-tally", daemon=True)
        self._thread.start()

    def feed(self, piece: bytes) -> None:
        self._check()
        self._pieces.put(piece)

    def finish(self) -> None:
        self.close()
        self._check()

    def close(self) -> None:
        if self._thread.is_alive():
            self._pieces.put(None)
        self._thread.join()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._error is None:
                try:
                    self._work(piece)
                except BaseException as error:
                    self._error = error  # the pieces to come are taken and dropped, so that nobody waits for room
