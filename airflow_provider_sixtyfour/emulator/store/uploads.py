"""
The files that were uploaded as input.

Invariant: a handle is given out only for a file that is stored whole and can be read to its end.
"""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import BinaryIO

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.engine import inputs

_CHUNK = 1 << 20  # bytes


class Uploads:
    """Files by their handle."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stored: dict[str, inputs.UploadedRows] = {}

    async def store(self, file_name: str, content: BinaryIO) -> str:
        """Keep a file and return its handle, or raise the 400 for one that can't be read."""
        suffix = Path(file_name).suffix.lower()
        if suffix not in inputs.SUFFIXES:
            allowed = ", ".join(inputs.SUFFIXES)
            raise errors.titled(400, "Unsupported file type", f"{file_name!r} is none of {allowed}")
        handle = str(uuid.uuid4())
        path = self._folder / f"{handle}{suffix}"
        try:
            self._stored[handle] = await asyncio.to_thread(_keep, content, path, suffix)
        except inputs.UnreadableFileError as error:
            path.unlink(missing_ok=True)
            raise errors.titled(400, "Unreadable file", str(error)) from error
        return handle

    def forget(self, handle: str) -> None:
        """Remove a file."""
        self._stored.pop(handle).path.unlink(missing_ok=True)

    def rows(self, handle: str) -> inputs.UploadedRows:
        """Return the rows of a file, or raise the 404."""
        rows = self._stored.get(handle)
        if rows is None:
            raise errors.detailed(404, f"Resource handle {handle} not found")
        return rows


def _keep(content: BinaryIO, path: Path, suffix: str) -> inputs.UploadedRows:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        while chunk := content.read(_CHUNK):
            file.write(chunk)
    return inputs.scan(path, suffix)
