"""
Result files as Parquet: typed from NDJSON, or text from CSV.

Invariant: memory is bounded by a block of `BLOCK` bytes, which becomes a row group, however large the file is. Every
row group has the schema of the whole file. Types are those of JSON: a text that looks like a time stays a text, so
that the same column doesn't have another type in another run; a schema that is given goes before all of this.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, BinaryIO, cast

from airflow_provider_sixtyfour.api.errors import SixtyfourInputError, SixtyfourTransferError

BLOCK = 16 * 1024 * 1024  # bytes of the text that become a row group
BOM = b"\xef\xbb\xbf"
DEEPEST = 40  # lists and objects in each other; readers take 100 levels of a Parquet schema, in which a list has two
BRACKETS = 500  # of a line, up to which nobody looks how deep they are; pyarrow crashes at some thousands
Schema = Mapping[str, str]


def check_schema(schema: object) -> None:
    """
    Check that Parquet can be written, and a schema that is given for it.

    :param schema: types of columns by their names, as Arrow calls them: ``{"employees": "int64"}``.
    :raises SixtyfourInputError: if pyarrow is missing, or there is no such type.
    """
    if find_spec("pyarrow") is None:
        raise SixtyfourInputError(
            "output_format='parquet' needs pyarrow: pip install 'airflow-provider-sixtyfour[parquet]'."
        )
    if schema is None:
        return
    if not isinstance(schema, Mapping):
        raise SixtyfourInputError(f"parquet_schema should be a dict of types by columns, not {type(schema).__name__}.")
    for name, type_name in schema.items():
        _arrow_type(name, type_name)


def _arrow_type(name: str, type_name: object) -> Any:
    try:
        return import_module("pyarrow").type_for_alias(type_name)
    except (ValueError, TypeError):
        raise SixtyfourInputError(
            f"parquet_schema gives column {name!r:.60} the type {type_name!r:.60}, which is none of Arrow's names of "
            "types, such as 'string', 'int64', 'double', 'bool', 'date32', 'timestamp[us]'."
        ) from None


@contextmanager
def as_parquet(format: str, schema: Schema | None) -> Iterator[AsParquet]:
    """
    Give a file that is collected on local disk as it comes, then written as Parquet.

    :param format: ``csv`` or ``ndjson``, what comes.
    """
    with tempfile.TemporaryFile(prefix="sixtyfour-") as file:
        yield AsParquet(cast("BinaryIO", file), format, schema)


class AsParquet:
    """
    One file on its way to Parquet.

    :param file: what it is collected in.
    """

    def __init__(self, file: BinaryIO, format: str, schema: Schema | None) -> None:
        self._file = file
        self._format = format
        self._schema = schema or {}
        self._digest = hashlib.sha256()
        self.rows = 0
        self.bytes = 0

    @property
    def sha256(self) -> str:
        """Of the Parquet file, in hexadecimal."""
        return self._digest.hexdigest()

    def write(self, piece: bytes) -> None:
        """Take in the next piece."""
        self._file.write(piece)

    def start_over(self) -> None:
        """Forget all that was written."""
        self._file.seek(0)
        self._file.truncate()

    def convert(self, name: str, publish: Callable[[bytes], object]) -> None:
        """
        Write the whole as Parquet; `rows`, `bytes` and `sha256` are known afterwards.

        :param name: of the file, for messages.
        :param publish: is given the Parquet file, piece by piece.
        :raises SixtyfourTransferError: if the file can't be read as its format, or a column not as the schema wants it.
        """
        arrow = import_module("pyarrow")
        self._file.seek(0)
        try:
            schema, batches = (_csv if self._format == "csv" else _ndjson)(self._file, self._schema)
            sink = arrow.PythonFile(_Sink(self, publish), mode="w")
            with import_module("pyarrow.parquet").ParquetWriter(sink, schema) as writer:
                for batch in batches:
                    self.rows += batch.num_rows
                    writer.write_table(batch, row_group_size=max(1, batch.num_rows))
        except (arrow.ArrowException, ValueError, RecursionError, csv.Error) as error:
            raise SixtyfourTransferError(
                f"{name} can't be written as Parquet: {str(error)[:300]}. Nothing of it was left at the destination."
            ) from None

    def take(self, piece: bytes, publish: Callable[[bytes], object]) -> None:
        """Count a piece of the Parquet file and publish it."""
        self.bytes += len(piece)
        self._digest.update(piece)
        publish(piece)


class _Sink(io.RawIOBase):
    """What pyarrow writes to."""

    def __init__(self, file: AsParquet, publish: Callable[[bytes], object]) -> None:
        self._file = file
        self._publish = publish

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._file.take(piece, self._publish)
        return len(piece)


def _csv(file: BinaryIO, given: Schema) -> tuple[Any, Iterator[Any]]:
    """Return the schema and the row groups: text, unless a type is given."""
    arrow, arrow_csv = import_module("pyarrow"), import_module("pyarrow.csv")
    reader = csv.reader(io.TextIOWrapper(io.BufferedReader(_Unclosed(file)), encoding="utf-8-sig", newline=""))
    names = next((row for row in reader if row), [])
    file.seek(0)
    types = {name: _arrow_type(name, given.get(name, "string")) for name in names}
    schema = arrow.schema(list(types.items()))
    if not names:
        return schema, iter(())
    found = arrow_csv.open_csv(
        file,
        read_options=arrow_csv.ReadOptions(block_size=BLOCK),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=False),
    )
    return schema, (arrow.Table.from_batches([batch], schema) for batch in found)


class _Unclosed(io.RawIOBase):
    """Lends a file to a wrapper that would close it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _ndjson(file: BinaryIO, given: Schema) -> tuple[Any, Iterator[Any]]:
    """Return the schema, for which the file is read once, and the row groups. Nested objects are kept."""
    arrow = import_module("pyarrow")
    types: dict[str, Any] = {}
    for block in _blocks(file):
        for name, found in _types(block).items():
            types[name] = _common(types[name], found) if name in types else found
    mixed = {name for name, found in types.items() if name not in given and not _can_be_written(found)}
    chosen = {name: arrow.string() if name in mixed else _named(found) for name, found in types.items()}
    chosen |= {name: _arrow_type(name, given[name]) for name in types.keys() & given.keys()}
    schema = arrow.schema(list(chosen.items()))
    file.seek(0)
    return schema, (_as_text(block, schema, mixed) if mixed else _read(block, schema) for block in _blocks(file))


def _types(block: bytes) -> dict[str, Any]:
    """Return the columns of some rows with their types; ``None`` for what is to be JSON text."""
    arrow = import_module("pyarrow")
    _check_depth(block)
    try:
        found = {field.name: field.type for field in _read(block, None).schema}
    except arrow.ArrowInvalid:
        rows = _rows(block)
        columns = dict.fromkeys(name for row in rows for name in row)
        found = {name: _type_of([row.get(name) for row in rows]) for name in columns}
    return {name: None if each is None or _is_deep(each, DEEPEST) else _plain(each) for name, each in found.items()}


def _check_depth(block: bytes) -> None:
    """
    Have Python read what pyarrow may crash on.

    :raises RecursionError: for a line that is nested about a thousand times.
    """
    for line in block.split(b"\n"):
        if line.count(b"[") + line.count(b"{") > BRACKETS:
            json.loads(line)


def _is_deep(found: Any, levels: int) -> bool:
    """Return whether a type has more than so many levels."""
    types = import_module("pyarrow").types
    if types.is_struct(found):
        return levels == 0 or any(_is_deep(field.type, levels - 1) for field in found)
    return types.is_list(found) and (levels == 0 or _is_deep(found.value_type, levels - 1))


def _type_of(values: list[Any]) -> Any:
    arrow = import_module("pyarrow")
    try:
        return arrow.array(values).type
    except (arrow.ArrowInvalid, arrow.ArrowTypeError, OverflowError):
        return None


def _common(one: Any, other: Any) -> Any:
    """Return a type that holds what both hold; ``None`` if there is none but text."""
    arrow = import_module("pyarrow")
    if one is None or other is None or one == other:
        return one if one == other else None
    schemas = [arrow.schema([("x", each)]) for each in (one, other)]
    try:
        return arrow.unify_schemas(schemas, promote_options="permissive").field("x").type
    except (arrow.ArrowTypeError, arrow.ArrowInvalid):
        return None


def _read(block: bytes, schema: Any) -> Any:
    arrow_json = import_module("pyarrow.json")
    behavior = "infer" if schema is None else "error"
    return arrow_json.read_json(
        io.BytesIO(block),
        read_options=arrow_json.ReadOptions(block_size=len(block) + 1),
        parse_options=arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=behavior),
    )


def _rows(block: bytes) -> list[dict[str, Any]]:
    """
    Return the rows of a block.

    :raises ValueError: if one is no JSON object.
    """
    rows = [json.loads(line) for line in block.splitlines() if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line holds JSON, but no object")
    return rows


def _as_text(block: bytes, schema: Any, mixed: set[str]) -> Any:
    """Return rows, with these columns as JSON text; a text is left as it is."""
    rows = _rows(block)
    for row in rows:
        for name in mixed & row.keys():
            if row[name] is not None and not isinstance(row[name], str):
                row[name] = json.dumps(row[name], ensure_ascii=False)
    return import_module("pyarrow").Table.from_pylist(rows, schema=schema)


def _can_be_written(found: Any) -> bool:
    """Return whether Parquet has such a type: it has none for objects without members."""
    arrow = import_module("pyarrow")
    if found is None:
        return False
    if arrow.types.is_struct(found):
        return found.num_fields > 0 and all(_can_be_written(field.type) for field in found)
    return not arrow.types.is_list(found) or _can_be_written(found.value_type)


def _plain(found: Any) -> Any:
    """Return a type without times, which Arrow sees in texts."""
    arrow = import_module("pyarrow")
    if arrow.types.is_temporal(found):
        return arrow.string()
    return _inside(found, _plain)


def _named(found: Any) -> Any:
    """Return a type with text for what is null in all rows: few readers of Parquet know columns without a type."""
    arrow = import_module("pyarrow")
    return arrow.string() if arrow.types.is_null(found) else _inside(found, _named)


def _inside(found: Any, change: Callable[[Any], Any]) -> Any:
    arrow = import_module("pyarrow")
    if arrow.types.is_struct(found):
        return arrow.struct([(field.name, change(field.type)) for field in found])
    if arrow.types.is_list(found):
        return arrow.list_(change(found.value_type))
    return found


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Give whole lines, about `BLOCK` bytes at a time."""
    rest = file.read(len(BOM)).removeprefix(BOM)
    while data := file.read(BLOCK):
        whole, end, after = (rest + data).rpartition(b"\n")
        rest = after
        if end and whole.strip():
            yield whole + end
    if rest.strip():
        yield rest
