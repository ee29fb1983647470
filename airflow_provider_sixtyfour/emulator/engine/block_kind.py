"""
What a kind of block is: one entry of the catalogue, with its schema, its rows and what it does to them.

Invariant: a kind cannot exist without the function that carries it out, so a block is never listed but not run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_sixtyfour.emulator.engine.prices import EXAMPLE_CENTS
from airflow_provider_sixtyfour.emulator.engine.steps import Step, passes_through

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

Schema = dict[str, Any]
Settings = Mapping[str, Any]
RowType = Literal["LEAD", "COMPANY"]


def added_fields(settings: Settings, incoming: Sequence[str]) -> list[str]:
    """Return the columns of a block that adds its ``return_fields``."""
    return [*incoming, *(settings.get("return_fields") or ())]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """
    What is true of all blocks of one name.

    :param title: what it does, in one line.
    :param act: takes the settings, gives the step for one passage of the rows.
    :param specs: the members of its specs, each with its JSON Schema.
    :param open_specs: members that `specs` doesn't name are let through, as no public text names them all.
    :param source: where its rows come from, for a block that a workflow starts with.
    :param takes: the type of rows that it works on; None: any.
    :param gives: the type of its rows; None: that of those it gets.
    :param keeps_rows: it gives exactly one row for each that it gets.
    :param aliases: its names of an older generation.
    """

    title: str
    act: Callable[[Settings], Step]
    name: str = ""
    specs: Mapping[str, Schema] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    open_specs: bool = False
    source: Literal["webhook", "upload", "invented"] | None = None
    takes: RowType | None = None
    gives: RowType | None = None
    makes_file: bool = True
    keeps_rows: bool = True
    columns: Callable[[Settings, Sequence[str]], list[str]] = added_fields
    aliases: tuple[str, ...] = ()

    @property
    def imitated(self) -> bool:
        """Whether the emulator does what the service does; else rows pass through as they are."""
        return self.act is not passes_through

    @cached_property
    def schema(self) -> Schema:
        """The JSON Schema of its specs."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.title,
            "type": "object",
            "properties": dict(self.specs),
            "required": list(self.required),
            "additionalProperties": self.open_specs,
        }

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """What the schema says of members that are left out."""
        return {name: rule["default"] for name, rule in self.specs.items() if "default" in rule}

    @cached_property
    def _validator(self) -> Draft202012Validator:
        from jsonschema import Draft202012Validator, FormatChecker

        return Draft202012Validator(self.schema, format_checker=FormatChecker(["regex"]))

    def settings(self, specs: Settings) -> dict[str, Any]:
        """Return the specs with the defaults of what they leave out."""
        return {**self.defaults, **specs}

    def cents(self, specs: Settings) -> int:
        """Return the example price of one row."""
        mode = f"{self.name}:{self.settings(specs).get('mode')}"
        return EXAMPLE_CENTS.get(mode, EXAMPLE_CENTS.get(self.name, 0))

    def fault_in(self, specs: Settings) -> str | None:
        """Return what is wrong with these specs, in words, or None."""
        # Imported late, here and above: with its formats it would take half of the emulator's start.
        from jsonschema.exceptions import best_match

        error = best_match(self._validator.iter_errors(dict(specs)))
        if error is None:
            return None
        where = ".".join(["specs", *(str(part) for part in error.absolute_path)])
        return f"{where}: {error.message}"
