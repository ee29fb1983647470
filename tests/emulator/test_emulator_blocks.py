"""What the blocks of the current catalogue do, by runs over a socket."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from airflow_provider_sixtyfour.emulator.engine.conditions import OPERATORS
from tests.emulator.calls import ROWS, Calls, definition
from tests.emulator_process import EmulatorProcess

TYPED = {
    "str": str,
    "string": str,
    "int": int,
    "integer": int,
    "float": float,
    "bool": bool,
    "boolean": bool,
    "list": list,
    "list[str]": list,
    "list[int]": list,
    "list[float]": list,
    "list[bool]": list,
    "list[enum]": list,
    "dict": str,
    "enum": str,
    "object": dict,
    "object_list": list,
}


def final(calls: Calls, rows: list[dict[str, Any]], *steps: Any, source: Any = "webhook") -> list[dict[str, Any]]:
    graph = definition(*steps)
    if source != "webhook":
        graph["blocks"][0] |= {"block_name": source[0], "specs": source[1]}
    workflow_id = calls.create(graph).raise_for_status().json()["id"]
    return calls.final_rows(calls.start(workflow_id, rows, result_formats="ndjson"), "ndjson")


def refusal(calls: Calls, graph: dict[str, Any]) -> str:
    answer = calls.create(graph)
    assert answer.status_code == 400
    return answer.text


def test_vendor_shaped_examples_deploy_and_run(calls: Calls) -> None:
    fields = {
        "current_salary_estimate": {"description": "Estimated current salary range", "type": "str"},
        "years_experience": {"description": "Total years of experience", "type": "int"},
        "skills": {"description": "Key technical skills", "type": "list[str]"},
        "is_hiring_manager": {"description": "Whether this person is a hiring manager", "type": "bool"},
    }
    filters = [
        {"column": "email_status", "operator": "in", "value": ["OK", "CATCH_ALL", "RISKY", "INVALID"]},
        {"column": "years_experience", "operator": "greater", "value": -1, "logic": "and"},
    ]
    notebook = {"notebook_id": "__create_new__", "notebook_name": "Results"}
    rows = final(
        calls,
        ROWS,
        ("lead_enrichment", {"return_fields": fields}),
        ("find_email", {"mode": "PROFESSIONAL"}),
        ("filter", {"filters": filters}),
        ("deduplicate", {}),
        ("append_to_notebook", notebook),
    )
    assert [row["name"] for row in rows] == [row["name"] for row in ROWS]
    company = {"return_fields": {"annual_revenue": {"description": "Revenue in USD", "type": "str"}}}
    focus = {"find_people": True, "people_focus_prompt": "C-suite"}
    people = final(
        calls, [{"company": "Acme"}], ("company_enrichment", company | focus), "company_to_leads", "find_email"
    )
    assert [row["company"] for row in people] == ["Acme", "Acme"]
    assert all(row["email"].endswith("@acme.example") for row in people)


def test_what_the_service_makes_is_stored_instead_of_its_placeholder(calls: Calls) -> None:
    graph = definition(("append_to_notebook", {"notebook_id": "__create_new__"}))
    stored = calls.create(graph).json()["workflow_definition"]
    assert uuid.UUID(stored["blocks"][1]["specs"]["notebook_id"])


@pytest.mark.parametrize("kind", TYPED)
def test_values_have_the_type_that_their_field_asks_for(calls: Calls, kind: str) -> None:
    more = {"options": ["a", "b"], "subfields": {"n": {"type": "int"}}}
    names = ["employee_count", "title", "is_open", "note", "email"]
    fields: dict[str, Any] = {name: {"description": "d", "type": kind, **more} for name in names}
    if kind not in {"enum", "object", "object_list", "list[enum]"}:
        fields["plain"] = kind
    for row in final(calls, ROWS, ("lead_enrichment", {"return_fields": fields})):
        for name in fields:
            assert type(row[name]) is TYPED[kind]
            if kind.startswith("list["):
                inner = TYPED.get(kind[5:-1], str)
                assert all(type(each) is inner for each in row[name])
            if kind == "dict":
                assert isinstance(json.loads(row[name]), dict)
            if "enum" in kind:
                assert set([row[name]] if kind == "enum" else row[name]) <= {"a", "b"}
            if kind == "object":
                assert type(row[name]["n"]) is int


def test_a_field_can_be_a_description_alone(calls: Calls) -> None:
    [row, _] = final(calls, ROWS, ("lead_enrichment", {"return_fields": {"title": "Their job title today"}}))
    assert isinstance(row["title"], str)


def test_an_address_that_was_found_has_a_status_of_the_service(calls: Calls) -> None:
    rows = final(calls, [{"name": f"Lead {number}"} for number in range(60)], "find_email")
    assert {row["email_status"] for row in rows} == {"OK", "CATCH_ALL", "RISKY", "INVALID"}


def test_a_filter_has_the_eleven_operators(calls: Calls) -> None:
    [schema] = [each for each in calls.get("/workflows/blocks").json() if each["block_name"] == "filter"]
    listed = schema["specs_schema"]["properties"]["filters"]["items"]["properties"]["operator"]["enum"]
    assert listed == list(OPERATORS)
    assert sorted(listed) == sorted(
        [
            *("equals", "not_equals", "contains", "not_contains", "greater", "less", "in", "not_in"),
            *("is_empty", "is_not_empty", "matches"),
        ]
    )


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ({"conditions": []}, "conditions"),
        ({"filters": [{"field": "n", "operator": "equals", "value": 1}]}, "specs.filters.0"),
        ({"filters": [{"column": "n", "operator": "greater_than", "value": 1}]}, "greater_than"),
        ({"filters": [{"column": "n", "operator": "equals"}]}, "value"),
        ({"filters": [{"column": "n", "operator": "matches", "value": "("}]}, "regex"),
        ({"filters": [{"column": "n", "operator": "is_empty", "logic": "xor"}]}, "xor"),
    ],
)
def test_a_filter_that_is_not_one_is_refused(calls: Calls, specs: dict[str, Any], message: str) -> None:
    assert message in refusal(calls, definition(("filter", specs)))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (("company_enrichment", "find_email"), "Block 3 (find_email): type mismatch"),
        (("find_email", "company_enrichment"), "Block 3 (company_enrichment): type mismatch"),
        (("company_enrichment", "deduplicate", "filter", "verify_email"), "Block 5 (verify_email): type mismatch"),
        (("company_enrichment", "company_to_leads", "company_enrichment"), "Block 4 (company_enrichment)"),
        (("leads_to_company", "find_phone"), "Block 3 (find_phone)"),
        (("find_happiness",), "Unknown block type: find_happiness"),
        ((("find_email", {"moed": "PERSONAL"}),), "moed"),
        ((("lead_enrichment", {"return_fields": {"a": {"type": "money"}}}),), "money"),
    ],
)
def test_what_does_not_fit_is_refused(calls: Calls, steps: tuple[Any, ...], message: str) -> None:
    assert message in refusal(calls, definition(*steps))


def test_types_follow_the_edges(calls: Calls) -> None:
    graph = definition("find_email")
    graph["blocks"][0]["specs"] = {"dataframe_type": "COMPANY"}
    assert "type mismatch" in refusal(calls, graph)
    assert calls.create(definition("company_enrichment", "company_to_leads", "find_email")).status_code == 200
    assert calls.create(definition("find_email", "leads_to_company", "company_enrichment")).status_code == 200
    workflow_id = calls.deploy("find_email")
    body = {"webhook_payload": ROWS, "specs_override": {"dataframe_type": "COMPANY"}}
    answer = calls.post("/workflows/run", body, workflow_id=workflow_id)
    assert (answer.status_code, "type mismatch" in answer.text) == (400, True)
    live = calls.live(calls.start(calls.deploy("company_enrichment", "company_to_leads", "find_email")))
    types = [block["metrics"]["dataframe_type"] for block in live["blocks"]]
    assert types[1:] == ["COMPANY", "LEAD", "LEAD"]


def test_columns_of_the_input_schema_are_required(calls: Calls, emulator: EmulatorProcess) -> None:
    schema = {
        "email": "string",
        "company": {"type": "string"},
        "note": {"type": "string", "required": False},
        "lang": {"type": "string", "default": "en"},
    }
    graph = definition("find_phone")
    graph["blocks"][0]["specs"] = {"input_schema": schema, "dataframe_type": "LEAD"}
    workflow_id = calls.create(graph).json()["id"]
    count = len(emulator.runs())
    for rows in ([{"company": "A"}], [{"email": "e", "company": "A"}, {"email": "e"}], [{"x": 1}]):
        answer = calls.submit(workflow_id, rows)
        assert answer.status_code == 400
        assert "missing required columns" in answer.text
    assert len(emulator.runs()) == count
    assert calls.submit(workflow_id, {"email": "e", "company": "A", "more": 1}).status_code == 200


def test_a_webhook_block_can_have_rows_of_its_own(calls: Calls) -> None:
    graph = definition("find_phone")
    graph["blocks"][0]["specs"] = {"webhook_input": json.dumps([{"name": "Sample"}])}
    workflow_id = calls.create(graph).json()["id"]
    answer = calls.http.post("/workflows/run", params={"workflow_id": workflow_id})
    assert [row["name"] for row in calls.final_rows(answer.json()["job_id"])] == ["Sample"]


@pytest.mark.parametrize(("row_type", "step"), [("LEAD", "find_email"), ("COMPANY", "company_enrichment")])
def test_a_search_finds_rows(calls: Calls, row_type: str, step: str) -> None:
    graph = definition(step)
    specs = {"query": "Engineers at Acme", "dataframe_type": row_type, "max_results": 25, "auto_execute": False}
    graph["blocks"][0] |= {"block_name": "search", "specs": specs}
    workflow_id = calls.create(graph).raise_for_status().json()["id"]
    job_id = calls.http.post("/workflows/run", params={"workflow_id": workflow_id}).json()["job_id"]
    assert len(calls.final_rows(job_id)) == 25
    answer = calls.submit(workflow_id)
    assert (answer.status_code, "starts with search" in answer.text) == (400, True)
    graph["blocks"][1] |= {"block_name": "find_phone" if row_type == "COMPANY" else "company_enrichment"}
    assert "type mismatch" in refusal(calls, graph)


def test_what_is_not_imitated_is_noted_in_the_log_of_the_run(calls: Calls, emulator: EmulatorProcess) -> None:
    graph = definition("qa_agent", "find_email", ("group_by", {"by": "x"}), ("remove_columns", {"column": "name"}))
    graph["blocks"][0] |= {"block_name": "read_notebook", "specs": {"notebook_id": "n"}}
    workflow_id = calls.create(graph).raise_for_status().json()["id"]
    job_id = calls.http.post("/workflows/run", params={"workflow_id": workflow_id}).json()["job_id"]
    assert list(calls.final_rows(job_id)[0])[-2:] == ["email", "email_status"]
    [run] = [run for run in emulator.runs() if run["job_id"] == job_id]
    assert run["log"] == [
        "Block 1 (read_notebook) is not imitated: it gives invented rows",
        "Block 2 (qa_agent) is not imitated: it passes its rows through",
        "Block 4 (group_by) is not imitated: it passes its rows through",
        "Block 5 (remove_columns) ignores specs that the emulator doesn't know: column",
    ]
    imitated = calls.start(calls.deploy("find_email"))
    assert [run["log"] for run in emulator.runs() if run["job_id"] == imitated] == [[]]


def test_columns_can_be_removed(calls: Calls) -> None:
    assert final(calls, ROWS, ("remove_columns", {"columns": ["name"]})) == [{"company": "Acme"}, {"company": "Bolt"}]


def test_companies_are_made_of_people_once(calls: Calls) -> None:
    rows = final(calls, [*ROWS, {"name": "Other", "company": "Acme"}], "leads_to_company")
    assert [row["company_name"] for row in rows] == ["Acme", "Bolt"]


def test_an_older_name_is_kept_and_costs_what_the_current_one_does(calls: Calls, emulator: EmulatorProcess) -> None:
    runs = [calls.start(calls.deploy(name)) for name in ("lead_enrichment", "enrich_person", "enrich_lead")]
    costs = {run["credits"] for run in emulator.runs() if run["job_id"] in runs}
    assert len(costs) == 1
    names = [calls.live(job_id)["blocks"][1]["block_name"] for job_id in runs]
    assert names == ["lead_enrichment", "enrich_person", "enrich_lead"]
