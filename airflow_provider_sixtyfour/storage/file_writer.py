"""Writes a file, and counts its rows and bytes and computes its SHA-256."""

from __future__ import annotations

import hashlib
from typing import Protocol, TypedDict


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


class Writable(Protocol):
    """A file that is being written."""

    def write(self, chunk: bytes, /) -> object:
        """Take in the next bytes."""


class HashingWriter:
    """
    Write to a file, count, and compute the digest.

    :param file: is written to.
    """

    def __init__(self, file: Writable) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.rows = 0
        self.bytes = 0

    def write(self, chunk: bytes, rows: int = 0) -> None:
        """Append some rows, or what is no row."""
        self._file.write(chunk)
        self._digest.update(chunk)
        self.rows += rows
        self.bytes += len(chunk)

    def reference(self, path: str) -> Reference:
        """Return what is known of the file, which is to be found at ``path``."""
        return {"path": path, "rows": self.rows, "bytes": self.bytes, "sha256": self._digest.hexdigest()}
