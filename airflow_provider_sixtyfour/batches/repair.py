"""
Rows that are not yet enriched: missing from the results, or there with nothing in the columns that count.

Invariant: a row of the input is repaired exactly if no row of the results has its key, something in a result column,
and something in each required column. Only digests of the keys that did come back are held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_sixtyfour.batches.key_set import KeySet, key_of
from airflow_provider_sixtyfour.batches.result_rows import Result
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.cell_values import is_empty
from airflow_provider_sixtyfour.formats.reader import Source
from airflow_provider_sixtyfour.formats.records import RecordChunk


def same_columns(first: Source, other: Source) -> Source:
    """
    Return the other source, whose rows are to be written under the header of the first.

    :raises SixtyfourInputError: if that isn't its own.
    """
    if other.header.rstrip() != first.header.rstrip() or other.extension != first.extension:
        raise SixtyfourInputError(
            f"Two inputs have different headers: repair them one by one. {other.name} and {first.name}."
        )
    return other


class Repair:
    """
    What came back, and what of an input didn't.

    :param key: columns that identify a row, by the names that they have in input and results.
    :param result_columns: columns of the results; a row in which all of them are empty is as good as missing. Without
        any, every row that came back is enriched.
    :param required: columns of the results; a row in which one of them is empty is as good as missing. One that a file
        doesn't have is empty there: the caller knows that another has it.
    """

    def __init__(self, *, key: Sequence[str], result_columns: Sequence[str] = (), required: Sequence[str] = ()) -> None:
        self._key = key
        self._result_columns = result_columns
        self._required = required
        self._enriched = KeySet()
        self._came_back = self._found = 0
        self.without_key = 0

    @property
    def unknown_keys(self) -> int:
        """How many keys came back, if none of them is one of the input's: then they may be written in another way."""
        return 0 if self._found else self._came_back

    def note_results(self, results: Result) -> None:
        """
        Take in one file of results; a row that can't be read says nothing.

        :raises SixtyfourInputError: if it lacks a column; a typo must not pay for every row again.
        """
        results.require((*self._key, *self._result_columns))
        for row in results.mappings():
            if self._result_columns and all(is_empty(row.get(name)) for name in self._result_columns):
                continue
            if any(is_empty(row.get(name)) for name in self._required):
                continue
            if (key := key_of(row, self._key)) is not None:
                self._came_back += self._enriched.add(key)

    def pending(self, source: Source) -> Iterator[RecordChunk]:
        """
        Give the rows of an input that are not yet enriched.

        One without a key is left out and counted: nothing shows whether it came back, and every repair would pay
        for it again.

        :raises SixtyfourInputError: if the input lacks a key column.
        """
        source.require(self._key)
        for chunk in source.chunks():
            pending = []
            for line, record in chunk.records():
                key = key_of(source.row(record), self._key)
                if key is None:
                    self.without_key += 1
                elif key in self._enriched:
                    self._found += 1
                else:
                    pending.append((line, record))
            if pending:
                yield RecordChunk.of(pending)
