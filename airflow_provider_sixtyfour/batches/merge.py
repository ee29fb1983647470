"""
The rows of many files as one file.

Invariant: the merged file has each row of each part once, in the order of the parts, under one header. Where the parts
of CSV have other columns, or the same in another order, the header has all of them, in the order in which they first
come up, and a row is empty where its part has none. Rows are copied byte for byte, whatever is in their cells, but for
those of such parts, and of one in which a quote is not closed: all that follows would be read as its last cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from airflow_provider_sixtyfour.batches.result_rows import Result
from airflow_provider_sixtyfour.formats.csv_records import record_of
from airflow_provider_sixtyfour.storage.file_stats import HashingWriter
from airflow_provider_sixtyfour.storage.protocols import Restartable

Part = Callable[[], AbstractContextManager[Result]]
Column = tuple[str, int]  # a name, and how many columns before it have the same
HELD = 1024  # rows that are written at a time


def merge(parts: Sequence[Part], target: Restartable, columns: Sequence[str] = ()) -> HashingWriter:
    """
    Write all parts, in constant memory, and return what was written.

    Parts mostly have the same columns, so that is taken for granted, and the file is begun again if it turns out wrong:
    cheaper than to open hundreds of files for their headers first.

    :param parts: each opens one, to be read from its beginning to its end.
    :param columns: what the header names if no part has one.
    """
    merged = HashingWriter(target)
    endless: set[int] = set()
    all_columns = _append(parts, merged, None, endless)
    if all_columns is not None:
        target.start_over()
        merged = HashingWriter(target)
        _append(parts, merged, all_columns, endless)
    if not merged.bytes and columns:
        merged.write(record_of(columns, b"\n"))
    return merged


def _append(
    parts: Sequence[Part], merged: HashingWriter, columns: Sequence[Column] | None, endless: set[int]
) -> Sequence[Column] | None:
    """
    Write all parts under these columns.

    :param columns: ``None`` for those of the first part.
    :param endless: the places of parts in which a quote is not closed, to be filled where they aren't known yet.
    :returns: all columns that there are, if those of the first part aren't all, or parts follow one that is endless;
        what was written is of no use then.
    """
    found: dict[Column, None] = {}
    written, differ = columns, False
    if columns is not None:
        merged.write(record_of([name for name, _ in columns], b"\n"))
    for place, part in enumerate(parts):
        with part() as result:
            own = _columns_of(result)
            if own and written is None:
                written = own
                merged.write(result.header)
            found.update(dict.fromkeys(own))
            is_same = not own or own == written
            differ = differ or not is_same
            if columns is None or (is_same and place not in endless):
                for chunk in result.chunks():  # to its end also where it is of no use: then its digest is known
                    if is_same:
                        merged.write(chunk)
            else:
                for rows in _held(_under(columns, own, cells) for cells in result.cells()):
                    merged.write(rows)
            if result.is_endless and place < len(parts) - 1:
                endless.add(place)
            merged.rows += result.rows
    return list(found) if (differ or endless) and columns is None else None


def _columns_of(result: Result) -> list[Column]:
    """Return the columns of a part; two of one name are two."""
    before: Counter[str] = Counter()
    columns = []
    for name in result.columns:
        columns.append((name, before[name]))
        before[name] += 1
    return columns


def _under(columns: Sequence[Column], own: Sequence[Column], cells: Sequence[str]) -> bytes:
    """Return a row under other columns; cells beyond its own columns stay at its end."""
    row = dict(zip(own, cells, strict=False))
    return record_of([*(row.get(column, "") for column in columns), *cells[len(own) :]], b"\n")


def _held(rows: Iterator[bytes]) -> Iterator[bytes]:
    """Give rows, many at a time."""
    held: list[bytes] = []
    for row in rows:
        held.append(row)
        if len(held) == HELD:
            yield b"".join(held)
            held.clear()
    yield b"".join(held)
