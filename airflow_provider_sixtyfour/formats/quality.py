"""
Result quality: how many rows of a file have something in each of its columns.

It is counted while a file lands (`formats.column_counts`) and kept as plain numbers by the names of the columns: in the
manifest, in what a task returns, and in the events of its outlets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NotRequired, TypedDict

from airflow_provider_sixtyfour.formats.names import storable

MOST_COLUMNS = 200  # of a file; further ones are left out
LONGEST_NAME = 200  # characters; a column of a longer name is left out
MOST_VALUES = 20  # different ones of a status column; a column with more is none
LONGEST_VALUE = 60  # characters, likewise


class ColumnQuality(TypedDict):
    """
    What the rows have in one column.

    ``filled`` is the number of rows with something in it, ``empty`` that of the others: the value is missing, null, an
    empty list or object, or text of nothing but white space. ``distinct`` is the number of different values that aren't
    empty; ``None`` if they are too many to be counted in bounded memory, and left out where several files were added
    up. ``values`` are the values of a column that is named ``status`` or ``…_status``, each with the number of its
    rows.
    """

    filled: int
    empty: int
    distinct: NotRequired[int | None]
    values: NotRequired[dict[str, int]]


Quality = dict[str, ColumnQuality]


def is_status(name: str) -> bool:
    """Return whether a column of this name holds a status, whose values are counted."""
    return name.lower() == "status" or name.lower().endswith("_status")


def filled_share(column: ColumnQuality) -> float | None:
    """Return the share of rows that have something in a column, from 0 to 1; ``None`` if there are no rows."""
    rows = column["filled"] + column["empty"]
    return column["filled"] / rows if rows else None


def rows_of(quality: Quality) -> int:
    """Return how many rows were counted."""
    return max((column["filled"] + column["empty"] for column in quality.values()), default=0)


def total(of_each: Iterable[Quality], *, is_one_table: bool) -> Quality:
    """
    Add up the quality of several files; what can't be added up is left out.

    :param of_each: of each file; an empty one, which is not known, adds nothing.
    :param is_one_table: whether the files are parts of one table, so that a column that one of them doesn't have is
        empty in its rows. Otherwise a column is only counted in the files that have it.
    """
    parts = [each for each in of_each if each]
    if len(parts) == 1:
        return parts[0]
    names = islice(dict.fromkeys(name for part in parts for name in part), MOST_COLUMNS)
    return {name: _added(name, parts, is_one_table) for name in names}


def read_quality(value: Any) -> Quality:
    """
    Return what is right of a quality that was read from a manifest or an XCom.

    Columns that can't be right are left out; it is empty for anything else, and where there is none.
    """
    if not isinstance(value, Mapping):
        return {}
    columns = ((name, _read_column(column)) for name, column in islice(value.items(), MOST_COLUMNS))
    return {_text(name, LONGEST_NAME): column for name, column in columns if column is not None}


def _added(name: str, parts: list[Quality], is_one_table: bool) -> ColumnQuality:
    columns = [part[name] for part in parts if name in part]
    lacking = sum(rows_of(part) for part in parts if name not in part) if is_one_table else 0
    added = ColumnQuality(
        filled=sum(column["filled"] for column in columns),
        empty=sum(column["empty"] for column in columns) + lacking,
    )
    counted = [column["values"] for column in columns if column["filled"] and "values" in column]
    if counted and len(counted) == sum(column["filled"] > 0 for column in columns):
        values: dict[str, int] = {}
        for one in counted:
            for value, rows in one.items():
                values[value] = values.get(value, 0) + rows
        if len(values) <= MOST_VALUES:
            added["values"] = values
    return added


def _read_column(value: Any) -> ColumnQuality | None:
    if not isinstance(value, Mapping) or not _are_counts(value.get("filled"), value.get("empty")):
        return None
    column = ColumnQuality(filled=value["filled"], empty=value["empty"])
    if "distinct" in value and (value["distinct"] is None or _are_counts(value["distinct"])):
        column["distinct"] = value["distinct"]
    values = value.get("values")
    if isinstance(values, Mapping) and len(values) <= MOST_VALUES and _are_counts(*values.values()):
        column["values"] = {_text(one, LONGEST_VALUE): rows for one, rows in values.items()}
    return column


def _text(value: Any, limit: int) -> str:
    return storable(str(value)[:limit])


def _are_counts(*numbers: Any) -> bool:
    return all(type(number) is int and 0 <= number < 2**63 for number in numbers)
