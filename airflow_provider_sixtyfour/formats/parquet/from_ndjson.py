"""
NDJSON as columns, with types and nested values.

Invariant: each block is read by pyarrow where that is known to be right, else by Python; both come to the same. pyarrow
makes doubles of large integers, takes a line for two rows, loses a null in a list, and crashes on a line of ``null``
and on deep nesting: what might be such a block, Python reads.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.json as pj

from airflow_provider_sixtyfour.formats.json_members import Member
from airflow_provider_sixtyfour.formats.parquet import source
from airflow_provider_sixtyfour.formats.parquet.casts import ParquetImpossibleError, cast
from airflow_provider_sixtyfour.formats.parquet.json_rows import lines_of, rows_of
from airflow_provider_sixtyfour.formats.parquet.source import (
    Notes,
    WriteTables,
    blocks,
    check_columns,
    cut,
    unique_names,
)
from airflow_provider_sixtyfour.formats.parquet.type_inference import (
    BOOLEAN,
    FRACTIONS,
    NOTHING,
    TEXT,
    Kind,
    has_fractions,
    kind_of_array,
    kind_of_values,
    merge,
    type_of,
)
from airflow_provider_sixtyfour.formats.parquet.types import is_text

BRACKETS = 500  # of a line that pyarrow is given; it crashes at some thousands in each other
SAMPLED = 16  # one line of so many is searched for names
READ_ERRORS = (pa.ArrowException, OverflowError, ValueError)

_NAME = re.compile(rb'"([^"\\]*)"\s*:')
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_SIXTEEN = b"0" * 16
# An integer of 16 digits or more, which a double may not hold; digits are zeros. It begins with what can be found
# quickly, and looks back from there.
_LONG_INTEGER = re.compile(_SIXTEEN + rb"(?<=[:,\[ \t-]" + _SIXTEEN + rb")0*[,\]} \t\r\n]")


class _Column(NamedTuple):
    """
    A column on its way.

    :param key: its name in the file; ``None`` if no row has it.
    :param read_as: the type that is read; ``None`` for JSON text.
    """

    name: str
    key: str | None
    read_as: pa.DataType | None
    type: pa.DataType


def convert_ndjson(
    text: BinaryIO, given: Mapping[str, pa.DataType], notes: Notes, write: WriteTables, *, lone_returns: int
) -> None:
    """
    Write the row groups; the file is read once before, for the schema.

    :param given: types that go before those that are found.
    :raises ParquetImpossibleError: if there is no schema.
    """
    start = text.tell()
    kinds: dict[str, Kind] = {}
    is_regular = True
    for block in blocks(text, notes, has_escapes=True):
        for part in _narrow(block):
            table = _read(part, None)
            is_regular = is_regular and table is not None
            for key, kind in _kinds(part, table).items():
                kinds[key] = merge(kinds[key], kind) if key in kinds else kind
            check_columns(list(kinds))
    columns = _columns(kinds, given, notes)
    text.seek(start)
    if not columns and any(map(lines_of, blocks(text, None, has_escapes=True))):
        raise ParquetImpossibleError("its rows have no columns")
    text.seek(start)
    schema = pa.schema([(column.name, column.type) for column in columns])
    read = blocks(text, Notes() if notes.replaced else None, has_escapes=True)
    write(schema, _row_groups(read, columns, schema, is_regular))


def _columns(kinds: Mapping[str, Kind], given: Mapping[str, pa.DataType], notes: Notes) -> list[_Column]:
    columns = []
    for name, (key, kind) in zip(unique_names(list(kinds), notes), kinds.items(), strict=True):
        read_as = type_of(kind)
        target = given.get(name)
        if target is not None and read_as is not None and not _keeps_all(kind, target):
            read_as = None
        columns.append(_Column(name, key, read_as, target or read_as or pa.string()))
    missing = [name for name in given if name not in {column.name for column in columns}]
    notes.columns("null throughout, since only parquet_schema has them:", missing)
    return columns + [_Column(name, None, given[name], given[name]) for name in missing]


def _keeps_all(kind: Kind, target: pa.DataType) -> bool:
    """Return whether values of a kind may be read as what they are before they are cast, not as texts."""
    if pa.types.is_nested(target):
        return False
    if kind in (TEXT, NOTHING):
        return True
    if is_text(target):
        return kind == BOOLEAN or (not isinstance(kind, str) and pa.types.is_integer(type_of(kind) or pa.null()))
    # As a double, a large integer that is written with a fraction isn't what it was.
    types = pa.types
    return not (
        kind == FRACTIONS and (types.is_decimal(target) or types.is_boolean(target) or types.is_integer(target))
    )


def _row_groups(
    read: Iterator[bytes], columns: Sequence[_Column], schema: pa.Schema, is_regular: bool
) -> Iterator[pa.Table]:
    row = 1
    for block in read:
        for part in cut(block, source.MOST_CELLS // max(1, len(columns))):
            if not part.isspace():
                table = _table(part, columns, schema, row, is_regular)
                row += table.num_rows
                yield table


def _table(block: bytes, columns: Sequence[_Column], schema: pa.Schema, row: int, is_regular: bool) -> pa.Table:
    arrays = _by_arrow(block, columns, is_regular)
    wanted = [column for column in columns if column.key is not None and column.key not in arrays]
    if wanted:
        arrays |= _by_python(block, wanted)
    count = len(next(iter(arrays.values()))) if arrays else len(lines_of(block))
    found = []
    for column in columns:
        array = pa.nulls(count, column.type) if column.key is None else arrays[column.key]
        found.append(cast(array, column.type, column.name, row))
    return pa.Table.from_arrays(found, schema=schema)


def _by_arrow(block: bytes, columns: Sequence[_Column], is_regular: bool) -> dict[str, pa.Array]:
    """Return the columns that pyarrow can read: all, all but those that are JSON text, or none."""
    types = {column.key: column.read_as for column in columns if column.key is not None and column.read_as is not None}
    if not types:
        return {}
    table = _read(block, pa.schema(list(types.items())), is_regular=is_regular)
    if table is None:
        return {}
    return {name: _whole(table.column(name)) for name in types}


def _by_python(block: bytes, columns: Sequence[_Column]) -> dict[str, pa.Array]:
    rows = rows_of(block)
    arrays = {}
    for column in columns:
        members = [row.get(column.key or "") for row in rows]
        if column.read_as is None:
            arrays[column.key or ""] = pa.array(
                [None if each is None else each.text() for each in members], pa.string()
            )
        else:
            values = [None if each is None else each.value for each in members]
            arrays[column.key or ""] = pa.array(values, column.read_as)
    return arrays


def _whole(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)


def _narrow(block: bytes) -> Iterator[bytes]:
    """Give a block in parts that aren't too large as a table, each row of which has all columns of the part."""
    lines = block.count(b"\n") + 1
    names = set(_NAME.findall(b"\n".join(block.split(b"\n")[::SAMPLED])))
    if lines > SAMPLED and lines * len(names) * SAMPLED > source.MOST_CELLS:
        for part in cut(block, (lines + 1) // 2):
            yield from _narrow(part)
    else:
        yield block


def _read(block: bytes, schema: pa.Schema | None, *, is_regular: bool = False) -> pa.Table | None:
    """
    Read rows with pyarrow.

    :param schema: the columns to read; else all, with the types that are found.
    :param is_regular: whether it was read before.
    :returns: ``None`` for what Python should read.
    """
    lines = [] if is_regular else lines_of(block)
    for line in lines:
        if not line.startswith(b"{") or (line.count(b"[") + line.count(b"{") > BRACKETS and _is_deep(line)):
            return None
    try:
        table = pj.read_json(
            io.BytesIO(block),
            read_options=pj.ReadOptions(block_size=len(block) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "ignore"
            ),
        )
        table.validate()  # nulls in lists of objects may be one too few
    except READ_ERRORS:
        return None
    return table if is_regular or table.num_rows == len(lines) else None


def _is_deep(line: bytes) -> bool:
    """Return whether brackets are in each other, not side by side; those in texts count too."""
    depth = deepest = 0
    for bracket in re.finditer(rb"[\[{]|[\]}]", line):
        depth += 1 if bracket[0] in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest > BRACKETS


def _kinds(block: bytes, table: pa.Table | None) -> dict[str, Kind]:
    """Return what each column of some rows holds; they are a table already where pyarrow can read them."""
    if table is None:
        return _kinds_of(rows_of(block), None)
    unsure = set()
    if any(has_fractions(field.type) for field in table.schema) and _has_long_integers(block):
        unsure = {field.name for field in table.schema if has_fractions(field.type)}
    kinds = {
        field.name: NOTHING if field.name in unsure else kind_of_array(_whole(table.column(index)))
        for index, field in enumerate(table.schema)
    }
    return kinds | (_kinds_of(rows_of(block), unsure) if unsure else {})


def _has_long_integers(block: bytes) -> bool:
    digits = block.translate(_AS_ZEROS)
    return _SIXTEEN in digits and _LONG_INTEGER.search(digits) is not None


def _kinds_of(rows: Sequence[Mapping[str, Member]], keys: set[str] | None) -> dict[str, Kind]:
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for key, member in row.items():
            if keys is None or key in keys:
                columns.setdefault(key, []).append(member.value)
    return {key: kind_of_values(values) for key, values in columns.items()}
