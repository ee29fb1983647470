"""What a stored workflow reads: its source block, and the columns that this block asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.models import Workflow

_NO_SCHEMA: Mapping[str, Any] = {}


class Source(NamedTuple):
    """
    A workflow's source block.

    :param input_schema: of a ``webhook`` block: column to field schema, or to the name of a type.
    """

    block_name: str
    input_schema: Mapping[str, Any] = _NO_SCHEMA
    specs: Mapping[str, Any] = _NO_SCHEMA


def source_of(workflow: Workflow) -> Source | None:
    """Return the source of a stored workflow; ``None`` if it has not exactly one, or can't be read."""
    from airflow_provider_sixtyfour.workflows.definition import stored

    definition = stored(workflow)
    ends = {end for _, end, _ in definition.edges}
    sources = [block for block_id, block in definition.blocks.items() if block_id not in ends]
    if len(sources) != 1:
        return None
    schema = sources[0]["specs"].get("input_schema")
    return Source(
        sources[0]["block_name"], schema if isinstance(schema, Mapping) else _NO_SCHEMA, specs=sources[0]["specs"]
    )


def required_columns(input_schema: Mapping[str, Any]) -> list[str]:
    """Return the columns that each row must have: those that are not ``required: false`` and have no ``default``."""
    return [
        column
        for column, field in input_schema.items()
        if not isinstance(field, Mapping) or (field.get("required") is not False and "default" not in field)
    ]
