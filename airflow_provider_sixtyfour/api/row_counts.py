"""Counts the rows of a result file while it is read, in constant memory."""

from __future__ import annotations

import re
from typing import Protocol


class RowCount(Protocol):
    """Counts rows from pieces of a file."""

    def feed(self, chunk: bytes) -> None:
        """Take in the next piece."""

    def rows(self) -> int | None:
        """Return the number of rows, once all has been fed; ``None`` if it can't be told."""


class _Mark:
    """Takes a byte order mark off the beginning of a file."""

    _MARK = b"\xef\xbb\xbf"

    def __init__(self) -> None:
        self._left = self._MARK

    def off(self, chunk: bytes) -> bytes:
        """Return the next piece without what is left of the mark."""
        while self._left and chunk:
            if chunk[0] != self._left[0]:
                self._left = b""
                break
            self._left, chunk = self._left[1:], chunk[1:]
        return chunk


class CsvRows:
    """Rows of a CSV file below its header; a quoted field may span lines, an empty line is no row."""

    def __init__(self) -> None:
        self._mark = _Mark()
        self._is_quoted = False
        self._line_has_content = False
        self._records = 0

    def feed(self, chunk: bytes) -> None:
        """Take in the next piece."""
        # A doubled quote inside a quoted field closes and opens it again: parity is all that counts.
        for number, part in enumerate(self._mark.off(chunk).split(b'"')):
            if number:
                self._is_quoted = not self._is_quoted
                self._line_has_content = True
            if self._is_quoted or not part:
                continue
            *lines, rest = re.split(rb"\r\n|\n|\r", part) if b"\r" in part else part.split(b"\n")
            for line in lines:
                self._records += bool(line) or self._line_has_content
                self._line_has_content = False
            self._line_has_content = self._line_has_content or bool(rest)

    def rows(self) -> int:
        """Return the number of rows."""
        return max(0, self._records + self._line_has_content - 1)


class LineRows:
    """Rows of a file with one JSON value a line (NDJSON); a blank line is no row."""

    def __init__(self) -> None:
        self._mark = _Mark()
        self._records = 0
        self._line_has_content = False

    def feed(self, chunk: bytes) -> None:
        """Take in the next piece."""
        *lines, rest = self._mark.off(chunk).split(b"\n")
        for line in lines:
            self._records += bool(line.strip()) or self._line_has_content
            self._line_has_content = False
        self._line_has_content = self._line_has_content or bool(rest.strip())

    def rows(self) -> int:
        """Return the number of rows."""
        return self._records + self._line_has_content


class JsonRows:
    """Rows of a JSON array: the values directly inside it."""

    _TOKEN = re.compile(rb'[\[\]{},"\\]')

    def __init__(self) -> None:
        self._mark = _Mark()
        self._depth = 0
        self._is_text = False
        self._is_escaped = False
        self._commas = 0
        self._is_empty = True
        self._is_array: bool | None = None

    def feed(self, chunk: bytes) -> None:
        """Take in the next piece."""
        position = 0
        chunk = self._mark.off(chunk)
        if self._is_array is None and (start := chunk.lstrip()):
            self._is_array = start.startswith(b"[")
        for match in self._TOKEN.finditer(chunk):
            token = match.group()
            between = chunk[position : match.start()]
            position = match.end()
            if between:
                self._is_escaped = False
            if self._is_text:
                if self._is_escaped:
                    self._is_escaped = False
                elif token == b"\\":
                    self._is_escaped = True
                elif token == b'"':
                    self._is_text = False
                continue
            if self._depth == 1 and (between.strip() or token not in b"],"):
                self._is_empty = False
            if token == b'"':
                self._is_text = True
            elif token in b"[{":
                self._depth += 1
            elif token in b"]}":
                self._depth -= 1
            elif self._depth == 1:
                self._commas += 1
        rest = chunk[position:]
        if rest:
            self._is_escaped = False
        if self._depth == 1 and not self._is_text and rest.strip():
            self._is_empty = False

    def rows(self) -> int | None:
        """Return the number of rows; ``None`` if the file is no array."""
        if not self._is_array:
            return None
        return 0 if self._is_empty else self._commas + 1


def row_count(format: str) -> RowCount:
    """Return a counter for one of the formats ``csv``, ``ndjson``, ``json``."""
    counters: dict[str, type[CsvRows | LineRows | JsonRows]] = {"csv": CsvRows, "ndjson": LineRows, "json": JsonRows}
    return counters[format]()
