"""
What kinds of block do to rows.

Invariant: a step never changes a row that it was given, and enriching never overwrites a value that is there; apart
from those that look for rows seen before, a step depends on its rows alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_sixtyfour.emulator.engine import conditions, fake_values, fields

Row = Mapping[str, Any]
Rows = Sequence[Row]
Settings = Mapping[str, Any]
Step = Callable[[Sequence[Rows]], Rows]
"""Takes what each previous block made of one input row, gives what this one makes of it."""

DELIVERY_COLUMN = "webhook_status"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_VALID_EMAIL = ("OK", "OK", "CATCH_ALL", "RISKY")


def one_after_the_other(inputs: Sequence[Rows]) -> Rows:
    """Join the rows of several blocks."""
    return inputs[0] if len(inputs) == 1 else [row for rows in inputs for row in rows]


def unchanged(settings: Settings) -> Step:
    """Hand rows on as they are, which is what the block is for."""
    return one_after_the_other


def passes_through(settings: Settings) -> Step:
    """Hand rows on as they are, because the emulator can't do what the service does."""
    return one_after_the_other


def _for_each(change: Callable[[Row], Row]) -> Step:
    def run(inputs: Sequence[Rows]) -> Rows:
        return [change(row) for rows in inputs for row in rows]

    return run


def deliver(settings: Settings) -> Step:
    """Add a column that says that the row is delivered: the file of this block has it, the delivery has not."""
    return _for_each(lambda row: {**row, DELIVERY_COLUMN: "delivered"})


def enrich(settings: Settings) -> Step:
    """Add the columns that ``return_fields`` names."""
    makers = {column: fields.maker(column, field) for column, field in settings["return_fields"].items()}

    def change(row: Row) -> Row:
        identity = None
        found = {}
        for column, make in makers.items():
            if row.get(column) in (None, ""):
                identity = identity or fake_values.digest(row)
                found[column] = make(fake_values.number(identity, column), row)
        return {**row, **found} if found else row

    return _for_each(change)


def verify_email(settings: Settings) -> Step:
    """Judge the address of each row."""
    column = settings["email_field"]

    def change(row: Row) -> Row:
        address = str(row.get(column) or "").strip()
        seed = fake_values.number(address.encode("utf-8", "surrogatepass"), "email_status")
        status = _VALID_EMAIL[seed % len(_VALID_EMAIL)] if _EMAIL.fullmatch(address) else "INVALID"
        return {**row, "email_status": status}

    return _for_each(change)


def validate_phone(settings: Settings) -> Step:
    """Judge the telephone number of each row."""
    column = settings["phone_field"]

    def change(row: Row) -> Row:
        digits = re.sub(r"[\s().+-]", "", str(row.get(column) or ""))
        return {**row, "phone_valid": digits.isdecimal() and 7 <= len(digits) <= 15}

    return _for_each(change)


def keep(settings: Settings) -> Step:
    """Keep the rows that meet the conditions."""
    wanted = settings["filters"]
    return lambda inputs: [row for rows in inputs for row in rows if conditions.meets(row, wanted)]


def deduplicate(settings: Settings) -> Step:
    """Keep the first of rows that are equal, in the columns named or in all."""
    names = settings["columns"]
    seen: set[bytes] = set()

    def is_new(row: Row) -> bool:
        key = fake_values.digest({name: row.get(name) for name in names} if names else row)
        if key in seen:
            return False
        seen.add(key)
        return True

    return lambda inputs: [row for rows in inputs for row in rows if is_new(row)]


def remove_columns(settings: Settings) -> Step:
    """Drop the columns that are named."""
    names = set(settings["columns"])
    return _for_each(lambda row: {name: value for name, value in row.items() if name not in names})


def company_to_leads(settings: Settings) -> Step:
    """Make two people of each company."""

    def people(row: Row) -> list[Row]:
        identity = fake_values.digest(row)
        made: list[Row] = []
        for place in range(2):
            seed = fake_values.number(identity, f"person {place}")
            name, company = fake_values.person({}, seed), fake_values.company(row, seed)
            made.append({"name": name, "company": company, "title": fake_values.title(seed)})
        return made

    return lambda inputs: [person for rows in inputs for row in rows for person in people(row)]


def leads_to_company(settings: Settings) -> Step:
    """Make one row of each company that people work for."""
    seen: set[str] = set()

    def run(inputs: Sequence[Rows]) -> Rows:
        made: list[Row] = []
        for row in one_after_the_other(inputs):
            seed = fake_values.number(fake_values.digest(row), "company")
            name = fake_values.company(row, seed)
            if name not in seen:
                seen.add(name)
                made.append({"company_name": name, "website": f"https://{fake_values.domain(row, seed)}"})
        return made

    return run


def transform(settings: Settings) -> Step:
    """Rename, drop and set columns."""
    rename, drop, fixed = settings["rename"], set(settings["drop"]), settings["set"]
    return _for_each(
        lambda row: {**{rename.get(name, name): value for name, value in row.items() if name not in drop}, **fixed}
    )


def merge(settings: Settings) -> Step:
    """Join branches, row by row or one after the other."""
    if settings["how"] == "append":
        return one_after_the_other

    def run(inputs: Sequence[Rows]) -> Rows:
        longest = max(len(rows) for rows in inputs)
        merged: list[dict[str, Any]] = [{} for _ in range(longest)]
        for rows in inputs:
            for into, row in zip(merged, rows, strict=False):
                into.update(row)
        return merged

    return run
