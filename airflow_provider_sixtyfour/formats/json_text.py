"""JSON as it is written to files: readable where it can be, and never refused for half a surrogate pair."""

from __future__ import annotations

import json
from typing import Any


def json_line(value: Any) -> bytes:
    """Return a value as one line of JSON, in UTF-8."""
    return json_bytes(value) + b"\n"


def json_bytes(value: Any, indent: int | None = None) -> bytes:
    """
    Return a value as JSON, in UTF-8.

    :raises ValueError: if it holds a number that JSON cannot represent.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can say
        return json.dumps(value, allow_nan=False, indent=indent).encode()
