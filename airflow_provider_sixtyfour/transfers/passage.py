"""Where a download goes: to the tally and to the store, in pieces that are worth a call."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from airflow_provider_sixtyfour.api.errors import SixtyfourTransferError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.transfers.progress import Progress
    from airflow_provider_sixtyfour.transfers.tally import Tally

PIECE = 256 * 1024  # bytes


class Goal(Protocol):
    """What takes a file."""

    def write(self, piece: bytes, /) -> object:
        """Take in the next piece."""

    def start_over(self) -> None:
        """Forget all that was written."""


class Passage:
    """
    One file's way.

    :param goal: the publication, or what takes its place.
    :param stop: set when the file isn't wanted any more.
    """

    def __init__(self, goal: Goal, tally: Tally, progress: Progress, stop: threading.Event) -> None:
        self._goal = goal
        self._tally = tally
        self._progress = progress
        self._stop = stop
        self._collected: list[bytes] = []
        self._collected_bytes = 0

    def write(self, piece: bytes) -> None:
        """
        Take in what the network gave.

        :raises SixtyfourTransferError: if it was stopped.
        """
        if self._stop.is_set():
            raise SixtyfourTransferError("Stopped: another file of the run could not be landed.")
        self._collected.append(piece)
        self._collected_bytes += len(piece)
        if self._collected_bytes >= PIECE:
            self.flush()

    def flush(self) -> None:
        """Pass on what was collected; call it in the end."""
        piece = b"".join(self._collected)
        self._collected.clear()
        self._collected_bytes = 0
        self._tally.feed(piece)
        self._goal.write(piece)
        self._progress.at(self._tally.bytes, lambda: self._tally.rows)

    def start_over(self) -> None:
        """Forget all that was written."""
        self._collected.clear()
        self._collected_bytes = 0
        self._tally.start_over()
        self._goal.start_over()
