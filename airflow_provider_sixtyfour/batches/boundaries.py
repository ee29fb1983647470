"""
Where one batch ends and the next begins.

Invariant: each batch takes as many records as its two limits allow, in their order. So where it ends depends on the
records alone, and the same records give the same batches, in whatever chunks they come.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from airflow_provider_sixtyfour.batches.limits import Limits
from airflow_provider_sixtyfour.formats.records import RecordChunk, bad_line


class Part(NamedTuple):
    """Some records of a batch."""

    batch: int  # counted from 0
    data: bytes
    rows: int


def cut(chunks: Iterable[RecordChunk], name: str, header: bytes, limits: Limits) -> Iterator[Part]:
    """
    Give all records, each with the batch that it belongs to, one batch after the other.

    :param name: the input, for messages.
    :param header: what each batch begins with.
    :raises SixtyfourInputError: if a record is larger than a batch may be.
    """
    batch, rows, size = 0, 0, len(header)
    for chunk in chunks:
        if rows + len(chunk.ends) <= limits.rows_of(batch) and size + len(chunk.data) <= limits.bytes:
            if chunk.ends:  # of some, everything was rejected
                yield Part(batch, chunk.data, len(chunk.ends))
            rows, size = rows + len(chunk.ends), size + len(chunk.data)
            continue
        ends = chunk.ends.offsets
        done = start = 0
        while done < len(ends):
            fitting = bisect_right(ends, start + limits.bytes - size, lo=done)
            until = min(fitting, done + limits.rows_of(batch) - rows)
            if until > done:
                end = ends[until - 1]
                yield Part(batch, chunk.data[start:end], until - done)
                rows, size = rows + until - done, size + end - start
                done, start = until, end
            elif rows:
                batch, rows, size = batch + 1, 0, len(header)
            else:
                raise bad_line(
                    name,
                    chunk.line_of(done),
                    f"this row has {ends[done] - start} bytes and the header {len(header)}: more than the "
                    f"{limits.bytes} of batch_bytes",
                )
