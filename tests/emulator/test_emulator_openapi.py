"""The emulator's answers, checked against the vendor's own OpenAPI text where that is available."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from tests.emulator.calls import Calls, definition
from tests.emulator_process import EmulatorProcess

_DEFAULT_PATH = Path(__file__).resolve().parents[2].parent / "shared" / "api" / "openapi.json"


@pytest.fixture(scope="module")
def vendor() -> dict[str, Any]:
    path = Path(os.environ.get("SIXTYFOUR_OPENAPI") or _DEFAULT_PATH)
    if not path.is_file():
        pytest.skip(f"the vendor's OpenAPI text is not at {path}; SIXTYFOUR_OPENAPI can name another path")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def hold(vendor: dict[str, Any], answer: httpx.Response, method: str, template: str) -> Any:
    """Check an answer against the schema of its call and status."""
    responses = vendor["paths"][template][method.lower()]["responses"]
    schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator(
        {**schema, "components": vendor["components"]}, format_checker=jsonschema.FormatChecker()
    )
    body = answer.json()
    validator.validate(body)
    return body


def hold_exactly(
    vendor: dict[str, Any], name: str, shown: dict[str, Any], *, more: frozenset[str] = frozenset()
) -> None:
    """Check that an object has every member that the vendor describes, and no other but `more`."""
    assert set(shown) == set(vendor["components"]["schemas"][name]["properties"]) | more


def test_workflows_are_as_the_vendor_describes_them(calls: Calls, vendor: dict[str, Any]) -> None:
    created = calls.create(definition("find_email"))
    workflow_id = hold(vendor, created, "POST", "/workflows/create_workflow")["id"]
    hold_exactly(vendor, "WorkflowResponse", created.json())
    calls.start(workflow_id)
    updated = calls.post("/workflows/update_workflow", {"workflow_name": "x"}, workflow_id=workflow_id)
    hold(vendor, updated, "POST", "/workflows/update_workflow")
    read = calls.get(f"/workflows/{workflow_id}")
    hold(vendor, read, "GET", "/workflows/{workflow_id}")
    hold_exactly(vendor, "WorkflowResponse", read.json())
    hold_exactly(vendor, "Block", read.json()["workflow_definition"]["blocks"][0])
    hold_exactly(vendor, "WorkflowEdge", read.json()["workflow_definition"]["edges"][0])
    hold(vendor, calls.get("/workflows"), "GET", "/workflows")
    hold(vendor, calls.get("/workflows/blocks"), "GET", "/workflows/blocks")
    deleted = calls.post("/workflows/delete_workflow", workflow_id=workflow_id)
    hold(vendor, deleted, "POST", "/workflows/delete_workflow")


@pytest.mark.parametrize(
    "plan", [{"queue_seconds": 9}, {"seconds": 9}, {"status": "failed"}, {"status": "timeout"}, {}]
)
def test_runs_are_as_the_vendor_describes_them_at_every_stage(
    calls: Calls, emulator: EmulatorProcess, vendor: dict[str, Any], plan: dict[str, Any]
) -> None:
    emulator.plan(**{"seconds": 0, "queue_seconds": 0, **plan})
    started = calls.submit(calls.deploy("find_email", "find_phone"), result_formats="ndjson", save_json="true")
    job_id = hold(vendor, started, "POST", "/workflows/run")["job_id"]
    hold_exactly(vendor, "WorkflowRunStartedResponse", started.json())
    live = calls.get(f"/workflows/runs/{job_id}/live_status")
    hold(vendor, live, "GET", "/workflows/runs/{run_id}/live_status")
    hold_exactly(vendor, "WorkflowLiveStatusResponse", live.json())
    for block in live.json()["blocks"]:
        hold_exactly(vendor, "BlockLiveStatus", block)
        hold_exactly(vendor, "BlockMetrics", block["metrics"])
    listed = calls.get("/workflows/runs")
    hold(vendor, listed, "GET", "/workflows/runs")
    hold_exactly(vendor, "WorkflowRunResponse", listed.json()[0])
    for format in ("csv", "json", "ndjson"):
        links = calls.get(f"/workflows/runs/{job_id}/results/download-links", format=format)
        hold(vendor, links, "GET", "/workflows/runs/{run_id}/results/download-links")
        for file in links.json():
            # The size came with a later page than the OpenAPI text.
            hold_exactly(vendor, "WorkflowResultItemWithDownload", file, more=frozenset({"file_size"}))


def test_a_cancel_is_as_the_vendor_describes_it(
    calls: Calls, emulator: EmulatorProcess, vendor: dict[str, Any]
) -> None:
    emulator.plan(seconds=9)
    job_id = calls.start(calls.deploy("find_email"))
    hold(vendor, calls.post("/workflows/cancel", job_id=job_id), "POST", "/workflows/cancel")


def test_refusals_are_as_the_vendor_describes_them(calls: Calls, vendor: dict[str, Any]) -> None:
    for method, path, template in (
        ("POST", "/workflows/create_workflow", None),
        ("POST", "/workflows/update_workflow", None),
        ("POST", "/workflows/delete_workflow", None),
        ("POST", "/workflows/run", None),
        ("GET", "/workflows/runs?limit=501", "/workflows/runs"),
        ("GET", "/workflows/x", "/workflows/{workflow_id}"),
        ("GET", "/workflows/runs/x/live_status", "/workflows/runs/{run_id}/live_status"),
        ("GET", "/workflows/runs/x/results/download-links", "/workflows/runs/{run_id}/results/download-links"),
    ):
        answer = calls.http.request(method, path)
        assert answer.status_code == 422, path
        hold(vendor, answer, method, template or path)
    refused = calls.create(definition("find_email"), id="no-uuid")
    assert refused.status_code == 422
    hold(vendor, refused, "POST", "/workflows/create_workflow")


def test_every_call_that_the_vendor_describes_is_there(calls: Calls, vendor: dict[str, Any]) -> None:
    unknown = str(uuid.uuid4())
    for template, methods in vendor["paths"].items():
        if template == "/api/usage":  # not one of the workflow calls
            continue
        path = template.replace("{workflow_id}", unknown).replace("{run_id}", unknown)
        for method in methods:
            answer = calls.http.request(method.upper(), path)
            assert answer.status_code != 405
            assert answer.json() != {"detail": "Not Found"}, path
