"""The statistics of one file while it is downloaded, counted in two other threads."""

from __future__ import annotations

from contextlib import suppress

from airflow_provider_sixtyfour.formats.quality import Quality
from airflow_provider_sixtyfour.formats.table import FORMATS
from airflow_provider_sixtyfour.results.background_reader import BackgroundReader
from airflow_provider_sixtyfour.results.background_worker import BackgroundWorker
from airflow_provider_sixtyfour.storage.file_stats import FileStats

HEAD = 4096  # bytes
# Of larger files the columns aren't counted: each cell is looked at, which takes longer than to download it may take.
QUALITY_LIMIT = 64 * 1024 * 1024  # bytes


class DownloadStats:
    """
    Count one file; call `close` in the end.

    ``quality`` is known after `finish`: of its columns; empty for a file that can't be read, or a large one.

    :param format: its name in `FORMATS`.
    :param size: its announced size in bytes.
    """

    def __init__(self, format: str, size: int | None = None) -> None:
        self._format = format
        self._size = size or 0
        self._begin()

    def _begin(self) -> None:
        self.bytes = 0
        self._head = bytearray()
        self._rows = FORMATS[self._format].counter()
        self._file = FileStats()
        # Whoever feeds the chunks mostly waits for the network and the disk: another core has room for this.
        self._counting = BackgroundWorker(self._count)
        self.quality: Quality = {}
        self._columns: BackgroundReader[Quality] | None = None
        if self._size <= QUALITY_LIMIT:
            self._columns = BackgroundReader(FORMATS[self._format].quality)

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
        if self._columns is not None and self.bytes > QUALITY_LIMIT:
            self._columns.close()
            self._columns = None
        if self._columns is not None:
            self._columns.feed(chunk)

    def start_over(self) -> None:
        """Forget all that was counted."""
        self.close()
        self._begin()

    def finish(self) -> None:
        """Wait until all is counted."""
        self._counting.finish()
        if self._columns is not None:
            # Whatever is in a file that was paid for, or is wrong here: it lands.
            with suppress(Exception):
                self.quality = self._columns.finish()

    def close(self) -> None:
        """End the threads, whatever they have counted."""
        self._counting.close()
        if self._columns is not None:
            self._columns.close()

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
