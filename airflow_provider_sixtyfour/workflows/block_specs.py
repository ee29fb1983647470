"""What the blocks of a workflow are called and set to, compared with what the API lists of each kind of block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from airflow_provider_sixtyfour.api.models import BlockType


def faults_of(blocks: Mapping[str, Mapping[str, Any]], kinds: Iterable[BlockType]) -> Iterator[tuple[str, str]]:
    """
    Yield what is wrong with the names and specs of blocks: the ``block_id`` and the fault.

    :param kinds: what ``GET /workflows/blocks`` lists; with none, names and specs go unchecked.
    """
    listed = {kind.block_name: kind for kind in kinds}
    if not listed:
        return
    for block_id, block in blocks.items():
        kind = listed.get(block["block_name"])
        if kind is None:
            yield block_id, f"there is no block_name {_hint(block['block_name'], listed)}"
        else:
            yield from ((block_id, fault) for fault in _faults_of_specs(block["specs"], kind.specs_schema))


def _faults_of_specs(specs: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    import jsonschema
    import referencing

    # An empty registry: a schema that refers to an address is not followed there.
    validator = jsonschema.Draft202012Validator(dict(schema), registry=referencing.Registry())
    try:
        validator.check_schema(dict(schema))
        errors = sorted(validator.iter_errors(specs), key=lambda error: error.json_path)
    # What can't be checked here, the server checks: a schema that is none, that refers to an address or for ever
    # to itself, with a pattern that Python doesn't know, with a number that is too large.
    except (
        jsonschema.SchemaError,
        referencing.exceptions.Unresolvable,
        RecursionError,
        re.error,
        ArithmeticError,
    ):
        return []
    return [f"specs{error.json_path[1:]}: {error.message}" for error in errors]


def unknown_specs(names: Iterable[str], block_name: str, specs: Iterable[str], kinds: Iterable[BlockType]) -> list[str]:
    """
    Return those names that are no specs of a block, each with the one that may have been meant.

    :param block_name: the block.
    :param specs: the names that its stored specs have, which are known.
    :param kinds: as for `faults_of`; where they name no specs of this kind of block, nothing is unknown.
    """
    listed = {name for kind in kinds if kind.block_name == block_name for name in _properties(kind.specs_schema)}
    known = {*specs, *listed}
    return [_hint(name, known) for name in names if name not in known] if listed else []


def defaults_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults that a schema of specs names."""
    properties = _properties(schema).items()
    return {name: given["default"] for name, given in properties if isinstance(given, Mapping) and "default" in given}


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _hint(name: str, known: Iterable[str]) -> str:
    """Return a name in quotes, with the one of those that are known that it resembles."""
    close = get_close_matches(name[:60].lower(), sorted(known), n=1)
    return f"{name!r:.60}" + (f" (did you mean {close[0]!r:.60}?)" if close else "")
