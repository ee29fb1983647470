"""
Files of results, read as they are: they are the API's, they are paid for, and nobody can correct them.

Invariant: nothing in such a file is an error. What follows RFC 4180 is read by it. Where a quote stands in the middle
of a cell it is text, a carriage return within a line too, and bytes that are no UTF-8 stay the bytes that they are, but
for those of UTF-16, which become UTF-8.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Protocol, cast

from airflow_provider_sixtyfour.formats.columns import Seen, refuse_missing_or_double
from airflow_provider_sixtyfour.formats.csv_records import BLANK, LENIENT_RECORD, cells
from airflow_provider_sixtyfour.formats.input_formats import check_readable
from airflow_provider_sixtyfour.formats.records import BLOCK, BYTE_ORDER_MARK, LONGEST_RECORD, UTF_16_MARKS, Readable
from airflow_provider_sixtyfour.formats.row_count import CsvRows, LineRows, RowCount
from airflow_provider_sixtyfour.formats.sniffing import PeekedStream

_BLANK_LINES = re.compile(rb"^[ \t\r]*\n", re.MULTILINE)
_BLANKS = (b"\n", b"\r", b" ", b"\t")
_MAYBE_BLANK = (b"\n\n", b"\n\r", b"\n ", b"\n\t")


class Result(Protocol):
    """
    A file of results.

    ``header`` is what it begins with, with a line end; empty for JSON lines, and for a file without a line. ``columns``
    are the names in it.
    """

    @property
    def header(self) -> bytes: ...  # noqa: D102
    @property
    def columns(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def rows(self) -> int:
        """How many rows it has, once all was read."""

    @property
    def is_endless(self) -> bool:
        """Whether a quote is not closed in it, once `chunks` has given all: what is appended would be in a cell."""

    def chunks(self) -> Iterator[bytes]:
        """Give all that is below the header, once, as it stands there, with a line end after the last row."""

    def cells(self) -> Iterator[list[str]]:
        """Give each row by its cells instead; a byte that is no UTF-8 as Python's half surrogate pair for it."""

    def require(self, names: Iterable[str]) -> None:
        """
        Have it checked that there are columns of these names.

        :raises SixtyfourInputError: if there aren't; or `mappings` does after the last row.
        """

    def mappings(self) -> Iterator[Mapping[str, Any]]:
        """Give each row by the names of its columns instead."""


def open_result(stream: Readable, name: str) -> Result:
    """
    Return the rows of a file of results.

    :param name: its name, which gives its format.
    :raises SixtyfourInputError: if its rows are not one a line.
    """
    has_header = check_readable(name, None).has_header
    return CsvResult(stream, name) if has_header else JsonResult(stream, name)


class CsvResult:
    """A `Result` of CSV: reads the header when it is made."""

    def __init__(self, stream: Readable, name: str) -> None:
        self._name = name
        self.rows = 0
        self.is_endless = False
        looked = _peeked(stream)
        has_old_ends = b"\n" not in looked.start and b"\r" in looked.start  # of a time when lines ended in that
        blocks = iter(lambda: looked.read(BLOCK), b"")
        self._records = _Records(_with_line_feeds(blocks) if has_old_ends else blocks)
        self.header = self._records.first()
        self.columns: Sequence[str] = cells(self.header) if self.header else ()

    def chunks(self) -> Iterator[bytes]:
        """Give all that is below the header."""
        count = CsvRows()  # as the rows are counted when a file lands
        count.feed(self.header)
        ending = b"\r\n" if self.header.endswith(b"\r\n") else b"\n"
        yield from _ended(_counted(self._records.rest(), count), ending)
        self.rows = count.rows()
        self.is_endless = count.is_open

    def cells(self) -> Iterator[list[str]]:
        """Give each row by its cells."""
        for record in self._records:
            if record not in BLANK:
                self.rows += 1
                yield cells(record)

    def require(self, names: Iterable[str]) -> None:
        """
        Check that there is one column of each of these names, in a file that has a header.

        :raises SixtyfourInputError: if there isn't.
        """
        if self.header:
            refuse_missing_or_double(self._name, names, self.columns)

    def mappings(self) -> Iterator[Mapping[str, str]]:
        """Give each row by the names of its columns; a row may lack some."""
        for each in self.cells():
            yield dict(zip(self.columns, each, strict=False))


class JsonResult:
    """A `Result` of JSON lines."""

    header = b""
    columns: Sequence[str] = ()
    is_endless = False

    def __init__(self, stream: Readable, name: str) -> None:
        self._count = LineRows()
        self._seen = Seen(name)
        looked = _peeked(stream)
        self._blocks = _counted(iter(lambda: looked.read(BLOCK), b""), self._count)

    @property
    def rows(self) -> int:
        """How many lines aren't blank."""
        return self._count.rows() or 0

    def chunks(self) -> Iterator[bytes]:
        """Give all lines that aren't blank."""
        yield from _ended(_without_blank_lines(self._blocks), b"\n")

    def cells(self) -> Iterator[list[str]]:
        """Give nothing: each row has columns of its own."""
        yield from ()

    def require(self, names: Iterable[str]) -> None:
        """Have it checked that some row has members of these names."""
        self._seen.want(names)

    def mappings(self) -> Iterator[Mapping[str, Any]]:
        """
        Give each line that is an object; another one says nothing of any row.

        :raises SixtyfourInputError: after the last, if none has a member that is required.
        """
        for line in _lines(self._blocks):
            try:
                row = json.loads(line.decode("utf-8", "surrogateescape"))
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                self._seen.note(row)
                yield row
        self._seen.check()


class _Records:
    """
    The records of CSV, one by one, or from somewhere on as they come.

    :param blocks: the bytes.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._data = b""
        self._at = 0
        self._has_quotes = False
        self._is_last = False

    def first(self) -> bytes:
        """Return the first record that isn't an empty line, with a line end; nothing if there is none."""
        return next((record for record in self if record not in BLANK), b"")

    def rest(self) -> Iterator[bytes]:
        """Give what is left as it comes."""
        if rest := self._data[self._at :]:
            yield rest
        yield from self._blocks

    def __iter__(self) -> Iterator[bytes]:
        while (record := self._next()) is not None:
            yield record

    def _next(self) -> bytes | None:
        while not (end := self._end()):
            if self._is_last:
                return None
            self._read_on()
        record, self._at = self._data[self._at : end], end
        return record if record.endswith(b"\n") else record + b"\n"

    def _end(self) -> int:
        """Return where the next record ends; 0 if that isn't known yet, or there is none."""
        if not self._has_quotes:
            end = self._data.find(b"\n", self._at) + 1
        elif found := LENIENT_RECORD.match(self._data, self._at):
            end = found.end()
        elif self._is_last or len(self._data) - self._at > LONGEST_RECORD:
            end = self._data.find(b"\n", self._at) + 1  # a quote opens, and nothing closes it
        else:
            return 0
        return end or (len(self._data) if self._is_last and self._at < len(self._data) else 0)

    def _read_on(self) -> None:
        rest = self._data[self._at :]
        taken, size = [rest], 0
        # As much again as is left over: a long record is looked through a few times, not once a block.
        while size <= len(rest) and (block := next(self._blocks, b"")):
            taken.append(block)
            size += len(block)
        self._is_last = not size
        self._data, self._at = b"".join(taken), 0
        self._has_quotes = b'"' in self._data


def _peeked(stream: Readable) -> PeekedStream:
    """Return a stream at its first character; of UTF-16, the same in UTF-8."""
    looked = PeekedStream(stream)
    if looked.start.startswith(UTF_16_MARKS):
        looked = PeekedStream(_utf_8(looked))
    looked.start = looked.start.removeprefix(BYTE_ORDER_MARK)
    return looked


def _utf_8(looked: PeekedStream) -> Readable:
    recoded: Readable = codecs.EncodedFile(cast("IO[bytes]", looked), "utf-8", "utf-16", errors="replace")
    return recoded


def _counted(blocks: Iterable[bytes], count: RowCount) -> Iterator[bytes]:
    for block in blocks:
        count.feed(block)
        yield block


def _ended(blocks: Iterable[bytes], ending: bytes) -> Iterator[bytes]:
    """Give blocks, and a line end if the last has none."""
    last = b"\n"
    for block in blocks:
        if block:
            yield block
            last = block[-1:]
    if last != b"\n":
        yield b"\n" if last == b"\r" else ending


def _with_line_feeds(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        yield block.replace(b"\r", b"\n")


def _without_blank_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Give blocks without lines that hold nothing; what may become one is held back until the next block."""
    held, begins_line = b"", True
    for block in blocks:
        data, held = held + block, b""
        last = data.rfind(b"\n") + 1
        if (last or begins_line) and not data[last:].strip():
            data, held = data[:last], data[last:]
        if not data:
            continue
        start = 0 if begins_line else data.find(b"\n") + 1
        if start or begins_line:
            begins_line = data.endswith(b"\n")
            if data[start : start + 1] in _BLANKS or any(one in data for one in _MAYBE_BLANK):
                data = data[:start] + _BLANK_LINES.sub(b"", data[start:])
        yield data


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Give each line."""
    parts: list[bytes] = []
    for block in blocks:
        first, *others = block.split(b"\n")
        parts.append(first)
        for line in others:
            yield b"".join(parts)
            parts = [line]
    yield b"".join(parts)
