"""
Counters of the columns of one file: filled cells, different values, and the values of a status.

Invariant: memory is bounded. The first `MOST_COLUMNS` columns are counted, but those with a very long name. Different
values are counted by 64-bit hashes: up to `MOST_DISTINCT` of a column, and so many of all columns that they take about
20 MB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import filterfalse

from airflow_provider_sixtyfour.formats.names import storable
from airflow_provider_sixtyfour.formats.quality import (
    LONGEST_NAME,
    LONGEST_VALUE,
    MOST_COLUMNS,
    MOST_VALUES,
    ColumnQuality,
    Quality,
    is_status,
)

MOST_DISTINCT = 10_000  # values of a column
MOST_HASHES = 250_000  # of all columns


class ColumnCounter:
    """What has been counted of one column."""

    __slots__ = ("_filled", "_repeats", "_seen", "_values")

    def __init__(self, name: str) -> None:
        self._filled = 0
        self._repeats = True  # whether most cells are like others, so that it pays to look at different ones alone
        self._seen: set[int] | None = set()
        self._values: Counter[str] | None = Counter() if is_status(name) else None

    def add(self, texts: Sequence[str], most_distinct: int) -> None:
        """Count the cells of some rows."""
        filled: Collection[str]
        if self._repeats:
            different = set(texts)
            blank = list(filterfalse(str.strip, different))
            self._filled += len(texts) - sum(map(texts.count, blank))
            filled = different.difference(blank)
            self._repeats = 2 * len(filled) < len(texts)
        else:
            filled = list(filter(str.strip, texts))
            self._filled += len(filled)
        if self._seen is not None:
            before = len(self._seen)
            self._seen.update(map(hash, filled))
            self._repeats |= 2 * (len(self._seen) - before) < len(texts)
            if len(self._seen) > most_distinct:
                self._seen = None
                self._repeats = False
        if self._values is not None:
            filled = list(filter(str.strip, texts))
            self._values.update(filled)
            if len(self._values) > MOST_VALUES or any(len(value) > LONGEST_VALUE for value in self._values):
                self._values = None

    def quality(self, rows: int) -> ColumnQuality:
        """Return what was counted in so many rows."""
        distinct = None if self._seen is None else len(self._seen)
        counted = ColumnQuality(filled=self._filled, empty=rows - self._filled, distinct=distinct)
        if self._values:
            counted["values"] = {}
            for value, number in self._values.most_common():
                counted["values"][storable(value)] = counted["values"].get(storable(value), 0) + number
        return counted


class ColumnCounters:
    """The columns of a file, by their names."""

    def __init__(self) -> None:
        self._columns: dict[str, ColumnCounter] = {}
        self.rows = 0

    @property
    def is_full(self) -> bool:
        """Whether no more columns are counted."""
        return len(self._columns) >= MOST_COLUMNS

    @property
    def most_distinct(self) -> int:
        """How many different values of a column are counted: the fewer, the more columns there are."""
        return min(MOST_DISTINCT, MOST_HASHES // max(1, len(self._columns)))

    def add(self, name: str) -> ColumnCounter | None:
        """Return the column of a name, to be counted from now on; ``None`` if it is not to be."""
        if name not in self._columns and not self.is_full and len(name) <= LONGEST_NAME and name.strip():
            self._columns[name] = ColumnCounter(name)
        return self._columns.get(name)

    def items(self) -> Iterable[tuple[str, ColumnCounter]]:
        """Return the columns that are counted."""
        return self._columns.items()

    def quality(self) -> Quality:
        """Return what was counted."""
        times = Counter(map(storable, self._columns))
        return {
            storable(name): column.quality(self.rows)
            for name, column in self._columns.items()
            if times[storable(name)] == 1
        }
