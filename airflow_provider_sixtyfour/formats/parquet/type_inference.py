"""
What a column of JSON holds, and the one Arrow type for all of it.

Invariant: no value loses a digit. `merge` is associative and commutative, so it makes no difference how a file is cut
into blocks, or which reader has looked at one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sixtyfour.formats.parquet.types import DEEPEST

EXACT_IN_A_DOUBLE = 2**53  # integers up to this one are doubles too
MOST_DIGITS = 38  # of a decimal128


class Beyond:
    """A number that no type here can hold: an integer of too many digits, or a fraction beyond a double."""


BEYOND: Final = Beyond()


class Integers(NamedTuple):
    """Whole numbers, from `low` to `high`."""

    low: int
    high: int


class Items(NamedTuple):
    """Lists of items of a kind."""

    item: Kind


class Members(NamedTuple):
    """Objects, with the kinds of their members."""

    kinds: Mapping[str, Kind]


NOTHING: Final = "nothing"  # null, wherever it was seen
BOOLEAN: Final = "boolean"
FRACTIONS: Final = "fractions"
TEXT: Final = "text"
MIXED: Final = "mixed"  # what only JSON text can hold
Kind = str | Integers | Items | Members


def merge(one: Kind, other: Kind) -> Kind:
    """Return the kind that holds what both hold."""
    if one == other or other == NOTHING:
        return one
    if one == NOTHING:
        return other
    if isinstance(one, Integers) and isinstance(other, Integers):
        return Integers(min(one.low, other.low), max(one.high, other.high))
    if isinstance(one, Items) and isinstance(other, Items):
        return _mixed_if(Items(merge(one.item, other.item)))
    if isinstance(one, Members) and isinstance(other, Members):
        kinds = dict(one.kinds)
        for name, kind in other.kinds.items():
            kinds[name] = merge(kinds[name], kind) if name in kinds else kind
        return _mixed_if(Members(kinds))
    for integers, rest in ((one, other), (other, one)):
        if isinstance(integers, Integers) and rest == FRACTIONS:
            exact = integers.low >= -EXACT_IN_A_DOUBLE and integers.high <= EXACT_IN_A_DOUBLE
            return FRACTIONS if exact else MIXED
    return MIXED


def _mixed_if(kind: Kind) -> Kind:
    """Return `MIXED` for a kind with that somewhere inside: a column is JSON text as a whole."""
    if isinstance(kind, Items):
        return MIXED if kind.item == MIXED else kind
    if isinstance(kind, Members):
        return MIXED if any(each == MIXED for each in kind.kinds.values()) else kind
    return kind


def kind_of_values(values: Iterable[Any], levels: int = DEEPEST) -> Kind:
    """Return the kind of values that Python's parser has read."""
    found: Kind = NOTHING
    for value in values:
        if value is not None:
            found = merge(found, _kind_of(value, levels))
            if found == MIXED:
                break
    return found


def _kind_of(value: Any, levels: int) -> Kind:
    if isinstance(value, str):
        return TEXT
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int):
        return Integers(value, value)
    if isinstance(value, float):
        return FRACTIONS
    if levels == 0 or isinstance(value, Beyond):
        return MIXED
    if isinstance(value, list):
        return _mixed_if(Items(kind_of_values(value, levels - 1)))
    return _mixed_if(Members({name: kind_of_values([each], levels - 1) for name, each in value.items()}))


def kind_of_array(array: pa.Array, levels: int = DEEPEST) -> Kind:
    """Return the kind of what pyarrow has read, and inferred the type of."""
    found, types = array.type, pa.types
    if (types.is_null(found) or array.null_count == len(array)) and not types.is_nested(found):
        return NOTHING
    if types.is_boolean(found):
        return BOOLEAN
    if types.is_integer(found):
        ends = pc.min_max(array)
        return Integers(ends["min"].as_py(), ends["max"].as_py())
    if types.is_floating(found):
        return FRACTIONS
    if types.is_list(found):
        return MIXED if levels == 0 else _mixed_if(Items(kind_of_array(array.flatten(), levels - 1)))
    if types.is_struct(found):
        if levels == 0:
            return MIXED
        inside = zip(found, array.flatten(), strict=True)
        return _mixed_if(Members({field.name: kind_of_array(each, levels - 1) for field, each in inside}))
    return TEXT  # times too, which Arrow sees in texts: the same column would have another type in another file


def has_fractions(found: pa.DataType, levels: int = DEEPEST) -> bool:
    """Return whether there are doubles in a type, as deep as it is looked at at all."""
    if pa.types.is_nested(found):
        inside = (found.field(index).type for index in range(found.num_fields))
        return levels > 0 and any(has_fractions(each, levels - 1) for each in inside)
    return bool(pa.types.is_floating(found))


def type_of(kind: Kind) -> pa.DataType | None:
    """
    Return the type of a kind; ``None`` for what has to be JSON text.

    What is null everywhere is text: few readers of Parquet know columns without a type.
    """
    if isinstance(kind, Integers):
        return _type_of_integers(kind)
    if isinstance(kind, Items):
        item = type_of(kind.item)
        return None if item is None else pa.list_(item)
    if isinstance(kind, Members):
        types = {name: type_of(each) for name, each in kind.kinds.items()}
        # Parquet has no objects without members.
        return None if not types or None in types.values() else pa.struct(list(types.items()))
    simple = {NOTHING: pa.string(), TEXT: pa.string(), BOOLEAN: pa.bool_(), FRACTIONS: pa.float64()}
    return simple.get(kind)


def _type_of_integers(kind: Integers) -> pa.DataType | None:
    if kind.low >= -(2**63) and kind.high < 2**63:
        return pa.int64()
    if kind.low >= 0 and kind.high < 2**64:
        return pa.uint64()
    if max(-kind.low, kind.high) < 10**MOST_DIGITS:
        return pa.decimal128(MOST_DIGITS, 0)
    return None
