from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from tests.unit.api.properties import searched

GOOD = ["a", "0b6f7c58-59a4-4b8e-8f43-0b7c7e7d2c11", "run_1", "a.b", "A~B:C@D", "x" * 200, "..a", "nullable"]
BAD = [
    *("None", "null", "", " ", "a b", "a\n", "\n", ".", "..", "...", "a/b", "../x", "a\\b", "a?b", "a#b", "a%2Fb"),
    *("a&b=c", "ü", "\x00", "{{ x }}", "x" * 201, "x" * 10**6, "\ud800"),
    *(None, 7, 0, True, 1.5, b"abc", ["a"], {"id": "a"}, object()),
]


@pytest.mark.parametrize("value", GOOD, ids=lambda value: value[:20])
def test_an_id_is_taken_as_it_is(value: str):
    assert calls.identifier(value, "job_id") == value


@pytest.mark.parametrize("value", BAD, ids=lambda value: ascii(value)[:20])
def test_what_can_be_no_id_is_refused_before_it_becomes_part_of_a_url(value: Any):
    with pytest.raises(SixtyfourInputError, match=r"^job_id should be an id, not ") as caught:
        calls.identifier(value, "job_id")
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("value", [None, "None", "null", ""])
def test_a_template_that_rendered_to_nothing_gets_a_hint(value: Any):
    with pytest.raises(SixtyfourInputError, match="Did the upstream task return it"):
        calls.identifier(value, "job_id")


@pytest.mark.parametrize(
    "build",
    [
        calls.get_workflow,
        lambda value: calls.update_workflow(value, {}),
        calls.delete_workflow,
        lambda value: calls.run_workflow(value, {}),
        lambda value: calls.list_runs(workflow_id=value),
        calls.live_status,
        calls.cancel_run,
        calls.result_files,
    ],
)
@searched
@given(st.sampled_from([value for value in BAD if value is not None]) | st.text().map(lambda text: text + "/"))
def test_no_call_is_built_with_a_bad_id(build: Any, value: Any):
    with pytest.raises(SixtyfourInputError):
        build(value)


@pytest.mark.parametrize(
    ("call", "method", "path", "query", "body"),
    [
        (calls.list_workflows(), "GET", "/workflows", (), None),
        (calls.get_workflow("w"), "GET", "/workflows/w", (), None),
        (calls.list_blocks(), "GET", "/workflows/blocks", (), None),
        (calls.create_workflow({"id": "w"}), "POST", "/workflows/create_workflow", (), {"id": "w"}),
        (
            calls.update_workflow("w", {"workflow_name": "Ü"}),
            *("POST", "/workflows/update_workflow", (("workflow_id", "w"),), {"workflow_name": "Ü"}),
        ),
        (calls.delete_workflow("w"), "POST", "/workflows/delete_workflow", (("workflow_id", "w"),), None),
        (
            calls.run_workflow("w", {"webhook_payload": []}, result_formats=("csv", "json", "ndjson")),
            "POST",
            "/workflows/run",
            (("workflow_id", "w"), ("result_formats", "csv"), ("result_formats", "ndjson"), ("save_json", "true")),
            {"webhook_payload": []},
        ),
        (calls.list_runs(), "GET", "/workflows/runs", (("limit", "100"),), None),
        (
            calls.list_runs(status="active", workflow_id="w", limit=500),
            *("GET", "/workflows/runs", (("limit", "500"), ("status", "active"), ("workflow_id", "w")), None),
        ),
        (calls.live_status("j"), "GET", "/workflows/runs/j/live_status", (), None),
        (calls.cancel_run("j"), "POST", "/workflows/cancel", (("job_id", "j"),), None),
        (
            calls.result_files("j", "ndjson"),
            *("GET", "/workflows/runs/j/results/download-links", (("format", "ndjson"),), None),
        ),
        (calls.upload_file(io.BytesIO(), "a.csv"), "POST", "/storage/csv/upload", (), None),
    ],
    ids=lambda value: value.path if isinstance(value, calls.Call) else "",
)
def test_the_calls_of_the_contract(call: calls.Call[Any], method: str, path: str, query: Any, body: Any):
    assert (call.method, call.path, call.query) == (method, path, query)
    assert (None if call.body is None else json.loads(call.body)) == body
    assert call.authenticated


def test_an_id_is_quoted_in_a_path():
    assert calls.live_status("a:b@c").path == "/workflows/runs/a%3Ab%40c/live_status"


def test_the_token_call_is_a_form_without_a_credential():
    call = calls.exchange_token("client", "signed")
    assert (call.method, call.path, call.authenticated) == ("POST", "/oauth/token", False)
    assert call.form == {
        "grant_type": "client_credentials",
        "client_id": "client",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "signed",
        "scope": "full_access",
    }
    assert "signed" not in repr(call)


def test_headers_of_a_call():
    assert calls.live_status("j").headers() == {"Accept": "application/json"}
    assert calls.run_workflow("w", {}, idempotency_key="k").headers() == {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Idempotency-Key": "k",
    }


def test_rows_are_not_in_the_repr_of_a_call():
    assert "SOMEBODY" not in repr(calls.run_workflow("w", {"webhook_payload": [{"name": "SOMEBODY"}]}))
