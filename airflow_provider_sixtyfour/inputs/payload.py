"""
What a run is started with, checked before anything is sent.

Rows are plain JSON objects: a value that JSON cannot represent is refused with its row and column, never
turned into something else on the quiet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api.calls import RESULT_FORMATS, identifier
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.json_values import plain_object
from airflow_provider_sixtyfour.workflows.source import required_columns

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.workflows.source import Source

WEBHOOK_SOURCE = "webhook"
FILE_SOURCE = "read_csv"


def check_rows(payload: Any, name: str = "webhook_payload") -> list[dict[str, Any]] | dict[str, Any]:
    """
    Return the payload as plain lists and dicts: a list of objects, or one object.

    :param payload: an object, or any finite collection of objects (a list, a tuple, the lazy sequence of a
        mapped upstream task).
    :param name: the parameter, for a message.
    :raises SixtyfourInputError: naming the row and column that can't be sent.
    """
    if isinstance(payload, Mapping):
        return plain_object(payload, name)
    if isinstance(payload, str | bytes | bytearray) or not isinstance(payload, Iterable):
        raise SixtyfourInputError(f"{name} should be a list of objects or one object, not {type(payload).__name__}.")
    rows = []
    for number, row in enumerate(payload):
        if not isinstance(row, Mapping):
            raise SixtyfourInputError(
                f"Row {number} of {name} should be an object such as {{'company': 'Example'}}, "
                f"not {type(row).__name__}."
            )
        rows.append(plain_object(row, f"row {number}"))
    if not rows:
        raise SixtyfourInputError(
            f"{name} is an empty list: there is nothing to run. Skip the task when there are no rows."
        )
    return rows


def check_formats(result_formats: Any) -> tuple[str, ...]:
    """
    Return the formats asked for, each once.

    :raises SixtyfourInputError: if one is none of ``csv``, ``json``, ``ndjson``.
    """
    names = (result_formats,) if isinstance(result_formats, str) else result_formats
    if not isinstance(names, Iterable):
        raise SixtyfourInputError(f"result_formats should be a list of formats, not {type(names).__name__}.")
    names = list(names)
    unknown = [name for name in names if name not in RESULT_FORMATS]
    if unknown or not names:
        raise SixtyfourInputError(
            f"result_formats should be some of {', '.join(RESULT_FORMATS)}, not {str(unknown or 'none')[:120]}."
        )
    return tuple(dict.fromkeys(names))


def run_body(webhook_payload: Any, resource_handle_id: Any, specs_override: Any) -> dict[str, Any]:
    """
    Return the body of a submission.

    :raises SixtyfourInputError: if both kinds of input are given, or one of them can't be sent.
    """
    if webhook_payload is not None and resource_handle_id is not None:
        raise SixtyfourInputError("Give webhook_payload or resource_handle_id, not both: a run has one input.")
    body: dict[str, Any] = {}
    if webhook_payload is not None:
        body["webhook_payload"] = check_rows(webhook_payload)
    override = {}
    if specs_override is not None:
        if not isinstance(specs_override, Mapping):
            raise SixtyfourInputError(f"specs_override should be an object, not {type(specs_override).__name__}.")
        override = plain_object(specs_override, "specs_override")
    if resource_handle_id is not None:
        handle = identifier(resource_handle_id, "resource_handle_id")
        if override.get("resource_handle_id", handle) != handle:
            raise SixtyfourInputError("specs_override names another resource_handle_id than the parameter does.")
        override["resource_handle_id"] = handle
    if "webhook_payload" in body and override.get("resource_handle_id") is not None:
        raise SixtyfourInputError(
            "Give webhook_payload or a resource_handle_id in specs_override, not both: a run has one input."
        )
    if override:
        body["specs_override"] = override
    return body


def with_handle(body: Mapping[str, Any], handle: str) -> dict[str, Any]:
    """
    Return the body of a submission with the upload that it is to read.

    :raises SixtyfourInputError: if the handle can't be one.
    """
    handle = identifier(handle, "resource_handle_id")
    return {**body, "specs_override": {**body.get("specs_override", {}), "resource_handle_id": handle}}


def count_rows(body: Mapping[str, Any]) -> int | None:
    """Return how many rows a request holds; ``None`` if they are in a file."""
    payload = body.get("webhook_payload")
    return None if payload is None else len(payload) if isinstance(payload, list) else 1


def check_fit(body: Mapping[str, Any], source: Source | None, workflow_id: str) -> None:
    """
    Check that the input is of the kind that the workflow's source block reads, with the columns that it requires.

    :param source: the source block; ``None`` if it isn't known, which passes everything.
    :raises SixtyfourInputError: if it isn't.
    """
    block = source.block_name if source else None
    has_rows = "webhook_payload" in body
    has_file = "resource_handle_id" in body.get("specs_override", {})
    wrong = None
    if block == WEBHOOK_SOURCE and not has_rows:
        wrong = "it takes rows: give webhook_payload"
    elif block == FILE_SOURCE and not has_file:
        wrong = "it reads an uploaded file: give resource_handle_id, as ObjectStorageToSixtyfourOperator returns it"
    if wrong is None and block == WEBHOOK_SOURCE and has_file:
        wrong = "it takes rows, not a file: give webhook_payload"
    if wrong:
        raise SixtyfourInputError(f"The workflow begins with the block {block!r}: {wrong}. Workflow {workflow_id}.")
    check_columns(body, source, workflow_id)


def check_columns(
    body: Mapping[str, Any], source: Source | None, workflow_id: str, name: str = "webhook_payload"
) -> None:
    """
    Check that each row has the columns that a webhook block's ``input_schema`` requires; the API answers 400 if not.

    :param source: the source block; ``None`` if it isn't known. A ``specs_override`` may replace its ``input_schema``.
    :param name: the parameter that holds the rows, for a message.
    :raises SixtyfourInputError: naming the first row that lacks a column.
    """
    if source is None or source.block_name != WEBHOOK_SOURCE or "webhook_payload" not in body:
        return
    schema = body.get("specs_override", {}).get("input_schema", source.input_schema)
    required = required_columns(schema) if isinstance(schema, Mapping) else []
    payload = body["webhook_payload"]
    for number, row in enumerate([payload] if isinstance(payload, Mapping) else payload):
        if missing := [column for column in required if column not in row]:
            raise SixtyfourInputError(
                f"Row {number} of {name} lacks {', '.join(map(repr, missing))!s:.200}, which the workflow's "
                f"input_schema requires. Nothing was sent. Workflow {workflow_id}."
            )


def digest(workflow_id: str, body: Mapping[str, Any], result_formats: Sequence[str]) -> str:
    """Return a fingerprint of the work that a submission asks for; equal work has equal fingerprints."""
    text = json.dumps([workflow_id, body, sorted(result_formats)], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
