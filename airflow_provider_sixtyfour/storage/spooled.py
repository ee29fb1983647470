"""Atomic writes to a store without multipart uploads: collected on local disk, then sent in one upload."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.storage.protocols import Store


class Spooled:
    """An object on its way to any store that ``fsspec`` knows."""

    def __init__(self, fs: Store, path: str) -> None:
        self._fs = fs
        self._path = path
        self.version: object = None
        handle, self._temporary = tempfile.mkstemp(prefix="sixtyfour-")
        self._file = os.fdopen(handle, "wb")

    def write(self, chunk: bytes) -> None:
        """Append a chunk."""
        self._file.write(chunk)

    def start_over(self) -> None:
        """Empty the local file."""
        self._file.seek(0)
        self._file.truncate()

    def commit(self) -> None:
        """Send the local file."""
        self._file.close()
        self._fs.put_file(self._temporary, self._path)
        os.unlink(self._temporary)
        self.version = current_version(self._fs, self._path)

    def discard(self) -> None:
        """Remove the local file."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temporary)


def current_version(fs: Store, path: str) -> object:
    """Return what the store knows of what is there."""
    fs.invalidate_cache()
    return fs.ukey(path)


def probe(fs: Store, path: str) -> None:
    """Write and remove an object."""
    file = Spooled(fs, path)
    try:
        file.write(b"probe")
        file.commit()
    finally:
        file.discard()
    fs.rm_file(path)
