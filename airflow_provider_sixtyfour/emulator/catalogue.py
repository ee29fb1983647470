"""
The kinds of block that the emulator runs, and the JSON Schema of each one's specs.

Invariant: one table feeds ``GET /workflows/blocks``, the check of a graph, the price of a run and the choice of
files, so they cannot drift apart. Members that a schema doesn't name are let through, as the service's pages show
specs that no page describes; a member that it names must have the type that it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

Schema = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What is true of all blocks of one name."""

    name: str
    schema: Schema
    takes_input: bool = False
    makes_file: bool = True
    keeps_rows: bool = True  # gives exactly one row for each that it gets
    credits: int = 0  # per row
    rows_are: str = "LEAD"

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """What the schema says of members that are left out."""
        properties: dict[str, Schema] = self.schema["properties"]
        return {name: rule["default"] for name, rule in properties.items() if "default" in rule}

    @cached_property
    def _validator(self) -> Draft202012Validator:
        from jsonschema import Draft202012Validator

        return Draft202012Validator(self.schema)

    def fault_in(self, specs: Mapping[str, Any]) -> str | None:
        """Return what is wrong with these specs, in words, or None."""
        # Imported late, here and above: with its formats it would take half of the emulator's start.
        from jsonschema.exceptions import best_match

        error = best_match(self._validator.iter_errors(dict(specs)))
        if error is None:
            return None
        where = ".".join(["specs", *(str(part) for part in error.absolute_path)])
        return f"{where}: {error.message}"


def _text(default: str | None = None, **more: Any) -> Schema:
    return {"type": "string", **({} if default is None else {"default": default}), **more}


def _schema(title: str, properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": True,
    }


def _fields(**default: str) -> Schema:
    return {
        "type": "object",
        "description": "The columns to add; each value describes the column, or names its type.",
        "additionalProperties": {"type": "string"},
        "minProperties": 1,
        "default": default,
    }


_STRINGS: Schema = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_OPERATORS = [
    *("equals", "not_equals", "contains", "not_contains"),
    *("is_empty", "is_not_empty", "greater_than", "less_than"),
]
_CONDITION: Schema = {
    "type": "object",
    "properties": {"field": _text(minLength=1), "operator": {"enum": _OPERATORS}, "value": {}},
    "required": ["field", "operator"],
}
_COMPANY = {"company_field": _text("company_name"), "return_fields": _fields(industry="string", website="string")}

_KINDS = (
    Kind(
        "webhook",
        _schema(
            "Rows that come with the call",
            {"input_schema": {"type": "object", "default": {}}, "dataframe_type": _text("LEAD")},
        ),
        takes_input=True,
        makes_file=False,
    ),
    Kind(
        "read_csv",
        _schema(
            "Rows of an uploaded file",
            {"resource_handle_id": {"type": ["string", "null"]}, "dataframe_type": _text("LEAD")},
        ),
        takes_input=True,
        makes_file=False,
    ),
    Kind(
        "lead_enrichment",
        _schema("Find out about a person", {"return_fields": _fields(title="string", linkedin_url="string")}),
        credits=10,
    ),
    Kind(
        "enrich_person",
        _schema(
            "Find out about a person",
            {"name_field": _text("name"), "return_fields": _fields(title="string", location="string")},
        ),
        credits=10,
    ),
    Kind("company_enrichment", _schema("Find out about a company", _COMPANY), credits=10, rows_are="COMPANY"),
    Kind("enrich_company", _schema("Find out about a company", _COMPANY), credits=10, rows_are="COMPANY"),
    Kind(
        "find_email",
        _schema(
            "Find an e-mail address",
            {
                "mode": {"enum": ["PROFESSIONAL", "PERSONAL"], "default": "PROFESSIONAL"},
                "return_fields": _fields(email="string", email_status="string"),
            },
        ),
        credits=5,
    ),
    Kind("find_phone", _schema("Find a telephone number", {"return_fields": _fields(phone="string")}), credits=30),
    Kind("validate_email", _schema("Check an e-mail address", {"email_field": _text("email")}), credits=1),
    Kind("validate_phone", _schema("Check a telephone number", {"phone_field": _text("phone")}), credits=1),
    Kind(
        "filter",
        _schema(
            "Keep the rows that meet the conditions",
            {
                "conditions": {"type": "array", "items": _CONDITION, "default": []},
                "match": {"enum": ["all", "any"], "default": "all"},
            },
        ),
        keeps_rows=False,
    ),
    Kind(
        "deduplicate",
        _schema(
            "Keep the first of rows that are equal, in the columns named or, where none is, in all",
            {"columns": {**_STRINGS, "default": []}},
        ),
        keeps_rows=False,
    ),
    Kind(
        "transform",
        _schema(
            "Rename, drop and set columns",
            {
                "rename": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
                "drop": {**_STRINGS, "default": []},
                "set": {"type": "object", "default": {}},
            },
        ),
    ),
    Kind(
        "merge",
        _schema(
            "Join branches: the rows made from one input row into one, or one after the other",
            {"how": {"enum": ["combine", "append"], "default": "combine"}},
        ),
        keeps_rows=False,
    ),
    Kind("export", _schema("Hand the rows on as a file", {"file_name": _text()})),
    Kind(
        "outgoing_webhook",
        _schema(
            "Deliver the rows to a URL when the run has completed",
            {
                "url": _text(pattern="^https?://"),
                "timeout_seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 60, "default": 10},
            },
            ("url",),
        ),
        makes_file=False,
    ),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
