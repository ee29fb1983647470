"""
Result files as Parquet: typed from NDJSON, or text from CSV.

Invariant: memory is bounded by a block of the text, which becomes a row group, however large the file is. Every row
group has the schema of the whole file. Types are those of JSON: a text that looks like a time stays a text, so that the
same column doesn't have another type in another run; no digit of a number is lost. A schema that is given goes before
all of this. What can't be Parquet is left as it came: it was paid for.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_sixtyfour.formats.parquet.casts import ParquetImpossibleError
from airflow_provider_sixtyfour.formats.parquet.source import Notes, as_utf8
from airflow_provider_sixtyfour.formats.parquet.types import arrow_type
from airflow_provider_sixtyfour.formats.table import FORMATS
from airflow_provider_sixtyfour.storage.file_stats import FileStats

Schema = Mapping[str, str]
Warn = Callable[..., object]
_CHUNK = 1024 * 1024  # bytes


@contextmanager
def as_parquet(format: str, schema: Schema | None) -> Iterator[AsParquet]:
    """
    Give a file that is collected on local disk as it comes, then written as Parquet.

    :param format: what comes; one that has a ``to_parquet``.
    """
    with tempfile.TemporaryFile(prefix="sixtyfour-") as file, tempfile.TemporaryFile(prefix="sixtyfour-") as made:
        yield AsParquet(cast("BinaryIO", file), cast("BinaryIO", made), format, schema)


class AsParquet:
    """
    One file on its way to Parquet.

    :param file: what it is collected in.
    :param made: what the Parquet file is written to.
    """

    def __init__(self, file: BinaryIO, made: BinaryIO, format: str, schema: Schema | None) -> None:
        self._file = file
        self._made = made
        self._format = format
        self._given = {column: arrow_type(column, name) for column, name in (schema or {}).items()}
        self.stats = FileStats()
        self.is_parquet = False
        self._begin()

    def _begin(self) -> None:
        self._lone_returns = 0
        self._last = b""

    @property
    def size(self) -> int:
        """How many bytes `publish` gives."""
        return self.stats.bytes if self.is_parquet else self._file.seek(0, io.SEEK_END)

    def write(self, chunk: bytes) -> None:
        """Take in the next chunk."""
        self._file.write(chunk)
        if b"\r" in chunk or self._last == b"\r":
            self._lone_returns += chunk.count(b"\r") - (self._last + chunk).count(b"\r\n")
        self._last = chunk[-1:] or self._last

    def start_over(self) -> None:
        """Forget all that was written."""
        self._file.seek(0)
        self._file.truncate()
        self._begin()

    def convert(self, name: str, warn: Warn) -> bool:
        """
        Make Parquet of the whole, if that can be; `stats` are those of the Parquet file afterwards.

        :param name: of the file, for a message.
        :param warn: takes one message, as a logger's method does: what differs, or why it can't be.
        :returns: whether it could. Else `publish` gives the file as it came.
        :raises OSError: if the local disk fails.
        """
        notes = Notes()
        try:
            self._convert(notes)
        except Exception as error:
            # Parquet's own errors come as OSErrors too, without a number.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            warn("Not written as Parquet, but as the %s that it was: %s. %s", self._format, _why(error), name)
            return False
        self.is_parquet = True
        if differs := notes.text():
            warn("Parquet differs from the %s that it was made of: %s. %s", self._format, differs, name)
        return True

    def _convert(self, notes: Notes) -> None:
        to_parquet = cast("Callable[..., None]", FORMATS[self._format].to_parquet)
        text = as_utf8(self._file, notes)
        to_parquet(text, self._given, notes, self._write, lone_returns=self._lone_returns)

    def _write(self, schema: pa.Schema, row_groups: Iterator[pa.Table]) -> None:
        self._made.seek(0)
        self._made.truncate()
        self.stats.start_over()
        with pq.ParquetWriter(self._made, schema) as writer:
            for table in row_groups:
                if table.num_rows:
                    writer.write_table(table, row_group_size=table.num_rows)
                    self.stats.rows += table.num_rows
        self._made.seek(0)
        self.stats.add_rest(self._made)

    def publish(self, write: Callable[[bytes], object]) -> None:
        """
        Give the Parquet file, or else the file as it came.

        :param write: is given it in chunks.
        """
        for chunk in _chunks(self._made if self.is_parquet else self._file):
            write(chunk)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk


def _why(error: Exception) -> str:
    """Return the reason on one line."""
    said = " ".join(str(error).split()) or type(error).__name__
    prefix = "" if isinstance(error, ParquetImpossibleError) else f"{type(error).__name__}: "
    return (prefix + "".join(char if char.isprintable() else "�" for char in said)[:300]).rstrip(".")
