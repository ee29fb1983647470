"""
The rows of many files as one file.

Invariant: the merged file has each row of each part once, in the order of the parts, under one header. Where the parts
of CSV have other columns, or the same in another order, the header has all of them, in the order in which they first
come up, and a row is empty where its part has none. Rows are copied byte for byte, but for those of such parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from airflow_provider_sixtyfour.batches.csv_records import record_of
from airflow_provider_sixtyfour.batches.sources import Source
from airflow_provider_sixtyfour.batches.written import Writable, Written

Part = Callable[[], AbstractContextManager[Source]]


class Target(Writable, Protocol):
    """Where the merged file goes."""

    def start_over(self) -> None:
        """Forget all that was written."""


def merge(parts: Sequence[Part], target: Target) -> Written:
    """
    Write all parts, in constant memory, and return what was written.

    Parts mostly have the same columns, so that is taken for granted, and the file is begun anew if it turns out wrong:
    cheaper than to open hundreds of files for their headers first.

    :param parts: each opens one, to be read from its beginning to its end.
    :raises SixtyfourInputError: if one can't be read, or its columns can't be told apart where they must be.
    """
    merged = Written(target)
    columns = _append(parts, merged, None)
    if columns is not None:
        target.start_over()
        merged = Written(target)
        _append(parts, merged, columns)
    return merged


def _append(parts: Sequence[Part], merged: Written, columns: Sequence[str] | None) -> Sequence[str] | None:
    """
    Write all parts under these columns.

    :param columns: ``None`` for those of the first part.
    :returns: all columns that there are, if those of the first part aren't all; what was written is of no use then.
    """
    found: dict[str, None] = {}
    written, differ = columns, False
    if columns is not None:
        merged.write(record_of(columns, b"\n"))
    for part in parts:
        with part() as source:
            if written is None:
                written = source.columns
                merged.write(source.header)
            found.update(dict.fromkeys(source.columns))
            if not (is_same := source.columns == written):
                differ = True
                source.require(source.columns)
            for piece in source.pieces():
                if is_same:
                    merged.write(piece.data, len(piece.ends))
                elif columns is not None:
                    rows = [_under(columns, source.row(record)) for _, record in piece.records()]
                    merged.write(b"".join(rows), len(rows))
    return list(found) if differ and columns is None else None


def _under(columns: Sequence[str], row: Mapping[str, str]) -> bytes:
    return record_of([row.get(name, "") for name in columns], b"\n")
