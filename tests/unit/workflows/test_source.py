from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sixtyfour.api.models import Workflow
from airflow_provider_sixtyfour.workflows.source import required_columns, source_of
from tests.unit.workflows.test_definition import A, B, block, edge


def source(definition: Any) -> Any:
    return source_of(Workflow.read({"id": "w", "workflow_definition": definition}))


@pytest.mark.parametrize(
    ("definition", "name"),
    [
        ({"blocks": [block(A, "webhook"), block(B)], "edges": [edge(A, B)]}, "webhook"),
        ({"blocks": [block(A, "webhook"), block(B)], "edges": []}, None),
        ({"blocks": [block(A)], "edges": [edge(A, A)]}, None),
        ({"blocks": []}, None),
        (None, None),
    ],
)
def test_the_source_of_a_stored_workflow(definition: Any, name: str | None):
    found = source(definition)
    assert (found and found.block_name) == name


@pytest.mark.parametrize(
    ("schema", "required"),
    [
        ({"name": "string", "company": {"type": "string"}}, ["name", "company"]),
        ({"name": {"required": True}, "note": {"required": False}, "kind": {"default": None}}, ["name"]),
        ("odd", []),
        (None, []),
    ],
)
def test_the_columns_that_a_webhook_requires(schema: Any, required: list[str]):
    found = source({"blocks": [block(A, "webhook", specs={"input_schema": schema})], "edges": []})
    assert required_columns(found.input_schema) == required
