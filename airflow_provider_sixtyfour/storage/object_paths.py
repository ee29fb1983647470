"""Where files come from and go to: any store that Airflow's ``ObjectStoragePath`` reaches."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

MANIFEST = "_manifest.json"  # the name of a landing's manifest
SENT = "sent"  # the folder, below the destination of an enrichment, of the batches that it sends
PROBE = ".sixtyfour-probe-"  # what the names of files begin with that are written only to see whether that can be done

_DISK = {"file", "local"}
_WITH_BUCKET = {"s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "az", "adl", "wasb", "wasbs", "oss"}
_MOST_ENCODINGS = 5  # of an encoding of an encoding …, that are looked through


def object_storage_path(value: object, name: str) -> ObjectStoragePath:
    """
    Return the path that a parameter names, with the client of its store.

    Parameters are templated, so a part of a URL may come from whoever triggers the Dag: nothing in it may lead out of
    the folder that the Dag's author wrote. So `..` is refused wherever it stands, encoded or not, as is all that one
    store or another takes for something else than a name.

    :param value: a URL such as ``s3://conn_id@bucket/prefix/`` or ``file:///data/``, or an ``ObjectStoragePath``.
    :param name: the parameter, for a message.
    :raises SixtyfourInputError: if it has no scheme, or one that no installed package serves; if it is relative, names
        no bucket, or could lead elsewhere than it seems to.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    if isinstance(value, ObjectStoragePath):
        _check(str(value), name)
        return value
    check_scheme(value, name)
    try:
        path = ObjectStoragePath(str(value))
        _ = path.fs  # that no package serves a scheme is found here only; before anything is sent
    except (ValueError, ImportError) as error:
        raise SixtyfourInputError(
            f"{name} {str(value)[:120]!r} can't be reached: {error}. Is the extra for its store installed "
            "(s3, gcs, azure)?"
        ) from None
    return path


def local_or_object_path(value: object, name: str) -> ObjectStoragePath:
    """
    Return the path that a call of the hook names: as `object_storage_path`, or a path of the local file system.

    Such a path is written in code that runs here, not rendered from a template: it may be relative, and hold ``~`` and
    ``..``.

    :raises SixtyfourInputError: as `object_storage_path`.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    is_local = isinstance(value, str | os.PathLike) and not isinstance(value, ObjectStoragePath)
    if is_local and str(value).strip() and "://" not in str(value):
        value = "file://" + os.path.abspath(os.path.expanduser(str(value)))
    return object_storage_path(value, name)


def check_scheme(value: object, name: str) -> None:
    """
    Check that a parameter names a path in a store, without a look at the store.

    :raises SixtyfourInputError: if it has no scheme, or one part that a store may misread.
    """
    if not isinstance(value, str | os.PathLike) or "://" not in str(value):
        raise SixtyfourInputError(
            f"{name} should be a URL with a scheme, such as s3://conn_id@bucket/prefix/ or file:///data/, "
            f"not {str(value)[:120]!r}."
        )
    _check(str(value), name)


def _check(url: str, name: str) -> None:
    scheme, _, rest = url.partition("://")
    problem = _problem(scheme.lower(), rest)
    if problem is not None:
        raise SixtyfourInputError(f"{name} {problem}: {ascii(url)[1:-1][:200]}")


def _problem(scheme: str, rest: str) -> str | None:
    """Return what is wrong with a URL, as the end of a sentence about it."""
    # Half a surrogate pair is how Python spells a byte of a local file's name that is no UTF-8.
    is_local = scheme in ("file", "local")
    if "\\" in rest and not (is_local and os.sep == "/"):
        return "holds a backslash, which some stores take for a slash"
    if any(ord(c) < 32 or ord(c) == 127 or (0xD800 <= ord(c) < 0xE000 and not is_local) for c in rest):
        return "holds a control character or half a surrogate pair"
    if "::" in rest or "::" in scheme:
        return "holds '::', by which fsspec chains one store to another"
    # What stands before an @ in the first component is the connection.
    first, slash, below = rest.partition("/")
    bucket = first.rpartition("@")[2]
    place = bucket + slash + below
    if scheme in _DISK and not place.startswith("/"):
        return "is relative; write a path from the root, such as file:///data/"
    if scheme in _WITH_BUCKET and not bucket:
        return f"names no bucket; write {scheme}://bucket/prefix/ or {scheme}://conn_id@bucket/prefix/"
    parts = place.removesuffix("/").removeprefix("/").split("/") if place.strip("/") else []
    if place.startswith("//") or place.endswith("//") or "" in parts:
        return "has an empty component (two slashes in a row): did a template give nothing?"
    for part in parts:
        if _is_dots(part):
            return "holds '.' or '..', which could lead to another folder"
    if parts and (parts[0].startswith("~") or "~" in parts):
        return "holds '~', which isn't expanded; write the folder out"
    return None


def _is_dots(part: str) -> bool:
    """Return whether a component is ``.`` or ``..``, or becomes one, or several, if it is decoded."""
    for _ in range(_MOST_ENCODINGS):
        if any(each.strip() in (".", "..") for each in re.split(r"[/\\]", part)):
            return True
        if (decoded := unquote(part)) == part:
            return False
        part = decoded
    return True


def check_file_name(value: object, name: str) -> None:
    """
    Check that a parameter is the name of a file, and no path.

    :raises SixtyfourInputError: if it isn't.
    """
    is_name = isinstance(value, str) and value.strip() and "/" not in value and _problem("memory", value) is None
    if not is_name:
        raise SixtyfourInputError(f"{name} should be a file's name, not {value!r:.60}.")


def extension(path: ObjectStoragePath) -> str:
    """Return the last suffix of a path, lower case, without the dot."""
    return Path(path.name).suffix.lower().lstrip(".")
