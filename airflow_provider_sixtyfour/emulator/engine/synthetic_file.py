"""
Result files of any size that exist nowhere.

Invariant: any part of a file can be made on its own, so neither memory nor disk grows with it; the same size always
gives the same bytes. The file is a CSV of rows of 512 bytes, the last of them padded to the size asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

_WIDTH = 512  # bytes of a row, line end included
_COLUMNS = "id,email,note"
_CHUNK_ROWS = 512
_PADDING = "x" * _WIDTH


def row_count(size: int) -> int:
    """Return how many rows a file of so many bytes has; it has one at least."""
    return max(1, size // _WIDTH - 1)


def size_of(rows: int) -> int:
    """Return the size of a file of so many rows."""
    return (rows + 1) * _WIDTH


def file_size(size: int) -> int:
    """Return the true size of a file that was asked for with this size: it has a header and one row at least."""
    return max(size, 2 * _WIDTH)


def content(size: int, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Give the bytes from `start` up to `stop`."""
    size = file_size(size)
    stop = size if stop is None else min(stop, size)
    position = start
    while position < stop:
        line = min(position // _WIDTH, row_count(size))
        base = line * _WIDTH
        chunk = _lines(line, min(line + _CHUNK_ROWS, row_count(size) + 1), size)
        piece = chunk[position - base : stop - base]
        yield piece
        position += len(piece)


def _lines(first: int, after: int, size: int) -> bytes:
    """Return lines by number; 0 is the header."""
    last = row_count(size)
    lines = [_line(number) for number in range(first, after)]
    if after == last + 1:
        lines[-1] = lines[-1][:-1] + "x" * (size - (last + 1) * _WIDTH) + "\n"
    return "".join(lines).encode()


def _line(number: int) -> str:
    if number == 0:
        return _COLUMNS + "_" * (_WIDTH - 1 - len(_COLUMNS)) + "\n"
    text = f"{number},lead-{number}@example.com,"
    return text + _PADDING[len(text) + 1 :] + "\n"
