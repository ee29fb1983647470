"""
Columns in the types that a schema gives them.

The casts are pyarrow's own. Where pyarrow has none from what a column holds, or a value doesn't pass it, the values are
cast as texts: ``10.0`` to an integer, a time with a ``Z`` to one without a zone. So are those within lists and objects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sixtyfour.formats.parquet.types import is_text

REFUSED = (pa.ArrowException, ValueError, TypeError, OverflowError, RecursionError)
NULLS = ("", "null", "none", "na", "n/a", "#n/a", "nan")  # texts that stand for no value in a column of another type
LONGEST_VALUE = 60  # characters of a value in a message

_ZONE = r"(:\d{2}(?:\.\d+)?)(?:[zZ]|[+-]\d{2}(?::?\d{2})?)$"  # after a time: a date ends in -01 too
_DATE = r"^[+-]?\d{4,}-\d{2}-\d{2}$"
_TIME = r"^\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?$"

Route = Callable[[pa.Array], pa.Array]


class _Number(str):
    """A number as it is written in JSON: with all its digits."""


_JSON = json.JSONDecoder(strict=False, parse_int=_Number, parse_float=_Number, parse_constant=_Number)


class ParquetImpossibleError(Exception):
    """A file, or a schema for it, that can't be had as Parquet; the message says why, and is fit for a log."""


def cast(array: pa.Array, target: pa.DataType, column: str, first_row: int) -> pa.Array:
    """
    Return a column in another type.

    :param first_row: the number that its first value's row has in the file, for a message.
    :raises ParquetImpossibleError: naming column, row and value, if one can't be cast.
    """
    if array.type == target:
        return array
    if pa.types.is_string(array.type) and not is_text(target):
        array = _without_nulls(array, target)
    if array.null_count == len(array):
        return pa.nulls(len(array), target)
    parts = _cast(array, target, _routes(array.type, target), column, first_row)
    return pa.concat_arrays(parts) if len(parts) != 1 else parts[0]


def _cast(array: pa.Array, target: pa.DataType, routes: Sequence[Route], column: str, first_row: int) -> list[pa.Array]:
    """Return the column in parts: in halves, down to single values, where no route is right for all of it."""
    for route in routes:
        try:
            return [route(array)]
        except REFUSED:
            continue
    if len(array) == 1:
        raise ParquetImpossibleError(
            f"column {shown(column)}, row {first_row:,}: {shown(_text_of(array))} can't be cast to {target}"
        )
    middle = len(array) // 2
    halves = ((array[:middle], first_row), (array[middle:], first_row + middle))
    return [part for half, row in halves for part in _cast(half, target, routes, column, row)]


def _text_of(array: pa.Array) -> str:
    """Return a single value as JSON has it."""
    value = array[0].as_py()
    return value if isinstance(value, str) else json.dumps(value, default=str)


def shown(text: str) -> str:
    """Return a text as a message may hold it: bounded, on one line, without control characters."""
    return repr(text[:LONGEST_VALUE] + ("…" if len(text) > LONGEST_VALUE else ""))


def _without_nulls(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return texts without spaces around them, and null for those that stand for no value."""
    array = pc.utf8_trim_whitespace(array)
    nulls = [text for text in NULLS if text != "nan" or not pa.types.is_floating(target)]
    is_null = pc.is_in(pc.utf8_lower(array), value_set=pa.array(nulls))
    return pc.if_else(is_null, pa.scalar(None, pa.string()), array)


def _routes(source: pa.DataType, target: pa.DataType) -> list[Route]:
    """Return the ways to cast, of which the first that works is taken."""
    from_text = _from_text(target)
    if pa.types.is_string(source):
        return from_text
    # A number is no truth value, and none is infinite that wasn't: pyarrow would make True of 5, and infinity of what
    # a shorter float can't hold.
    is_direct = not (pa.types.is_boolean(target) or pa.types.is_floating(target))
    direct: list[Route] = [lambda array: pc.cast(array, target)] if is_direct else []
    return [*direct, *(partial(_as_text, route) for route in from_text)]


def _as_text(route: Route, array: pa.Array) -> pa.Array:
    return route(pc.cast(array, pa.string()))


def _from_text(target: pa.DataType) -> list[Route]:
    types = pa.types
    if types.is_nested(target):
        return [lambda texts: _nested(_decoded(texts), target)]
    if types.is_floating(target):
        return [lambda texts: _floats(texts, target)]
    if types.is_integer(target):
        exact = pa.decimal128(38, 9)
        return [
            lambda texts: pc.cast(texts, target),
            lambda texts: pc.cast(pc.cast(texts, exact), target),
        ]
    if types.is_date(target):
        return [
            lambda texts: pc.cast(texts, target),
            # The date as it is written, whatever zone follows.
            lambda texts: pc.cast(pc.cast(_without_zone(texts), pa.timestamp("us")), target),
        ]
    if types.is_timestamp(target):
        # Texts may have more decimal places than the unit, if they are zeros.
        return [partial(_timestamps, unit, target) for unit in (target.unit, "us", "ns")]
    if types.is_time(target):
        return [lambda texts: _times(texts, target)]
    if types.is_duration(target):
        return [lambda texts: pc.cast(pc.cast(texts, pa.int64()), target)]
    return [lambda texts: pc.cast(texts, target)]


def _decoded(texts: pa.Array) -> list[Any]:
    return [None if text is None else _JSON.decode(text) for text in texts.to_pylist()]


def _nested(values: Sequence[Any], target: pa.DataType) -> pa.Array:
    """
    Return what `_JSON` has read as lists or objects of a type.

    :raises ValueError: if a value is something else, or holds a member that the type doesn't name: it would be lost.
    """
    types = pa.types
    if types.is_list(target) or types.is_large_list(target):
        _check(values, lambda value: isinstance(value, list))
        kind, width = (pa.ListArray, pa.int32()) if types.is_list(target) else (pa.LargeListArray, pa.int64())
        ends = accumulate((len(value or ()) for value in values), initial=0)
        items = _nested([item for value in values for item in value or ()], target.value_type)
        return kind.from_arrays(pa.array(ends, width), items, type=target, mask=_nulls(values))
    if types.is_struct(target):
        fields = list(target)
        named = {field.name for field in fields}
        _check(values, lambda value: isinstance(value, dict) and _members(value) <= named)
        members = [_nested([(value or {}).get(field.name) for value in values], field.type) for field in fields]
        return pa.StructArray.from_arrays(members, fields=fields, mask=_nulls(values))
    texts = pa.array(map(_as_json, values), pa.string())
    if types.is_nested(target):  # of kinds that Arrow has no name for here
        return pa.array([None if text is None else json.loads(text) for text in texts.to_pylist()], target)
    if not is_text(target):
        texts = _without_nulls(texts, target)
    try:
        parts = _cast(texts, target, _from_text(target), "", 0)
    except ParquetImpossibleError as error:
        raise ValueError(str(error)) from None
    return pa.concat_arrays(parts)


def _check(values: Iterable[Any], fits: Callable[[Any], bool]) -> None:
    if not all(value is None or fits(value) for value in values):
        raise ValueError("a value of another kind")


def _members(value: Mapping[str, Any]) -> set[str]:
    """Return the names of the members that an object has, without those that are null."""
    return {name for name, member in value.items() if member is not None}


def _nulls(values: Iterable[Any]) -> pa.Array:
    return pa.array((value is None for value in values), pa.bool_())


def _as_json(value: Any) -> str | None:
    """Return a value within a column as text: as JSON has it, but for texts, which are what they say."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    parts = (
        [_quoted(item) for item in value]
        if isinstance(value, list)
        else [f"{json.dumps(name, ensure_ascii=False)}:{_quoted(item)}" for name, item in value.items()]
    )
    return ("[%s]" if isinstance(value, list) else "{%s}") % ",".join(parts)


def _quoted(value: Any) -> str:
    if isinstance(value, str) and not isinstance(value, _Number):
        return json.dumps(value, ensure_ascii=False)
    return _as_json(value) or "null"


def _floats(texts: pa.Array, target: pa.DataType) -> pa.Array:
    # Of a shorter float than Arrow reads texts as, by way of one that it does.
    found = pc.cast(pc.cast(texts, pa.float32()) if pa.types.is_float16(target) else texts, target)
    is_too_large = pc.and_(pc.is_inf(found), pc.invert(pc.match_substring(pc.utf8_lower(texts), "inf")))
    if pc.any(is_too_large).as_py():
        raise ValueError("a number beyond the type")
    return found


def _without_zone(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, _ZONE, r"\1")


def _timestamps(unit: str, target: pa.DataType, texts: pa.Array) -> pa.Array:
    """Return points in time; those without a zone are in UTC."""
    texts = pc.utf8_upper(texts)  # ISO 8601 allows t and z
    has_zone = pc.match_substring_regex(texts, _ZONE)
    is_date = pc.match_substring_regex(texts, _DATE)
    ending = pc.if_else(has_zone, "", pc.if_else(is_date, " 00:00:00Z", "Z"))
    zoned = pc.cast(pc.binary_join_element_wise(texts, ending, ""), pa.timestamp(unit, "UTC"))
    return pc.cast(pc.cast(zoned, pa.timestamp(target.unit, "UTC")), target)


def _times(texts: pa.Array, target: pa.DataType) -> pa.Array:
    if not pc.all(pc.match_substring_regex(texts, _TIME), min_count=0).as_py():
        raise ValueError("no time of day")
    on_a_day = pc.binary_join_element_wise("1970-01-01", texts, " ")
    unit = "ns" if target.unit == "ns" else "us"
    return pc.cast(pc.cast(on_a_day, pa.timestamp(unit)), target)
