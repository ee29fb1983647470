"""
Counts what the columns of a file have in them, while it is read, in bounded memory.

Invariant: how the file was cut into chunks doesn't show. Each function below takes the chunks of one file, returns its
`Quality`, and raises an exception for a file that it can't read: one that isn't in the format, or has a record of more
than `LONGEST_RECORD`.

A column without a name, or with one that another column has too, is left out. See `formats.column_counter` for what
else is bounded.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from airflow_provider_sixtyfour.formats.cell_values import cell_text
from airflow_provider_sixtyfour.formats.column_counter import ColumnCounter, ColumnCounters
from airflow_provider_sixtyfour.formats.quality import Quality
from airflow_provider_sixtyfour.formats.records import LONGEST_RECORD

_BLOCK = 128 * 1024  # bytes or characters whose rows are counted together
_BLOCK_ROWS = 256  # of JSON, likewise: fewer objects than Python's garbage collector takes notice of
_ROWS_AFTER_QUOTES = 100  # which probably have quotes, too
_ENCODING = "utf-8-sig"
_ERRORS = "surrogateescape"
# A number stays the text that it is: two that are written alike are one value, and none is too large.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str)
_SPACE = re.compile(r"[ \t\n\r]*")


def count_csv(chunks: Iterable[bytes]) -> Quality:
    """
    Count the columns of a CSV file with a header, as Python's own reader reads it.

    A row that is shorter than the header has nothing in the missing cells; surplus cells are ignored.
    """
    stream = _ChunkStream(chunks)
    text = io.TextIOWrapper(stream, encoding=_ENCODING, errors=_ERRORS, newline="")
    rows = _csv_rows(text)
    header = next(rows, [])
    width, times = len(header), Counter(header)
    columns = ColumnCounters()
    by_place = [
        (place, column)
        for place, name in enumerate(header)
        if times[name] == 1 and (column := columns.add(name)) is not None
    ]
    # The cells of some rows, one after the other: no row outlives its turn, so none is a garbage collector's business,
    # which with all of Airflow loaded takes longer than the counting.
    cells: list[str] = []
    for row in rows:
        cells += row if len(row) == width else [*row[:width], *[""] * (width - len(row))]
        if stream.since_mark > _BLOCK:
            _count_cells(columns, by_place, cells, width)
            cells = []
            stream.mark()
    _count_cells(columns, by_place, cells, width)
    return columns.quality()


def count_ndjson(chunks: Iterable[bytes]) -> Quality:
    """Count the columns of a file with one JSON object a line; a blank line is no row."""
    stream = _ChunkStream(chunks)
    text = io.TextIOWrapper(stream, encoding=_ENCODING, errors=_ERRORS, newline="\n")
    columns = ColumnCounters()
    block: list[str] = []
    for line in text:
        if line.strip():
            block.append(line)
        if len(block) == _BLOCK_ROWS or stream.since_mark > _BLOCK:
            _count_lines(columns, block)
            block = []
            stream.mark()
    _count_lines(columns, block)
    return columns.quality()


def count_json(chunks: Iterable[bytes]) -> Quality:
    """Count the columns of a JSON array of objects."""
    columns = ColumnCounters()
    array = _Array()
    pieces: list[str] = []
    size = 0
    for piece in codecs.iterdecode(chunks, _ENCODING, errors=_ERRORS):
        pieces.append(piece)
        size += len(piece)
        # As much again as is left over: a large object is parsed a few times, not once a chunk.
        if size > max(_BLOCK, len(array.rest)):
            array.feed("".join(pieces))
            _count_array(columns, array)
            pieces, size = [], 0
    array.feed("".join(pieces))
    _count_array(columns, array)
    array.check_end()
    return columns.quality()


def _csv_rows(text: Iterator[str]) -> Iterator[list[str]]:
    """Give the cells of each row as `csv.reader` does, in half of its time where there are no quotes."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_RECORD))
    reader = csv.reader(text)  # takes no line before it is asked for a row
    for line in text:
        if '"' in line:
            yield next(csv.reader(chain((line,), text)))
            yield from filter(None, islice(reader, _ROWS_AFTER_QUOTES))
        elif cells := line.rstrip("\r\n"):  # an empty line is no row
            yield cells.split(",")


class _ChunkStream(io.BufferedIOBase):
    """Chunks as a stream, which refuses a record that is too long."""

    name = "chunks"

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.since_mark = 0

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """Return the next chunk, whatever its size."""
        if self.since_mark > LONGEST_RECORD:
            raise ValueError("a record that is too long to be looked at")
        chunk = next(self._chunks, b"")
        self.since_mark += len(chunk)
        return chunk

    def mark(self) -> None:
        """Note that a record has ended."""
        self.since_mark = 0


def _count_cells(
    columns: ColumnCounters, by_place: Sequence[tuple[int, ColumnCounter]], cells: Sequence[str], width: int
) -> None:
    columns.rows += len(cells) // max(1, width)
    most = columns.most_distinct
    for place, column in by_place:
        column.add(cells[place::width], most)


def _count_lines(columns: ColumnCounters, lines: Sequence[str]) -> None:
    rows = _DECODER.decode(f"[{','.join(lines)}]")
    if len(rows) != len(lines):
        raise ValueError("a line that isn't one JSON value")
    _count_objects(columns, rows)


def _count_array(columns: ColumnCounters, array: _Array) -> None:
    while objects := array.objects():
        _count_objects(columns, objects)


def _count_objects(columns: ColumnCounters, rows: Sequence[Any]) -> None:
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("JSON that isn't an object")
    columns.rows += len(rows)
    if not columns.is_full:
        for name in dict.fromkeys(chain.from_iterable(rows)):
            columns.add(name)
    most = columns.most_distinct
    for name, column in columns.items():
        column.add(_texts(rows, name), most)


def _texts(rows: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return [value if type(value := row.get(name)) is str else _text(value) for row in rows]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ("true" if value else "false") if type(value) is bool else cell_text(value)


class _Array:
    """A JSON array of objects, which is read as it comes."""

    def __init__(self) -> None:
        self.rest = ""
        self._before_next = "["  # what stands before the next object; nothing once the array has ended

    def feed(self, text: str) -> None:
        """Take in the next part of the text."""
        self.rest += text

    def objects(self) -> list[Any]:
        """
        Return the next objects, some of those that have come; none if there is none.

        :raises ValueError: if it isn't such an array.
        """
        text, found = self.rest, list[Any]()
        at = _after_space(text, 0)
        while self._before_next and at < len(text) and len(found) < _BLOCK_ROWS:
            if text[at] == "]" and self._before_next == ",":
                self._before_next, at = "", at + 1
                break
            start = _after_space(text, at + 1)
            if text[at] != self._before_next or text[start : start + 1] not in ("{", "]", ""):
                raise ValueError("no JSON array of objects")
            if text.startswith("]", start):
                if self._before_next == ",":
                    raise ValueError("a comma at the end of a JSON array")
                self._before_next, at = "", start + 1
                break
            try:
                value, end = _DECODER.raw_decode(text, start)
            except json.JSONDecodeError:  # it has not come whole yet, or never will
                break
            found.append(value)
            self._before_next, at = ",", _after_space(text, end)
        self.rest = text[at:]
        if len(self.rest) > LONGEST_RECORD and not found:
            raise ValueError("an object that is too long to be looked at, or no JSON")
        return found

    def check_end(self) -> None:
        """
        Check that the array has ended.

        :raises ValueError: if it hasn't, or something follows.
        """
        if self._before_next or self.rest.strip():
            raise ValueError("JSON that is no array, or not a whole one")


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
