from __future__ import annotations

import hashlib
import io
import json
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_sixtyfour.formats.parquet.writer import as_parquet
from tests.unit.conftest import (  # noqa: F401 - fixtures
    _nothing_masked_yet,
    emulator,
    emulator_process,
    folder,
    keys,
    logs,
    no_pauses,
)


class Converted(NamedTuple):
    """
    What became of a file.

    :param table: ``None`` if it was left as it came.
    """

    table: Any
    warnings: list[str]

    @property
    def rows(self) -> list[dict[str, Any]]:
        assert self.table is not None, self.warnings
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows

    @property
    def types(self) -> dict[str, str]:
        assert self.table is not None, self.warnings
        return {field.name: str(field.type) for field in self.table.schema}


def attempt(content: bytes, format: str, schema: dict[str, Any] | None = None, chunk: int = 1000) -> Converted:
    """Convert a file; what can't be converted is compared with the original."""
    written, warnings = io.BytesIO(), []
    with as_parquet(format, schema) as converted:
        for start in range(0, len(content), chunk):
            converted.write(content[start : start + chunk])
        is_parquet = converted.convert("out.parquet", lambda message, *values: warnings.append(message % values))
        assert converted.size == (converted.stats.bytes if is_parquet else len(content))
        converted.publish(written.write)
    assert len(warnings) <= 1
    if not is_parquet:
        assert written.getvalue() == content
        assert "Not written as Parquet" in warnings[0]
        return Converted(None, warnings)
    assert converted.stats.sha256 == hashlib.sha256(written.getvalue()).hexdigest()
    assert converted.stats.bytes == len(written.getvalue())
    table = pq.read_table(io.BytesIO(written.getvalue()))
    table.validate(full=True)
    assert converted.stats.rows == table.num_rows
    return Converted(table, warnings)


def convert(content: bytes, format: str, schema: dict[str, Any] | None = None) -> pa.Table:
    """Return the table that a file becomes without a warning."""
    converted = attempt(content, format, schema)
    assert converted.warnings == []
    return converted.table


def lines(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
