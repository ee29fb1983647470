"""
The rows of many files as one file.

Invariant: the merged file has each row of each part once, in the order of the parts, under one header. Where the parts
of CSV have other columns, or the same in another order, the header has all of them, in the order in which they first
come up, and a row is empty where its part has none. Rows are copied byte for byte, but for those of such parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from airflow_provider_sixtyfour.batches.csv_records import record_of
from airflow_provider_sixtyfour.batches.rejects import Writable
from airflow_provider_sixtyfour.batches.sources import Source

Part = Callable[[], AbstractContextManager[Source]]


class Target(Writable, Protocol):
    """Where the merged file goes."""

    def start_over(self) -> None:
        """Forget all that was written."""


class Merged:
    """
    Writes the merged file, and knows what is in it.

    :param target: is written to.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._begin()

    def _begin(self) -> None:
        self._digest = hashlib.sha256()
        self._bytes = self._rows = 0

    def write(self, piece: bytes, rows: int = 0) -> None:
        """Append some rows."""
        self._target.write(piece)
        self._digest.update(piece)
        self._bytes += len(piece)
        self._rows += rows

    def start_over(self) -> None:
        """Forget all that was written."""
        self._target.start_over()
        self._begin()

    def reference(self, path: str) -> dict[str, Any]:
        """Return what is to be known of the file, in the form in which batches are told."""
        return {"path": path, "rows": self._rows, "bytes": self._bytes, "sha256": self._digest.hexdigest()}


def merge(parts: Sequence[Part], merged: Merged) -> None:
    """
    Write all parts, in constant memory.

    Parts mostly have the same columns, so that is taken for granted, and the file is begun anew if it turns out wrong:
    cheaper than to open hundreds of files for their headers first.

    :param parts: each opens one, to be read from its beginning to its end.
    :raises SixtyfourInputError: if one can't be read, or its columns can't be told apart where they must be.
    """
    columns = _append(parts, merged, None)
    if columns is not None:
        merged.start_over()
        _append(parts, merged, columns)


def _append(parts: Sequence[Part], merged: Merged, columns: Sequence[str] | None) -> Sequence[str] | None:
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
