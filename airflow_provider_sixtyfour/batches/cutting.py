"""
Where one batch ends and the next begins.

Invariant: each batch takes as many records as its two limits allow, in their order. So where it ends depends on the
records alone, and the same records give the same batches, in whatever pieces they come.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.api.errors import SixtyfourInputError
from airflow_provider_sixtyfour.batches.pieces import Piece, bad_line

# What the API takes in one file.
MOST_ROWS = 100_000
MOST_BYTES = 100_000_000
# 200 batches of a million rows: far from the 1,024 tasks that Airflow maps at most by default, and a run that fails
# costs a small part of the whole. Half of what the API takes, since how it counts is not documented.
BATCH_ROWS = 5_000
BATCH_BYTES = 50_000_000


class Limits:
    """
    How large a batch may be.

    :param rows: its rows, up to 100,000.
    :param bytes: its bytes, header included, up to 100,000,000.
    :raises SixtyfourInputError: if one isn't a number in its range.
    """

    __slots__ = ("bytes", "rows")

    def __init__(self, *, rows: int = BATCH_ROWS, bytes: int = BATCH_BYTES) -> None:
        self.rows = _checked(rows, "batch_rows", MOST_ROWS)
        self.bytes = _checked(bytes, "batch_bytes", MOST_BYTES)


class Part(NamedTuple):
    """Some records of a batch."""

    batch: int  # counted from 0
    data: bytes
    rows: int


def cut(pieces: Iterable[Piece], name: str, header: bytes, limits: Limits) -> Iterator[Part]:
    """
    Give all records, each with the batch that it belongs to, one batch after the other.

    :param name: the input, for messages.
    :param header: what each batch begins with.
    :raises SixtyfourInputError: if a record is larger than a batch may be.
    """
    batch, rows, size = 0, 0, len(header)
    for piece in pieces:
        if rows + len(piece.ends) <= limits.rows and size + len(piece.data) <= limits.bytes:
            if piece.ends:  # of some, everything was rejected
                yield Part(batch, piece.data, len(piece.ends))
            rows, size = rows + len(piece.ends), size + len(piece.data)
            continue
        ends = piece.ends.offsets
        done = start = 0
        while done < len(ends):
            fitting = bisect_right(ends, start + limits.bytes - size, lo=done)
            until = min(fitting, done + limits.rows - rows)
            if until > done:
                end = ends[until - 1]
                yield Part(batch, piece.data[start:end], until - done)
                rows, size = rows + until - done, size + end - start
                done, start = until, end
            elif rows:
                batch, rows, size = batch + 1, 0, len(header)
            else:
                raise bad_line(
                    name,
                    piece.line_of(done),
                    f"this row has {ends[done] - start} bytes and the header {len(header)}: more than the "
                    f"{limits.bytes} of batch_bytes",
                )


def _checked(value: Any, name: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise SixtyfourInputError(
            f"{name} should be a whole number from 1 to {most:,}, what the API takes in one file, not {value!r:.60}."
        )
    return value
