"""A resumable upload of Google Cloud Storage, by gcsfs' own file object."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.storage.protocols import Gcs


class GcsSession:
    """
    One object's upload session.

    It takes one part after the other. Google hides what a session holds until it is finished, charges nothing for it,
    and drops it after a week.
    """

    most_parts = 1_000_000  # as far as the session goes; an object has 5 TiB at most
    in_order = True

    def __init__(self, fs: Gcs, path: str) -> None:
        self._fs = fs
        self._path = path
        self._type = {"content_type": mimetypes.guess_type(path)[0] or "application/octet-stream"}
        self._file: Any = None
        self._digest = _md5()
        self.version: object = None

    def remove_leftovers(self) -> None:
        """Leave it to Google: a session is known to who began it only."""

    def put(self, data: bytes) -> None:
        """Publish a whole object."""
        self._fs.pipe_file(self._path, data, **self._type)
        self._digest = _md5()
        self._digest.update(data)
        self._published()

    def begin(self) -> None:
        """Open the file that holds the session; sends nothing yet."""
        self._file = self._fs.open(self._path, "wb", autocommit=False, **self._type)
        self._digest = _md5()

    def send(self, number: int, data: bytes) -> None:
        """Send a part: of a size that is a multiple of 256 KiB, as Google asks."""
        self._file.blocksize = len(data)
        self._file.write(data)
        self._digest.update(data)

    def complete(self, count: int, last: bytes) -> None:
        """Send the last part, which finishes the session."""
        self._file.blocksize = len(last) + 1  # so that it is sent by the commit
        self._file.write(last)
        self._file.commit()
        self._file.closed = True
        self._file = None
        self._digest.update(last)
        self._published()

    def abort(self) -> None:
        """Drop the session."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.discard()
            finally:
                file.closed = True  # else it would be flushed once more when it is collected as garbage

    def current_version(self) -> object:
        """Return the MD5 of what is there; ``None`` if Google has none, as of objects that were composed."""
        self._fs.invalidate_cache()
        return self._fs.info(self._path).get("md5Hash")

    def probe(self) -> None:
        """Write and remove an object."""
        self.put(b"probe")
        self._fs.rm_file(self._path)

    def _published(self) -> None:
        # gcsfs returns nothing of what was written: no generation, and no checksum.
        self.version = base64.b64encode(self._digest.digest()).decode()
        self._fs.invalidate_cache()


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)
