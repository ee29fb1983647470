"""Counts the bytes and rows of a file and computes its SHA-256, while it is written or read."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO, TypedDict

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.storage.protocols import Writable

_BLOCK = 1024 * 1024  # bytes


class Reference(TypedDict):
    """
    What a task returns of a file.

    ``path`` is its URL, ``rows`` and ``bytes`` what it holds (a header is no row), ``sha256`` the hex digest of its
    bytes.
    """

    path: str
    rows: int
    bytes: int
    sha256: str


class FileStats:
    """What a file holds so far; ``rows`` are those that were given with its chunks."""

    def __init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        """Forget all that was counted."""
        self.rows = 0
        self.bytes = 0
        self._digest = hashlib.sha256()

    def add(self, chunk: bytes, rows: int = 0) -> None:
        """Count the next bytes; ``rows`` are how many rows end in them, where that is known."""
        self._digest.update(chunk)
        self.bytes += len(chunk)
        self.rows += rows

    def add_rest(self, stream: BinaryIO) -> None:
        """Count all that is still to be read from a stream."""
        while block := stream.read(_BLOCK):
            self.add(block)

    @property
    def sha256(self) -> str:
        """The digest in hexadecimal."""
        return self._digest.hexdigest()

    def reference(self, path: str) -> Reference:
        """Return what is known of the file, which is to be found at ``path``."""
        return {"path": path, "rows": self.rows, "bytes": self.bytes, "sha256": self.sha256}


class HashingWriter(FileStats):
    """A file that is counted while it is written."""

    def __init__(self, file: Writable) -> None:
        super().__init__()
        self._file = file

    def write(self, chunk: bytes, rows: int = 0) -> None:
        """Append some rows, or what is no row."""
        self._file.write(chunk)
        self.add(chunk, rows)


class HashingReader(FileStats):
    """A stream that is counted while it is read; to seek to its beginning starts that over."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        chunk = self._stream.read(size)
        self.add(chunk)
        return chunk

    def seek(self, position: int, whence: int = 0) -> int:
        """Go elsewhere."""
        self.start_over()
        return self._stream.seek(position, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._stream.tell()
