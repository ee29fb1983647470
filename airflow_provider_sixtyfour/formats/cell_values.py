"""Values of rows as text: one definition of a cell's text, and of an empty cell, for every format."""

from __future__ import annotations

import json
from typing import Any


def cell_text(value: Any) -> str:
    """Return a value as a cell of a CSV file says it, so that a row has one key in every format."""
    if isinstance(value, str):
        return value
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # the same number in JSON, which some writers of tables turn 2 into
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def is_empty(value: Any) -> bool:
    """Return whether a value says nothing: missing, null, blank text, an empty list or object."""
    return not cell_text(value).strip()
