"""Counts the rows of a result file while it is read, in constant memory."""

from __future__ import annotations

import io
import re
from typing import Protocol

from airflow_provider_sixtyfour.formats.csv_records import STRAY
from airflow_provider_sixtyfour.formats.records import BYTE_ORDER_MARK

DEEPEST = 1000  # JSON in JSON; Python's own parser stops about here


class RowCount(Protocol):
    """Counts rows from chunks of a file; gives up on one that is nested too deeply."""

    is_too_deep: bool

    def feed(self, chunk: bytes) -> None:
        """Take in the next chunk."""

    def rows(self) -> int | None:
        """Return the number of rows, once all has been fed; ``None`` if it is not known."""


class _Mark:
    """Takes a byte order mark off the beginning of a file."""

    def __init__(self) -> None:
        self._left = BYTE_ORDER_MARK

    def off(self, chunk: bytes) -> bytes:
        """Return the next chunk without what is left of the mark."""
        while self._left and chunk:
            if chunk[0] != self._left[0]:
                self._left = b""
                break
            self._left, chunk = self._left[1:], chunk[1:]
        return chunk


class CsvRows:
    """
    Rows of a CSV file below its header, as Python reads it: a quoted field may span lines, an empty line is no row.

    Nothing here is done byte by byte, or line by line where there are no empty ones. Only after a quote in the middle
    of a cell, which is text there, is each cell looked at.
    """

    _NO_LINE_FEED = bytes(set(range(256)) - set(b"\n"))
    _EMPTY_LINES = re.compile(rb"\n(?=\n)")
    _LONE_RETURN = re.compile(rb"\r(?!\n)")
    is_too_deep = False

    def __init__(self) -> None:
        self._mark = _Mark()
        self._is_quoted = False
        self._last = b"\n"  # byte, outside of quotes
        self._cells: _Cells | None = None
        self._held = b""
        self._records = 0

    def feed(self, chunk: bytes) -> None:
        """Take in the next chunk."""
        chunk = self._held + self._mark.off(chunk) if self._held else self._mark.off(chunk)
        self._held = b""
        if b"\r" in chunk:
            if chunk.endswith(b"\r"):  # half of a line end, maybe
                chunk, self._held = chunk[:-1], b"\r"
            if self._LONE_RETURN.search(chunk):
                chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            else:
                chunk = chunk.translate(None, b"\r")
        if chunk:
            self._count(chunk)

    def _count(self, chunk: bytes) -> None:
        if self._cells is not None:
            self._cells.feed(chunk)
        elif b'"' not in chunk and (self._is_quoted or self._last != b'"'):
            if not self._is_quoted:
                self._records += self._plain_lines(chunk)
                self._last = chunk[-1:]
        else:
            self._count_with_quotes(chunk)

    def _count_with_quotes(self, chunk: bytes) -> None:
        parts = chunk.split(b'"')
        is_quoted = self._is_quoted ^ (len(parts) % 2 == 0)
        # What is outside of quotes, with one quote for what is inside; also where that began before, or ends later.
        outside = b'"'.join(parts[self._is_quoted :: 2])
        outside = (b'"' if self._is_quoted else b"") + outside + (b'"' if is_quoted else b"")
        if STRAY.search(outside if self._is_quoted else self._last + outside):
            self._cells = _Cells(self._is_quoted, self._last)
            self._cells.feed(chunk)
            return
        self._records += len(outside.translate(None, self._NO_LINE_FEED))
        if b"\n\n" in outside:
            self._records -= len(self._EMPTY_LINES.findall(outside))
        self._records -= not self._is_quoted and self._last == b"\n" and outside.startswith(b"\n")
        self._is_quoted, self._last = is_quoted, outside[-1:]

    def _plain_lines(self, chunk: bytes) -> int:
        """Return how many lines that aren't empty end in a chunk without quotes."""
        begins_empty = self._last == b"\n" and chunk.startswith(b"\n")
        lines = io.BytesIO(chunk).readlines()  # faster than anything else that finds line ends
        ends_of_lines = len(lines) - (not chunk.endswith(b"\n"))
        ends_a_line_before = chunk.startswith(b"\n") and not begins_empty
        return ends_of_lines - lines.count(b"\n") + ends_a_line_before

    @property
    def is_open(self) -> bool:
        """Whether a quote is not closed yet: what comes next is in the same cell."""
        return self._is_quoted if self._cells is None else self._cells.is_quoted

    def rows(self) -> int:
        """Return the number of rows."""
        if self._cells is not None:
            return max(0, self._records + self._cells.records + self._cells.has_content - 1)
        has_last_line = self._last != b"\n" or self._is_quoted
        return max(0, self._records + has_last_line - 1)


class _Cells:
    """
    Records of CSV, found cell by cell, from somewhere on.

    :param is_quoted: whether that is within quotes.
    :param last: the byte before.
    """

    _END = re.compile(rb"[,\n]")

    def __init__(self, is_quoted: bool, last: bytes) -> None:
        self.is_quoted = is_quoted
        self.has_content = is_quoted or last != b"\n"
        self.records = 0
        self._may_quote = last in (b"\n", b",", b'"')  # a cell begins, or a quote that ended it may have been doubled

    def feed(self, chunk: bytes) -> None:
        """Take in the next chunk."""
        at = 0
        while at < len(chunk):
            if self.is_quoted:
                end = chunk.find(b'"', at) + 1
                self.is_quoted, self._may_quote = not end, True
                at = end or len(chunk)
            elif self._may_quote and chunk.startswith(b'"', at):
                self.is_quoted = self.has_content = True
                at += 1
            elif found := self._END.search(chunk, at):
                is_line_end = found[0] == b"\n"
                self.records += is_line_end and (self.has_content or found.start() > at)
                self.has_content, self._may_quote = not is_line_end, True
                at = found.end()
            else:
                self.has_content, self._may_quote = True, False
                return


class LineRows:
    """Rows of a file with one JSON value a line (NDJSON); a blank line is no row."""

    is_too_deep = False

    def __init__(self) -> None:
        self._mark = _Mark()
        self._records = 0
        self._line_has_content = False

    def feed(self, chunk: bytes) -> None:
        """Take in the next chunk."""
        *lines, rest = self._mark.off(chunk).split(b"\n")
        for line in lines:
            self._records += bool(line.strip()) or self._line_has_content
            self._line_has_content = False
        self._line_has_content = self._line_has_content or bool(rest.strip())

    def rows(self) -> int:
        """Return the number of rows."""
        return self._records + self._line_has_content


class JsonRows:
    """
    Rows of a JSON array: the values directly inside it.

    A document that is nested much more than `DEEPEST` times is not counted (`is_too_deep`): it would take very long.
    """

    _BRACKETS = bytes.maketrans(b"{}", b"[]")
    _REST = bytes(set(range(256)) - set(b'"[]{},'))
    _INNERMOST = re.compile(rb"\[,*\]")

    def __init__(self) -> None:
        self._mark = _Mark()
        self.is_too_deep = False
        self._is_array: bool | None = None
        self._is_empty: bool | None = None
        self._is_text = False
        self._held = b""
        self._open = b""
        self._commas = 0

    def feed(self, chunk: bytes) -> None:
        """Take in the next chunk."""
        chunk = self._held + self._mark.off(chunk)
        # Half of an escape, maybe; all of the backslashes, so that they are paired from the first one on.
        end = len(chunk.rstrip(b"\\")) if chunk.endswith(b"\\") else len(chunk)
        chunk, self._held = chunk[:end], chunk[end:]
        if self._is_array is None and (start := chunk.lstrip()):
            self._is_array = start.startswith(b"[")
            chunk = start[1:]  # without the bracket of the array itself: what is in no other bracket is a row
        if self._is_empty is None and self._is_array and (start := chunk.lstrip()):
            self._is_empty = start.startswith(b"]")
        if self._is_array and not self.is_too_deep:
            self._count(chunk)

    def _count(self, chunk: bytes) -> None:
        if b"\\" in chunk:
            chunk = chunk.replace(b"\\\\", b"").replace(b'\\"', b"")
        # Two quotes with nothing between them that counts: nothing is left of them.
        shape = chunk.translate(self._BRACKETS, self._REST).replace(b'""', b"")
        parts = shape.split(b'"')
        shape = self._open + b"".join(parts[self._is_text :: 2])
        self._is_text ^= len(parts) % 2 == 0
        for _ in range(DEEPEST + 1):
            shape, found = self._INNERMOST.subn(b"", shape)
            if not found:
                break
        else:
            self.is_too_deep = True
        outside = shape.find(b"[")
        outside = len(shape) if outside < 0 else outside
        self._commas += shape.count(b",", 0, outside)
        self._open = shape[outside:].replace(b",", b"")
        self.is_too_deep |= len(self._open) > DEEPEST

    def rows(self) -> int | None:
        """Return the number of rows; ``None`` if the file is no array, or nested too deeply."""
        if not self._is_array or self.is_too_deep:
            return None
        return 0 if self._is_empty else self._commas + 1
