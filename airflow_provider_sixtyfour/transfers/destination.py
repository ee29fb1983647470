"""
Where result files go: any store that Airflow's ``ObjectStoragePath`` reaches.

A file is downloaded to local disk, whole, before a byte of it is sent to its destination; there it appears in one
step. (``with path.open("wb")`` would publish what was written so far when an error leaves it.)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_sixtyfour.api.errors import SixtyfourInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


def object_storage_path(value: object, name: str) -> ObjectStoragePath:
    """
    Return the path that a parameter names, with the client of its store.

    :param value: a URL such as ``s3://conn_id@bucket/prefix/`` or ``file:///data/``, or an ``ObjectStoragePath``.
    :param name: the parameter, for a message.
    :raises SixtyfourInputError: if it has no scheme, or one that no installed package serves.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    if isinstance(value, ObjectStoragePath):
        return value
    if not isinstance(value, str | os.PathLike) or "://" not in str(value):
        raise SixtyfourInputError(
            f"{name} should be a URL with a scheme, such as s3://conn_id@bucket/prefix/ or file:///data/, "
            f"not {str(value)[:120]!r}."
        )
    try:
        path = ObjectStoragePath(str(value))
        _ = path.fs  # that no package serves a scheme is found here only; before anything is sent
    except (ValueError, ImportError) as error:
        raise SixtyfourInputError(
            f"{name} {str(value)[:120]!r} can't be reached: {error}. Is the extra for its store installed "
            "(s3, gcs, azure)?"
        ) from None
    return path


@contextmanager
def whole_file(path: ObjectStoragePath) -> Iterator[BinaryIO]:
    """
    Give a local file to fill; what it holds appears at ``path`` when the block ends, and not if it raises.

    :raises OSError: as the store raises it.
    """
    is_local = path.protocol in ("file", "local", "")
    # Beside its destination if that is on disk: a rename is one step within a file system only. Hidden, so that a
    # reader that lists the folder doesn't take it for a result.
    folder = os.path.dirname(path.path) if is_local else None
    if folder is not None:
        os.makedirs(folder, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".sixtyfour-", suffix=".part", dir=folder)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if is_local:
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path.path)
        else:
            path.fs.put_file(name, path.path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def extension(path: ObjectStoragePath) -> str:
    """Return the last suffix of a path, lower case, without the dot."""
    return Path(path.name).suffix.lower().lstrip(".")
