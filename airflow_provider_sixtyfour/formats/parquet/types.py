"""The types that a ``parquet_schema`` may name, as Arrow writes them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

DEEPEST = 40  # lists and objects in each other; readers take 100 levels of a Parquet schema, in which a list has two

_DECIMAL = re.compile(r"decimal(128|256)\((\d+),\s*(-?\d+)\)")
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns),\s*tz=([^\]]+)\]")
_NESTED = re.compile(r"(list|large_list|struct)<(.*)>", re.DOTALL)
_FIELD = re.compile(r"([^:<>,]*):(.*)", re.DOTALL)


def arrow_type(column: str, name: object) -> pa.DataType:
    """
    Return the type that a schema gives a column.

    :param name: as Arrow writes it: an alias such as ``int64``, or ``decimal128(10, 2)``, ``timestamp[us, tz=UTC]``,
        ``list<int64>``, ``struct<name: string, age: int64>``.
    :raises SixtyfourInputError: if there is no such type, or Parquet has none for it.
    """
    try:
        found = name if isinstance(name, pa.DataType) else _parse(str(name).strip(), DEEPEST)
        schema = pa.schema([("x", found)])
        # There is no other way to learn what Parquet can hold.
        with pq.ParquetWriter(io.BytesIO(), schema) as writer:
            writer.write_table(schema.empty_table())
    except (ValueError, TypeError, KeyError, pa.ArrowException, OSError):
        raise SixtyfourInputError(
            f"parquet_schema gives column {column!r:.60} the type {name!r:.60}, which is none of Arrow's names of "
            "types that Parquet can hold, such as 'string', 'int64', 'double', 'bool', 'date32', 'timestamp[us]', "
            "'timestamp[us, tz=UTC]', 'decimal128(10, 2)', 'list<int64>', 'struct<name: string>'."
        ) from None
    return found


def _parse(name: str, levels: int) -> pa.DataType:
    if found := _DECIMAL.fullmatch(name):
        decimal: Callable[[int, int], pa.DataType] = pa.decimal128 if found[1] == "128" else pa.decimal256
        return decimal(int(found[2]), int(found[3]))
    if found := _TIMESTAMP.fullmatch(name):
        zone = found[2].strip()
        pc.assume_timezone(pa.array([0], pa.timestamp(found[1])), zone)  # fails if there is no such zone
        return pa.timestamp(found[1], tz=zone)
    if found := _NESTED.fullmatch(name):
        if levels == 0:
            raise ValueError("nested too deeply")
        fields = [_field(text, levels - 1) for text in _divided(found[2])]
        if found[1] == "struct":
            names = {field_name for field_name, _ in fields if field_name}
            if not fields or len(names) < len(fields):
                raise ValueError("a struct without names, or with one twice")
            return pa.struct(fields)
        [(_, item)] = fields
        return pa.list_(item) if found[1] == "list" else pa.large_list(item)
    return pa.type_for_alias(name)


def _field(text: str, levels: int) -> tuple[str, pa.DataType]:
    if (found := _FIELD.fullmatch(text)) and "(" not in found[1] and "[" not in found[1]:
        return found[1].strip(), _parse(found[2].strip(), levels)
    return "", _parse(text.strip(), levels)


def _divided(text: str) -> Iterator[str]:
    """Give what commas divide that are in no bracket."""
    depth = start = 0
    for position, char in enumerate(text):
        if char in "<([":
            depth += 1
        elif char in ">)]":
            depth -= 1
        elif char == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def is_text(found: pa.DataType) -> bool:
    """Return whether a type holds text or bytes as they are."""
    kinds = pa.types
    return bool(
        kinds.is_string(found)
        or kinds.is_large_string(found)
        or kinds.is_binary(found)
        or kinds.is_large_binary(found)
        or kinds.is_fixed_size_binary(found)
        or str(found) in ("string_view", "binary_view")
    )
