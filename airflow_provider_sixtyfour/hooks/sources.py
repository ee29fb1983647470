"""The files that the hook's methods send."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO, cast

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.storage.object_paths import local_or_object_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    Source = str | os.PathLike[str] | ObjectStoragePath | BinaryIO


@contextmanager
def opened(source: Source, filename: str | None) -> Iterator[tuple[BinaryIO, str]]:
    """
    Give a file, open and seekable, and its name.

    :param source: a local path, a URL, an ``ObjectStoragePath``, or an open binary file, which stays open.
    :param filename: the name; that of the source if ``None``.
    :raises SixtyfourInputError: if there is no such file, or it has no name.
    """
    if hasattr(source, "read"):
        name = filename or PurePath(str(getattr(source, "name", ""))).name
        if not name:
            raise SixtyfourInputError("filename is missing: an open file has no name of its own.")
        yield cast("BinaryIO", source), name
        return
    path = local_or_object_path(source, "source")
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise SixtyfourInputError(f"source {str(path)!r:.200} does not exist.") from None
    except IsADirectoryError:
        raise SixtyfourInputError(f"source {str(path)!r:.200} is a folder: name a file.") from None
    with stream:
        yield cast("BinaryIO", stream), filename or path.name
