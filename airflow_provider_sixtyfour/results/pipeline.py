"""Where a download goes: to the file statistics and to the store, in chunks that are worth a call."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.results.download_stats import DownloadStats
    from airflow_provider_sixtyfour.results.progress import Progress
    from airflow_provider_sixtyfour.storage.protocols import Restartable

CHUNK = 256 * 1024  # bytes


class DownloadPipeline:
    """
    One file's way.

    :param sink: the publication, or what takes its place.
    :param stop: set when the file isn't wanted any more.
    """

    def __init__(self, sink: Restartable, stats: DownloadStats, progress: Progress, stop: threading.Event) -> None:
        self._sink = sink
        self._stats = stats
        self._progress = progress
        self._stop = stop
        self._collected: list[bytes] = []
        self._collected_bytes = 0

    def write(self, chunk: bytes) -> None:
        """
        Take in what the network gave.

        :raises SixtyfourTransferError: if it was stopped.
        """
        if self._stop.is_set():
            raise SixtyfourTransferError("Stopped: another file of the run could not be landed.")
        self._collected.append(chunk)
        self._collected_bytes += len(chunk)
        if self._collected_bytes >= CHUNK:
            self.flush()

    def flush(self) -> None:
        """Pass on what was collected; call it in the end."""
        chunk = b"".join(self._collected)
        self._collected.clear()
        self._collected_bytes = 0
        self._stats.feed(chunk)
        self._sink.write(chunk)
        self._progress.at(self._stats.bytes, lambda: self._stats.rows)

    def start_over(self) -> None:
        """Forget all that was written."""
        self._collected.clear()
        self._collected_bytes = 0
        self._stats.start_over()
        self._sink.start_over()
