"""
CSV as columns of text: what has no types gets none, so no zero in front and no digit is lost.

Invariant: pyarrow reads a file where each row has as many cells as the header; Python reads any other, the same way.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pc

from airflow_provider_sixtyfour.formats.parquet import source
from airflow_provider_sixtyfour.formats.parquet.casts import ParquetImpossibleError, cast
from airflow_provider_sixtyfour.formats.parquet.source import Notes, WriteTables, blocks, check_columns, unique_names

_LONE_RETURN = re.compile(r"\r(?!\n)")
_IN_PLACE_OF_A_RETURN = "\udc0d"  # in no text that was decoded


def convert_csv(
    text: BinaryIO, given: Mapping[str, pa.DataType], notes: Notes, write: WriteTables, *, lone_returns: int
) -> None:
    """Write the rows of a file; see `formats.parquet.writer`."""
    start = text.tell()
    if lone_returns == 0:
        try:
            regular = CsvText(text, given, notes, is_regular=True)
            write(regular.schema, regular.row_groups())
        except (pa.ArrowException, ValueError):
            notes.clear()  # not as regular as CSV should be: Python reads that
        else:
            return
    text.seek(start)
    irregular = CsvText(text, given, notes, is_regular=False)
    write(irregular.schema, irregular.row_groups())


class CsvText:
    """
    One file of CSV.

    :param file: at the first character.
    :param is_regular: whether pyarrow may read it.
    """

    def __init__(self, file: BinaryIO, given: Mapping[str, pa.DataType], notes: Notes, *, is_regular: bool) -> None:
        self._file = file
        self._start = file.tell()
        self._given = given
        self._is_regular = is_regular
        header = next(self._rows(Notes()), [])
        width = len(header) if is_regular else self._width(notes)
        check_columns(header)
        if width > len(header):
            notes.add(f"rows have up to {width:,} cells, the header {len(header):,}")
        names = unique_names([*header, *[""] * (width - len(header))], notes)
        self._names = names
        self._missing = [name for name in given if name not in set(names)]
        notes.columns("null throughout, since only parquet_schema has them:", self._missing)
        self.schema = pa.schema([(name, given.get(name, pa.string())) for name in [*names, *self._missing]])

    def row_groups(self) -> Iterator[pa.Table]:
        """Give the rows."""
        if not self._names:
            return
        row = 1
        for columns in self._by_arrow() if self._is_regular else self._by_python():
            count = len(columns[0])
            arrays = [
                cast(each, self.schema.field(index).type, self._names[index], row) for index, each in enumerate(columns)
            ]
            arrays += [pa.nulls(count, self._given[name]) for name in self._missing]
            row += count
            yield pa.Table.from_arrays(arrays, schema=self.schema)

    def _by_arrow(self) -> Iterator[list[pa.Array]]:
        self._file.seek(self._start)
        reader = pc.open_csv(
            self._file,
            # The names are in the first row: read as one of text, whatever is wrong with them.
            read_options=pc.ReadOptions(block_size=source.BLOCK, column_names=self._names),
            parse_options=pc.ParseOptions(newlines_in_values=True),
            convert_options=pc.ConvertOptions(
                column_types=dict.fromkeys(self._names, pa.string()), strings_can_be_null=False
            ),
        )
        header = 1
        for batch in reader:
            if batch.num_rows:
                yield batch[header:].columns
                header = 0

    def _by_python(self) -> Iterator[list[pa.Array]]:
        rows = self._rows(Notes())
        next(rows, None)
        width = len(self._names)
        most = max(1, source.MOST_CELLS // width)
        collected: list[list[str | None]] = []
        size = 0
        for row in rows:
            collected.append([*row, *[None] * (width - len(row))])
            size += sum(map(len, row))
            if size >= source.BLOCK // 2 or len(collected) * width >= source.MOST_CELLS // 8 or len(collected) >= most:
                yield _columns(collected, width)
                collected, size = [], 0
        if collected:
            yield _columns(collected, width)

    def _width(self, notes: Notes) -> int:
        """Return how many cells the longest row has; note what was replaced, and rows with other numbers of cells."""
        width = header = short = 0
        for number, row in enumerate(self._rows(notes)):
            if number == 0:
                header = len(row)
            width = max(width, len(row))
            short += len(row) < header
            if width > source.MOST_COLUMNS:
                raise ParquetImpossibleError(f"row {number:,} has more than {source.MOST_COLUMNS:,} cells")
        if short:
            notes.add(f"null where rows have fewer cells than the header: {short:,} of them")
        return width

    def _rows(self, notes: Notes) -> Iterator[list[str]]:
        """Give the cells of each row, the header first; an empty line is no row."""
        self._file.seek(self._start)
        lines = _Lines(self._file, notes)
        csv.field_size_limit(max(csv.field_size_limit(), source.LONGEST_ROW))
        for row in csv.reader(lines):
            lines.row_bytes = 0
            if row:
                yield [cell.replace(_IN_PLACE_OF_A_RETURN, "\r") for cell in row] if lines.has_returns else row


class _Lines:
    """
    The lines of a file, for Python's reader.

    A carriage return alone is a character of a cell, but where there are no line feeds.
    """

    def __init__(self, file: BinaryIO, notes: Notes) -> None:
        self.row_bytes = 0
        self.has_returns = False
        self._lines = self._read(file, notes)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.row_bytes += len(line)
        if self.row_bytes > source.LONGEST_ROW:
            raise ParquetImpossibleError(
                f"a row has more than {source.LONGEST_ROW:,} characters: is a quote not closed?"
            )
        return line

    def _read(self, file: BinaryIO, notes: Notes) -> Iterator[str]:
        has_feeds = False
        for block in blocks(file, notes, has_escapes=False):
            text = block.decode()
            has_feeds = has_feeds or "\n" in text
            if has_feeds and "\r" in text:
                text, found = _LONE_RETURN.subn(_IN_PLACE_OF_A_RETURN, text)
                self.has_returns = self.has_returns or found > 0
            yield from io.StringIO(text, newline="")


def _columns(rows: Sequence[Sequence[str | None]], width: int) -> list[pa.Array]:
    columns = list(zip(*rows, strict=True))
    return [pa.array(columns[index], pa.string()) for index in range(width)]
