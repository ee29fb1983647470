"""
The columns that an enrichment adds: ``return_fields``, in both of the forms that the API takes.

Invariant: a value has the type that its field asks for; a ``dict`` comes as a string of JSON, as from the service.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_sixtyfour.emulator.engine import fake_values

Row = Mapping[str, Any]
Make = Callable[[int, Row], Any]

_SCALARS: dict[str, Callable[[int, Any], Any]] = {
    "str": lambda seed, found: found if isinstance(found, str) else str(found),
    "int": lambda seed, found: found if _is_number(found, int) else seed % 10_000,
    "float": lambda seed, found: float(found) if _is_number(found, int | float) else seed % 1_000_000 / 100,
    "bool": lambda seed, found: found if isinstance(found, bool) else seed % 2 == 1,
    "dict": lambda seed, found: json.dumps({"value": found}, ensure_ascii=False),
}
_NAMES = {
    "string": "str",
    "text": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "list": "list[str]",
}
TYPES = (
    *(*_SCALARS, *(name for name in _NAMES if name not in {"text", "number", "array"})),
    *(f"list[{name}]" for name in ("str", "int", "float", "bool")),
    *("enum", "list[enum]", "object", "object_list"),
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "The columns to add. Each value is a description, a type, or an object with both.",
    "additionalProperties": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {
                    "description": {"type": "string"},
                    "type": {"enum": list(dict.fromkeys(TYPES))},
                    "options": {"type": "array", "items": {"type": "string", "maxLength": 200}, "maxItems": 500},
                    "subfields": {"type": ["object", "array"]},
                },
            },
        ]
    },
    "minProperties": 1,
}


def maker(column: str, field: str | Mapping[str, Any]) -> Make:
    """Return what invents the values of a column."""
    if isinstance(field, str):
        kind = _canonical(field)
        if kind is None:  # a description
            return fake_values.maker(column)
        field = {"type": kind}
    kind = _canonical(str(field.get("type", ""))) or "str"
    named = fake_values.maker(column)
    if kind in _SCALARS:
        cast = _SCALARS[kind]
        return lambda seed, row: cast(seed, named(seed, row))
    if kind in {"enum", "list[enum]"}:
        options = [str(option) for option in field.get("options") or ("other",)]
        if kind == "enum":
            return lambda seed, row: options[seed % len(options)]
        return lambda seed, row: [options[seed % len(options)]]
    if kind in {"object", "object_list"}:
        return _object(field.get("subfields") or {}, as_list=kind == "object_list")
    cast = _SCALARS[kind.removeprefix("list[").removesuffix("]")]
    return lambda seed, row: [cast(seed, named(seed, row)), cast(seed >> 8, named(seed >> 8, row))]


def _canonical(text: str) -> str | None:
    """Return the type that a text names, or None."""
    name = text.strip().lower()
    name = _NAMES.get(name, name)
    name = _NAMES.get(name, name)
    return name if name in TYPES else None


def _object(subfields: Any, *, as_list: bool) -> Make:
    named = subfields if isinstance(subfields, dict) else {str(one.get("name")): one for one in subfields}
    makers = {name: maker(name, one if isinstance(one, str | dict) else "str") for name, one in named.items()}

    def make(seed: int, row: Row) -> Any:
        found = {name: one(seed, row) for name, one in makers.items()}
        return [found] if as_list else found

    return make


def _is_number(found: Any, kind: Any) -> bool:
    return isinstance(found, kind) and not isinstance(found, bool)
