"""
Atomic writes on a file system: a hidden temporary file in the same folder, then a rename.

Invariant: the file under the destination's name is always a whole one, also after a power failure; a temporary file
that no living process writes goes when the same destination is written again.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import secrets
import tempfile
from hashlib import blake2b

from airflow_provider_sixtyfour.storage.object_paths import PROBE

WRITE_BACK = 8 * 1024 * 1024  # bytes
# A temporary file: a digest of the name that it will get, and a random number.
TEMPORARY = re.compile(r"\.sixtyfour-[0-9a-f]{16}-[0-9a-f]{16}\.part")


class LocalFile:
    """
    A file on its way to a path of a local (or mounted) file system.

    :param path: absolute.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._folder, name = os.path.split(path)
        os.makedirs(self._folder, exist_ok=True)
        # Hidden, so that a reader that lists the folder doesn't take it for a result. Named by a digest of it: the
        # name itself may be as long as the file system allows.
        self._prefix = f".sixtyfour-{blake2b(os.fsencode(name), digest_size=8).hexdigest()}-"
        self._remove_leftovers()
        self._file = self._create()
        self._begun = 0  # bytes that Linux was asked to write back
        self.version: object = None

    def write(self, chunk: bytes) -> None:
        """Append a chunk."""
        view = memoryview(chunk)
        while view:
            view = view[self._file.write(view) :]
        self._begin_write_back()

    def start_over(self) -> None:
        """Empty the temporary file."""
        self._file.seek(0)
        self._file.truncate()
        self._begun = 0

    def sync(self) -> None:
        """Bring to disk what was written."""
        os.fsync(self._file.fileno())

    def commit(self) -> None:
        """Bring the file to disk, then to its name."""
        self.sync()
        self.version = _version(os.fstat(self._file.fileno()))
        os.replace(self._file.name, self._path)
        self._file.close()
        with contextlib.suppress(OSError):  # where a folder can't be opened for that, the rename is safe without
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Remove the temporary file."""
        self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._file.name)

    def _begin_write_back(self) -> None:
        """
        Have Linux begin to bring to disk what was written, so that the sync in the end finds nothing much to do.

        ``POSIX_FADV_DONTNEED`` begins it and waits for nothing. What its name says, to keep no copy in memory, concerns
        what is on disk already: nothing of this.
        """
        written = self._file.tell()
        if written - self._begun >= WRITE_BACK and hasattr(os, "posix_fadvise"):  # macOS has none
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._file.fileno(), self._begun, written - self._begun, os.POSIX_FADV_DONTNEED)
            self._begun = written

    def _create(self) -> io.FileIO:
        """Return a new temporary file, locked."""
        while True:
            file = io.FileIO(os.path.join(self._folder, f"{self._prefix}{secrets.token_hex(8)}.part"), "xb")
            with contextlib.suppress(OSError):  # some network file systems know no locks: nothing is removed there
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.exists(file.name):
                return file
            file.close()  # between its creation and its lock, another process took it for a leftover

    def _remove_leftovers(self) -> None:
        """Remove the temporary files of processes that are gone: nobody holds a lock on them."""
        for entry in list(os.scandir(self._folder)):
            if entry.name.startswith(self._prefix):
                with contextlib.suppress(OSError):
                    remove_leftover(entry.path)


def remove_leftover(path: str) -> None:
    """
    Remove a temporary file of a process that is gone.

    :raises OSError: if a living process writes it, or it can't be removed.
    """
    with open(path, "rb") as left:
        fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)


def current_version(path: str) -> object:
    """Return what identifies the file at a path among all that were there before."""
    return _version(os.stat(path))


def probe(path: str) -> None:
    """
    Write a file where a path would be, bring it to disk, and remove it; a folder that isn't there yet is not made.

    :raises OSError: if that can't be done.
    """
    folder = os.path.dirname(path)
    with contextlib.ExitStack() as ending:
        if not os.path.lexists(folder):
            while not os.path.lexists(folder):
                folder = os.path.dirname(folder)
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix=PROBE, dir=folder))
        file = LocalFile(os.path.join(folder, os.path.basename(path)))
        ending.callback(file.discard)
        file.write(b"probe")
        file.sync()


def _version(found: os.stat_result) -> object:
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
