"""Writes rows that the API sent along with its answer in the form that their file would have had."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")


def encoded(rows: Sequence[Mapping[str, Any]], format: str) -> Iterator[bytes]:
    """
    Give the file, chunk by chunk, in UTF-8.

    Half a surrogate pair, which JSON can escape and UTF-8 has no bytes for, stays an escape, or is U+FFFD in CSV.

    :param format: ``csv``, ``json`` or ``ndjson``.
    """
    if format == "csv":
        yield from _csv(rows)
    elif format == "ndjson":
        for row in rows:
            yield _json(row) + b"\n"
    else:
        yield _json(list(rows))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")


def _csv(rows: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
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
