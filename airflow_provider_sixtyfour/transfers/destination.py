"""Where files come from and go to: any store that Airflow's ``ObjectStoragePath`` reaches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.api.errors import SixtyfourInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

MANIFEST = "_manifest.json"  # the name of a landing's manifest


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


def extension(path: ObjectStoragePath) -> str:
    """Return the last suffix of a path, lower case, without the dot."""
    return Path(path.name).suffix.lower().lstrip(".")
