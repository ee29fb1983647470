"""
Writes rows that the API sent along with its answer in the form that their file would have had: UTF-8, in chunks.

Half a surrogate pair, which JSON can escape and UTF-8 has no bytes for, stays an escape, or is U+FFFD in CSV.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")


def json_file(rows: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Give one array of objects."""
    yield _json(list(rows))


def ndjson_file(rows: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Give one object a line."""
    for row in rows:
        yield _json(row) + b"\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")


def csv_file(rows: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Give a header with the columns of all rows, and the rows; a list or an object is JSON in its cell."""
    text = io.StringIO(newline="")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
        )
        yield _valid(text.getvalue())
        text.seek(0)
        text.truncate()
    yield _valid(text.getvalue())


def _valid(text: str) -> bytes:
    return _HALF_OF_A_PAIR.sub("\ufffd", text).encode()
