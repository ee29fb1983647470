"""Filters rows before they are sent: required columns, a check of the user's, and one row for each key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_sixtyfour.batches.key_set import KeySet, key_of
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.cell_values import is_empty
from airflow_provider_sixtyfour.formats.reader import Source
from airflow_provider_sixtyfour.formats.records import RecordChunk, bad_line
from airflow_provider_sixtyfour.formats.rejects import Rejects

RowCheck = Callable[[Mapping[str, Any]], str | None]


class RowFilter:
    """
    Filter and deduplicate rows; what is left out is rejected.

    :param unique_by: columns of which no two rows may have the same text; the first is kept. A row in which all of
        them are empty is kept.
    :param required: columns that must not be empty.
    :param row_check: returns ``None`` for a row that may pass, else the reason why not.
    """

    def __init__(
        self,
        source: Source,
        *,
        unique_by: Sequence[str] = (),
        required: Sequence[str] = (),
        row_check: RowCheck | None = None,
        rejects: Rejects,
    ) -> None:
        if row_check is not None and not callable(row_check):
            raise SixtyfourInputError(f"row_check should be a function of a row, not {type(row_check).__name__}.")
        self._source = source
        self._unique_by = unique_by
        self._required = required
        self._row_check = row_check
        self._rejects = rejects
        self._keys = KeySet() if unique_by else None
        self.duplicates = 0
        source.require((*unique_by, *required))

    def chunks(self) -> Iterator[RecordChunk]:
        """Give the rows that pass, once."""
        if not (self._unique_by or self._required or self._row_check):
            yield from self._source.chunks()
            return
        for chunk in self._source.chunks():
            kept = [(line, record) for line, record in chunk.records() if self._passes(line, record)]
            yield chunk if len(kept) == len(chunk.ends) else RecordChunk.of(kept)

    def _passes(self, line: int, record: bytes) -> bool:
        row = self._source.row(record)
        if reason := self._fault(line, row):
            self._rejects.put(line, reason, record)
            return False
        # Last: a row that is rejected doesn't stand in the way of a good one with its key.
        if self._keys is not None:
            key = key_of(row, self._unique_by)
            if key is not None and not self._keys.add(key):
                self.duplicates += 1
                self._rejects.drop(line, f"an earlier row has the same {', '.join(self._unique_by)}", record)
                return False
        return True

    def _fault(self, line: int, row: Mapping[str, Any]) -> str | None:
        for column in self._required:
            if is_empty(row.get(column)):
                return f"{column!r} is empty"
        if self._row_check is None:
            return None
        try:
            reason = self._row_check(row)
        except Exception as error:
            reason = f"row_check raised {type(error).__name__}: {error}"
            raise bad_line(self._source.name, line, reason) from error
        if reason is not None and not (isinstance(reason, str) and reason):
            raise SixtyfourInputError(
                f"row_check should return None for a row that may pass, else the reason why not, not {reason!r:.60}."
            )
        return reason
