"""
An input file in a store: checked, measured, and sent, always as a stream.

Invariant: what was sent is what was measured. A file that is another one by the time it is sent starts no run.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.inputs.file_checks import check_name, check_size, count_rows
from airflow_provider_sixtyfour.storage.file_stats import HashingReader
from airflow_provider_sixtyfour.storage.object_paths import extension

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.api.client import SixtyfourClient

# What the vendor documents for the sister endpoint.
MAX_BYTES = 100_000_000
MAX_ROWS = 100_000
READ_AHEAD = 4 * 1024 * 1024  # bytes that are asked of a store at a time; a store's own default may be 50 MiB


class InputFile(NamedTuple):
    """
    A file that is as it should be.

    :param rows: how many it has; ``None`` for JSON that is no array.
    :param bytes: how many are sent, and ``sha256`` their hex digest.
    :param delimiter: what separates the cells of CSV, where it was given: with commas it is sent then.
    """

    path: ObjectStoragePath
    rows: int | None
    bytes: int
    sha256: str
    delimiter: str | None = None

    @property
    def name(self) -> str:
        """The name that it is sent under; a request can't hold half a surrogate pair."""
        name = self.path.name if self.delimiter is None else f"{self.path.stem}.csv"
        return name.encode("utf-8", "replace").decode()


@contextmanager
def opened(path: ObjectStoragePath) -> Iterator[BinaryIO]:
    """
    Give the bytes of a file, as they come.

    By its file system: the path's own ``open`` tells Airflow's lineage of each read, and under a URL that names the
    connection. Whoever reads a file records it once, see `tasks.lineage`.

    :raises SixtyfourInputError: if there is no such file.
    """
    with _explained(path):
        if path.is_dir():  # some stores would open it
            raise IsADirectoryError
        stream = path.fs.open(path.path, "rb", block_size=READ_AHEAD)
    with stream:
        yield cast("BinaryIO", stream)


@contextmanager
def sendable(path: ObjectStoragePath, delimiter: str | None) -> Iterator[BinaryIO]:
    """
    Give the bytes of a file as they are to be sent.

    :param delimiter: what separates the cells of CSV, where it was given: the file is converted, on local disk, since
        how long it gets must be known before it is sent.
    :raises SixtyfourInputError: if there is no such file, or it can't be converted.
    """
    with opened(path) as stream:
        if delimiter is None:
            yield stream
            return
        from airflow_provider_sixtyfour.formats.reader import comma_separated

        with TemporaryFile(prefix="sixtyfour-") as converted:
            converted.writelines(comma_separated(stream, path.name, delimiter))
            converted.seek(0)
            yield cast("BinaryIO", converted)


def checked_size(path: ObjectStoragePath, max_bytes: int = MAX_BYTES, delimiter: str | None = None) -> int:
    """
    Return a file's size in bytes.

    :raises SixtyfourInputError: if its name has another ending than the API takes, there is no such file, or it is
        empty or too large.
    """
    check_name(path.name, delimiter)
    with _explained(path):
        size: int = path.stat().st_size
        if path.is_dir():
            raise IsADirectoryError
    check_size(str(path), size, max_bytes)
    return size


@contextmanager
def _explained(path: ObjectStoragePath) -> Iterator[None]:
    """
    Give a block that asks for a file, with what the store says now.

    A store's client may keep the list of a folder, in which a file that was added since is missing, and one that was
    replaced has the size that it had.

    :raises SixtyfourInputError: if there is no such file.
    :raises SixtyfourTransferError: if the store says anything else, such as that it may not be read.
    """
    # Here, since Dag files import this module, and what writes to stores comes with it.
    from airflow_provider_sixtyfour.storage.errors import store_errors

    path.fs.invalidate_cache()
    with store_errors("read", path.fs, path.path, then="Nothing was started or paid for."), _input_errors(path):
        yield


@contextmanager
def _input_errors(path: ObjectStoragePath) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise SixtyfourInputError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise SixtyfourInputError(f"{path} is a folder, not a file.") from None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise SixtyfourInputError(f"There is no such file: its name is longer than its store takes, {path}.") from None
    except ValueError:  # half a surrogate pair, a NUL
        raise SixtyfourInputError(f"There is no such file: no name is {str(path)!a}.") from None


def measure(path: ObjectStoragePath, max_rows: int = MAX_ROWS, delimiter: str | None = None) -> InputFile:
    """
    Read a file through, once: check it, count its rows, and hash it.

    :param delimiter: what separates the cells of CSV, where it was given.
    :raises SixtyfourInputError: if it can't be sent; the message names the line.
    """
    checked_size(path, delimiter=delimiter)
    with sendable(path, delimiter) as stream:
        hashed = HashingReader(stream)
        rows = count_rows(cast("BinaryIO", hashed), path.name, extension(path), max_rows, delimiter)
        hashed.add_rest(stream)
        check_size(str(path), hashed.bytes, MAX_BYTES)
        return InputFile(path, rows, hashed.bytes, hashed.sha256, delimiter)


def send(client: SixtyfourClient, file: InputFile) -> str:
    """
    Upload a file, and return its handle.

    :raises SixtyfourInputError: if it has changed since it was measured.
    """
    checked_size(file.path, delimiter=file.delimiter)
    with sendable(file.path, file.delimiter) as stream:
        hashed = HashingReader(stream)
        handle = client.send(calls.upload_file(cast("BinaryIO", hashed), file.name))
    if hashed.sha256 != file.sha256:
        raise SixtyfourInputError(
            f"The file {file.path} has other content than when it was measured, so no run was started. Clear the task "
            "that makes it, together with this one."
        )
    return handle
