"""
CSV, as uploaded files are read and result files are written.

Invariant: cells are what Python's ``csv`` reads, and bytes are what it writes. It goes through them one character at a
time, so it is asked only where there are quotes: a line without one is split at its commas, a row that needs none is
joined, both in a fraction of the time.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

csv.field_size_limit(2**31 - 1)


class Reader:
    """
    Gives the cells of each row, none for an empty line.

    :param file: opened with ``newline=""``.
    :raises csv.Error: while rows are read, for quotes that aren't closed, or are closed within a cell.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        # What csv reads: a line that was looked at, then those after it.
        self._held = held = list[str]()
        lines = iter(lambda: held.pop() if held else file.readline(), "")
        self._quoted = csv.reader(lines, strict=True)
        self._plain = 0  # lines that csv has not seen

    @property
    def line_num(self) -> int:
        """How many lines were read."""
        return self._plain + self._quoted.line_num

    def __iter__(self) -> Iterator[list[str]]:
        for line in self._file:
            if '"' in line:
                self._held.append(line)
                yield next(self._quoted)  # takes more lines where a cell continues
            else:
                self._plain += 1
                text = line.rstrip("\r\n")
                yield text.split(",") if text else []


class Writer:
    """
    Writes rows below a header.

    :param file: opened with ``newline=""``.
    :param columns: the members to write; one that a row doesn't have is an empty cell.
    """

    def __init__(self, file: TextIO, columns: Sequence[str]) -> None:
        self._file = file
        self._columns = columns
        self._quoting = csv.writer(file, lineterminator="\r\n")
        self._quoting.writerow(columns)

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row."""
        cells: list[Any] = list(map(row.get, self._columns))
        try:
            text = ",".join(cells)
        except TypeError:  # not all are strings
            cells = [_cell(value) for value in cells]
            text = ",".join(cells)
        # A row of one empty cell is quoted too: else it would be an empty line.
        if not text or text.count(",") >= len(cells) or '"' in text or "\n" in text or "\r" in text:
            self._quoting.writerow(cells)
        else:
            self._file.write(text + "\r\n")


def _cell(value: Any) -> str:
    if isinstance(value, str) or value is None:
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
