"""
The conditions of a ``filter`` block.

Invariant: every operator of the schema is in one table; values are compared as a CSV file shows them, so that what
was 5 in the call and is "5" in an uploaded file are equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def text(value: object) -> str:
    """Return a value as a CSV file shows it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _is_empty(value: object) -> bool:
    return value is None or value in ("", [], {})


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, list):
        return any(text(one).lower() == text(wanted).lower() for one in found)
    return text(wanted).lower() in text(found).lower()


def _less(less: Any, more: Any) -> bool:
    try:
        return float(less) < float(more)
    except (TypeError, ValueError):
        return not _is_empty(less) and not _is_empty(more) and text(less) < text(more)


def _in(found: Any, wanted: Any) -> bool:
    """Take a list, or its members in a text with commas."""
    members = wanted if isinstance(wanted, list) else text(wanted).split(",")
    return text(found).strip() in {text(one).strip() for one in members}


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": lambda found, wanted: text(found) == text(wanted),
    "not_equals": lambda found, wanted: text(found) != text(wanted),
    "contains": _contains,
    "not_contains": lambda found, wanted: not _contains(found, wanted),
    "greater": lambda found, wanted: _less(wanted, found),
    "less": _less,
    "in": _in,
    "not_in": lambda found, wanted: not _in(found, wanted),
    "is_empty": lambda found, wanted: _is_empty(found),
    "is_not_empty": lambda found, wanted: not _is_empty(found),
    "matches": lambda found, wanted: re.search(text(wanted), text(found)) is not None,
}

_WITH_VALUE = sorted(set(OPERATORS) - {"is_empty", "is_not_empty"})
SCHEMA: dict[str, Any] = {
    "type": "array",
    "description": "Conditions, read from the first on; each is joined to those before it by its `logic` (and).",
    "items": {
        "type": "object",
        "properties": {
            "column": {"type": "string", "minLength": 1},
            "operator": {"enum": list(OPERATORS)},
            "value": {},
            "logic": {"enum": ["and", "or"], "default": "and"},
        },
        "required": ["column", "operator"],
        "additionalProperties": False,
        "allOf": [
            {"if": {"properties": {"operator": {"enum": _WITH_VALUE}}}, "then": {"required": ["value"]}},
            {
                "if": {"properties": {"operator": {"const": "matches"}}},
                "then": {"properties": {"value": {"type": "string", "format": "regex"}}},
            },
        ],
    },
    "default": [],
}


def meets(row: Row, filters: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a row meets these conditions; without any it does."""
    met = True
    for number, one in enumerate(filters):
        found = OPERATORS[one["operator"]](row.get(one["column"]), one.get("value"))
        met = (met or found) if number and one.get("logic") == "or" else (met and found)
    return met
