"""Writes rows that the API sent along with its answer in the form that their file would have had."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def encoded(rows: Sequence[Mapping[str, Any]], format: str) -> Iterator[bytes]:
    """
    Give the file, piece by piece, in UTF-8.

    :param format: ``csv``, ``json`` or ``ndjson``.
    """
    if format == "csv":
        yield from _csv(rows)
    elif format == "ndjson":
        for row in rows:
            yield json.dumps(row, ensure_ascii=False).encode() + b"\n"
    else:
        yield json.dumps(list(rows), ensure_ascii=False).encode()


def _csv(rows: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    text = io.StringIO(newline="")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
        )
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()
