"""
How large a batch may be, and is where nobody says.

Apart from what cuts, for the Dag files that import it: each task's process reads one.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

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
    :param first_rows: the rows of the first one, where it is to be smaller: the pilot.
    :raises SixtyfourInputError: if one isn't a number in its range.
    """

    __slots__ = ("bytes", "first_rows", "rows")

    def __init__(self, *, rows: int = BATCH_ROWS, bytes: int = BATCH_BYTES, first_rows: int | None = None) -> None:
        self.rows = _checked(rows, "batch_rows", MOST_ROWS)
        self.bytes = _checked(bytes, "batch_bytes", MOST_BYTES)
        first = self.rows if first_rows is None else _checked(first_rows, "pilot_rows", MOST_ROWS)
        self.first_rows = min(first, self.rows)

    def rows_of(self, batch: int) -> int:
        """Return how many rows a batch may have, by its number, counted from 0."""
        return self.rows if batch else self.first_rows


def limits(rows: Any, size: Any, first_rows: Any = None) -> Limits:
    """
    Return the limits of batches, from numbers or what a template has rendered.

    :raises SixtyfourInputError: if one isn't a number in its range.
    """
    return Limits(rows=_number(rows), bytes=_number(size), first_rows=_number(first_rows))


def most(value: Any, name: str) -> int | None:
    """
    Read ``max_rows`` or ``max_runs``.

    :raises SixtyfourInputError: if it is no number of these.
    """
    number = _number(value)
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
        raise SixtyfourInputError(f"{name} should be a number of {name[4:]}, or None for no limit, not {value!r:.60}.")
    return number


def _number(value: Any) -> Any:
    """Return a number that a template has rendered as text; all else as it is."""
    is_number = isinstance(value, str) and value.strip().isdecimal() and len(value) < 100
    return int(value) if is_number else value


def _checked(value: Any, name: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise SixtyfourInputError(
            f"{name} should be a whole number from 1 to {most:,}, what the API takes in one file, not {value!r:.60}."
        )
    return value
