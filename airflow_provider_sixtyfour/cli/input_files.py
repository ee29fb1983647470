"""What a command reads: JSON documents, rows and files to upload, from local paths, URLs and stdin."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

STDIN = "-"


def read_json(path: str) -> Any:
    """
    Return the value of a JSON file.

    :param path: of a local file; ``-`` for stdin.
    :raises SixtyfourInputError: if it can't be read, or isn't JSON.
    """
    try:
        if path == STDIN:
            if sys.stdin is None:
                raise SixtyfourInputError("stdin is closed: name a file.")
            text = sys.stdin.buffer.read().decode("utf-8-sig")
        else:
            with open(path, encoding="utf-8-sig") as file:
                text = file.read()
    except UnicodeDecodeError:
        raise SixtyfourInputError(f"{shown(path)} is not UTF-8 text.") from None
    except SixtyfourInputError:
        raise
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if not text.strip():
        raise SixtyfourInputError(f"{shown(path)} is empty.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SixtyfourInputError(f"{shown(path)} is not valid JSON: {error}.") from None


def unreadable(path: str, error: OSError | ValueError) -> SixtyfourInputError:
    """Return the error for a local file that can't be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SixtyfourInputError(f"{shown(path)} can't be read: {reason}.")


def shown(path: str) -> str:
    """Return a path for a message."""
    return "stdin" if path == STDIN else f"The file {os.path.normpath(path)[:300]!r}"


def read_rows(path: str) -> list[dict[str, Any]] | dict[str, Any]:
    """
    Return the rows of a local file, as they are sent.

    :param path: of a file of JSON (a list of objects, or one), NDJSON or CSV; ``-`` for JSON from stdin.
    :raises SixtyfourInputError: if it can't be read, has no rows, or a row can't be sent.
    """
    from airflow_provider_sixtyfour.formats.table import extension_of
    from airflow_provider_sixtyfour.inputs.payload import check_rows

    is_json = path == STDIN or extension_of(path) == "json"
    rows = read_json(path) if is_json else _records(path)
    if rows == []:
        raise SixtyfourInputError(f"{shown(path)} has no rows.")
    return check_rows(rows, "--rows")


def _records(path: str) -> list[Any]:
    from airflow_provider_sixtyfour.formats.reader import open_source
    from airflow_provider_sixtyfour.formats.rejects import NoRejects

    with opened(path) as (stream, name, _):
        source = open_source(stream, name, rejects=NoRejects(name))
        source.require(source.columns)  # a row can't hold two cells by one name
        return [source.row(record) for chunk in source.chunks() for _, record in chunk.records()]


@contextmanager
def opened(path: str) -> Iterator[tuple[BinaryIO, str, int]]:
    """
    Give a file, its name and its size in bytes.

    :param path: local, or a URL.
    :raises SixtyfourInputError: if it can't be read.
    """
    if "://" in path:
        from airflow_provider_sixtyfour.inputs.file import checked_size
        from airflow_provider_sixtyfour.inputs.file import opened as opened_in_store
        from airflow_provider_sixtyfour.storage.object_paths import object_storage_path

        found = object_storage_path(path, "the file")
        size = checked_size(found, max_bytes=sys.maxsize)
        with opened_in_store(found) as remote:
            yield remote, found.name, size
        return
    try:
        stream = open(path, "rb")  # noqa: SIM115 - closed below, where an error is another one
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    with stream:
        yield stream, os.path.basename(path), os.fstat(stream.fileno()).st_size


def count_rows(path: str) -> int:
    """
    Return how many rows a file has.

    :param path: local, or a URL.
    :raises SixtyfourInputError: if it can't be read, or its rows can't be counted.
    """
    with opened(path) as (stream, name, size):
        return measure(stream, name, size, most=sys.maxsize)


def measure(stream: BinaryIO, name: str, size: int, *, most: int, max_bytes: int = sys.maxsize) -> int:
    """
    Check a file as the API takes it, and return how many rows it has.

    :param most: rows that it may have.
    :param max_bytes: bytes that it may have.
    :raises SixtyfourInputError: if it can't be sent.
    """
    from airflow_provider_sixtyfour.formats.table import extension_of
    from airflow_provider_sixtyfour.inputs import file_checks

    file_checks.check_name(name)
    file_checks.check_size(name, size, max_bytes)
    rows = file_checks.count_rows(stream, name, extension_of(name), most)
    if rows is None:
        raise SixtyfourInputError(f"The rows of {name!r} can't be counted: it is JSON, and no list.")
    return rows
