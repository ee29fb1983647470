"""The statistics of one file while it is downloaded, counted in another thread."""

from __future__ import annotations

from airflow_provider_sixtyfour.formats.table import FORMATS
from airflow_provider_sixtyfour.results.background_worker import BackgroundWorker
from airflow_provider_sixtyfour.storage.file_stats import FileStats

HEAD = 4096  # bytes


class DownloadStats:
    """
    Count one file; call `close` in the end.

    :param format: its name in `FORMATS`.
    """

    def __init__(self, format: str) -> None:
        self._format = format
        self._begin()

    def _begin(self) -> None:
        self.bytes = 0
        self._head = bytearray()
        self._rows = FORMATS[self._format].counter()
        self._file = FileStats()
        # Whoever feeds the chunks mostly waits for the network and the disk: another core has room for this.
        self._counting = BackgroundWorker(self._count)

    @property
    def head(self) -> bytes:
        """How the file begins, as far as it is looked at for what it is."""
        return bytes(self._head)

    def feed(self, chunk: bytes) -> None:
        """Count the next chunk."""
        self.bytes += len(chunk)
        if len(self._head) < HEAD:
            self._head += chunk[: HEAD - len(self._head)]
        self._counting.feed(chunk)

    def start_over(self) -> None:
        """Forget all that was counted."""
        self.close()
        self._begin()

    def finish(self) -> None:
        """Wait until all is counted."""
        self._counting.finish()

    def close(self) -> None:
        """End the thread, whatever it has counted."""
        self._counting.close()

    def _count(self, chunk: bytes) -> None:
        self._file.add(chunk)
        self._rows.feed(chunk)

    @property
    def rows(self) -> int | None:
        """Rows so far, all of them after `finish`; ``None`` for JSON that is no array, or nested too deeply."""
        return self._rows.rows()

    @property
    def sha256(self) -> str:
        """The digest in hexadecimal, after `finish`."""
        return self._file.sha256
