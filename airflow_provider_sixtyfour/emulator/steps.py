"""
What each kind of block does to rows.

Invariant: a step never changes a row that it was given, and enriching never overwrites a value that is there; apart
from ``deduplicate``, which remembers what it has seen, a step depends on its rows alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_sixtyfour.emulator import enrichment
from airflow_provider_sixtyfour.emulator.catalogue import KINDS

Row = Mapping[str, Any]
Rows = Sequence[Row]
Step = Callable[[Sequence[Rows]], Rows]
"""Takes what each previous block made of one input row, gives what this one makes of it."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def step(block_name: str, specs: Mapping[str, Any]) -> Step:
    """Return the step of a block, fresh for one pass over the rows."""
    settings = {**KINDS[block_name].defaults, **specs}
    maker = _MAKERS.get(block_name)
    if maker is None:
        return _one_after_the_other
    return maker(settings)


def columns(block_name: str, specs: Mapping[str, Any], incoming: Sequence[str]) -> list[str]:
    """Return the columns of a block's file, given those that lead into it."""
    settings = {**KINDS[block_name].defaults, **specs}
    if block_name == "transform":
        kept = [settings["rename"].get(name, name) for name in incoming if name not in settings["drop"]]
        return list(dict.fromkeys([*kept, *settings["set"]]))
    added = _ADDED.get(block_name, settings.get("return_fields", ()))
    return list(dict.fromkeys([*incoming, *added]))


def _one_after_the_other(inputs: Sequence[Rows]) -> Rows:
    return inputs[0] if len(inputs) == 1 else [row for rows in inputs for row in rows]


def _for_each(change: Callable[[Row], Row]) -> Step:
    def run(inputs: Sequence[Rows]) -> Rows:
        return [change(row) for rows in inputs for row in rows]

    return run


def _enrich(settings: Mapping[str, Any]) -> Step:
    makers = {column: enrichment.maker(column, hint) for column, hint in settings["return_fields"].items()}

    def change(row: Row) -> Row:
        identity = None
        found = {}
        for column, make in makers.items():
            if row.get(column) in (None, ""):
                identity = identity or enrichment.digest(row)
                found[column] = make(enrichment.number(identity, column), row)
        return {**row, **found} if found else row

    return _for_each(change)


def _validate_email(settings: Mapping[str, Any]) -> Step:
    field = settings["email_field"]

    def change(row: Row) -> Row:
        valid = bool(_EMAIL.fullmatch(str(row.get(field) or "").strip()))
        return {**row, "email_valid": valid, "email_status": "valid" if valid else "invalid"}

    return _for_each(change)


def _validate_phone(settings: Mapping[str, Any]) -> Step:
    field = settings["phone_field"]

    def change(row: Row) -> Row:
        digits = re.sub(r"[\s().+-]", "", str(row.get(field) or ""))
        return {**row, "phone_valid": digits.isdecimal() and 7 <= len(digits) <= 15}

    return _for_each(change)


def _filter(settings: Mapping[str, Any]) -> Step:
    conditions = settings["conditions"]
    together = all if settings["match"] == "all" else any

    def run(inputs: Sequence[Rows]) -> Rows:
        rows = _one_after_the_other(inputs)
        if not conditions:
            return rows
        return [row for row in rows if together(_meets(row, condition) for condition in conditions)]

    return run


def _meets(row: Row, condition: Mapping[str, Any]) -> bool:
    found, wanted = row.get(condition["field"]), condition.get("value")
    match condition["operator"]:
        case "equals":
            return _text(found) == _text(wanted)
        case "not_equals":
            return _text(found) != _text(wanted)
        case "contains":
            return _text(wanted).lower() in _text(found).lower()
        case "not_contains":
            return _text(wanted).lower() not in _text(found).lower()
        case "is_empty":
            return found in (None, "")
        case "is_not_empty":
            return found not in (None, "")
        case "greater_than":
            return _ordered(wanted, found)
        case _:
            return _ordered(found, wanted)


def _text(found: object) -> str:
    """Compare values as a CSV file shows them: what was 5 in the call is "5" in an uploaded file."""
    if isinstance(found, bool):
        return "true" if found else "false"
    return "" if found is None else str(found)


def _ordered(less: Any, more: Any) -> bool:
    try:
        return float(less) < float(more)
    except (TypeError, ValueError):
        return bool(less not in (None, "") and more not in (None, "") and _text(less) < _text(more))


def _deduplicate(settings: Mapping[str, Any]) -> Step:
    names = settings["columns"]
    seen: set[bytes] = set()

    def is_new(row: Row) -> bool:
        key = enrichment.digest({name: row.get(name) for name in names} if names else row)
        if key in seen:
            return False
        seen.add(key)
        return True

    return lambda inputs: [row for rows in inputs for row in rows if is_new(row)]


def _transform(settings: Mapping[str, Any]) -> Step:
    rename, drop, fixed = settings["rename"], set(settings["drop"]), settings["set"]
    return _for_each(
        lambda row: {**{rename.get(name, name): value for name, value in row.items() if name not in drop}, **fixed}
    )


def _merge(settings: Mapping[str, Any]) -> Step:
    if settings["how"] == "append":
        return _one_after_the_other

    def run(inputs: Sequence[Rows]) -> Rows:
        longest = max(len(rows) for rows in inputs)
        merged: list[dict[str, Any]] = [{} for _ in range(longest)]
        for rows in inputs:
            for into, row in zip(merged, rows, strict=False):
                into.update(row)
        return merged

    return run


_MAKERS: Mapping[str, Callable[[Mapping[str, Any]], Step]] = {
    "lead_enrichment": _enrich,
    "enrich_person": _enrich,
    "company_enrichment": _enrich,
    "enrich_company": _enrich,
    "find_email": _enrich,
    "find_phone": _enrich,
    "validate_email": _validate_email,
    "validate_phone": _validate_phone,
    "filter": _filter,
    "deduplicate": _deduplicate,
    "transform": _transform,
    "merge": _merge,
}
_ADDED: Mapping[str, tuple[str, ...]] = {
    "validate_email": ("email_valid", "email_status"),
    "validate_phone": ("phone_valid",),
}
