from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from tests.emulator.calls import ROWS, Calls, definition
from tests.emulator_process import EmulatorProcess


@pytest.fixture(autouse=True)
def _at_once(emulator: EmulatorProcess) -> None:
    emulator.plan(times=None, seconds=0, queue_seconds=0)


def final(calls: Calls, rows: list[dict[str, Any]], *steps: Any, format: str = "ndjson") -> list[dict[str, Any]]:
    """Return what the last of these blocks makes of the rows."""
    job_id = calls.start(calls.deploy(*steps), rows, result_formats="ndjson", save_json=True)
    return calls.final_rows(job_id, format)


def test_each_block_that_makes_output_has_one_file(calls: Calls) -> None:
    job_id = calls.start(calls.deploy("find_email", "find_phone", "export"))
    files = calls.files(job_id)
    assert [file["block_number"] for file in files] == [2, 3, 4]
    assert len({file["filename"] for file in files}) == 3
    assert all(file["filename"].endswith(".csv") for file in files)


def test_a_file_matches_its_description(calls: Calls) -> None:
    job_id = calls.start(calls.deploy("find_email"), result_formats="ndjson", save_json=True)
    for format, kind in {"csv": "text/csv", "json": "application/json", "ndjson": "application/x-ndjson"}.items():
        [file] = calls.files(job_id, format)
        answer = calls.download(file["download_url"])
        assert len(answer.content) == file["file_size"]
        assert answer.headers["content-type"] == file["content_type"] == kind
        assert len(calls.final_rows(job_id, format)) == file["row_count"] == 2
        assert file["download_expires_in_seconds"] == 900


def test_only_the_formats_that_were_asked_for_are_made(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    for params, expected in (
        ({}, ["csv"]),
        ({"result_formats": "csv"}, ["csv"]),
        ({"result_formats": "ndjson"}, ["csv", "ndjson"]),
        ({"save_json": "true"}, ["csv", "json"]),
        ({"result_formats": ["csv", "ndjson"], "save_json": "true"}, ["csv", "json", "ndjson"]),
    ):
        job_id = calls.start(workflow_id, **params)
        assert [format for format in ("csv", "json", "ndjson") if calls.files(job_id, format)] == expected


def test_the_same_input_gives_the_same_output(calls: Calls) -> None:
    workflow_id = calls.deploy("lead_enrichment", "find_email", "find_phone")
    first, second = (calls.final_rows(calls.start(workflow_id)) for _ in range(2))
    assert first == second
    other = calls.final_rows(calls.start(workflow_id, [{"name": "Grace Hopper"}]))
    assert other[0]["phone"] not in [row["phone"] for row in first]


def test_all_formats_hold_the_same_rows(calls: Calls) -> None:
    rows = [{"name": "Ada", "age": 36, "tags": ["a", "b"], "ok": True, "none": None, "text": 'a "b"\r\n,ünï ✓'}]
    job_id = calls.start(calls.deploy("find_email"), rows, result_formats="ndjson", save_json=True)
    [typed] = calls.final_rows(job_id, "ndjson")
    assert typed == rows[0] | {"email": typed["email"], "email_status": typed["email_status"]}
    assert calls.final_rows(job_id, "json") == [typed]
    [flat] = calls.final_rows(job_id, "csv")
    assert list(flat) == [*rows[0], "email", "email_status"]
    assert flat["text"] == rows[0]["text"]
    assert (flat["age"], flat["tags"], flat["ok"], flat["none"]) == ("36", '["a", "b"]', "true", "")
    assert calls.files(job_id)[0]["results"] == [typed]


def test_rows_that_differ_in_their_columns_share_a_header(calls: Calls) -> None:
    job_id = calls.start(calls.deploy("validate_email"), [{"a": 1}, {"b": 2}])
    assert [list(row) for row in calls.final_rows(job_id)] == [["a", "b", "email_status"]] * 2


def test_small_results_are_given_inline_and_large_ones_are_not(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    for count, inline in ((100, 100), (101, None)):
        [file] = calls.files(calls.start(workflow_id, [{"n": number} for number in range(count)]))
        assert file["row_count"] == count
        assert (file["results"] and len(file["results"])) == inline


def test_a_format_that_was_asked_for_has_all_rows_whether_or_not_they_are_given_inline(calls: Calls) -> None:
    rows = [{"n": number} for number in range(150)]
    for params in ({"result_formats": "ndjson"}, {"save_json": True}, {"result_formats": "ndjson", "save_json": True}):
        job_id = calls.start(calls.deploy("export"), rows, **params)
        for format in (kind for kind in ("json", "ndjson") if calls.files(job_id, kind)):
            assert calls.final_rows(job_id, format) == rows
    kept = ("filter", {"filters": [{"column": "n", "operator": "less", "value": 50}]})
    files = calls.files(calls.start(calls.deploy("export", kept), rows))
    assert [file["results"] for file in files] == [None, rows[:50]]


def test_return_fields_decide_the_columns_and_their_types(calls: Calls) -> None:
    fields = {"title": "string", "employee_count": "integer", "score": "number", "hiring": "boolean", "tags": "list"}
    for block in ("lead_enrichment", "company_enrichment", "enrich_company", "enrich_person", "find_email"):
        for row in final(calls, ROWS, (block, {"return_fields": fields})):
            assert list(row) == ["name", "company", *fields]
            kinds = [type(row[name]) for name in fields]
            assert kinds == [str, int, float, bool, list]


@pytest.mark.parametrize(
    ("block", "columns"),
    [
        ("lead_enrichment", ["title", "linkedin_url"]),
        ("enrich_person", ["title", "linkedin_url"]),
        ("company_enrichment", ["industry", "website"]),
        ("enrich_company", ["industry", "website"]),
        ("find_email", ["email", "email_status"]),
        ("find_phone", ["phone"]),
        ("verify_email", ["email_status"]),
        ("validate_email", ["email_status"]),
        ("reverse_phone", ["name", "company"]),
        ("llm_openai", []),
        ("validate_phone", ["phone_valid"]),
        ("export", []),
    ],
)
def test_a_block_without_specs_adds_its_usual_columns(calls: Calls, block: str, columns: list[str]) -> None:
    for row in final(calls, ROWS, block):
        assert list(row) == list(dict.fromkeys(["name", "company", *columns]))
        assert all(value != "" for value in row.values())


def test_the_values_of_a_row_are_not_overwritten(calls: Calls) -> None:
    rows = [{"email": "ada@acme.example"}, {"email": ""}]
    [given, found] = final(calls, rows, "find_email")
    assert given["email"] == "ada@acme.example"
    assert found["email"].endswith(".example")


def test_invented_contacts_belong_to_nobody(calls: Calls) -> None:
    for row in final(calls, ROWS, "find_email", "find_phone"):
        assert row["email"].endswith(".example")
        assert row["phone"][5:10] == "55501"


def test_addresses_and_numbers_are_judged(calls: Calls) -> None:
    rows = [
        {"email": email, "phone": phone} for email, phone in [("a@b.co", "+44 20 7946 0000"), ("a@b", "12"), ("", "")]
    ]
    judged = final(calls, rows, "validate_email", "validate_phone")
    assert [row["phone_valid"] for row in judged] == [True, False, False]
    assert judged[0]["email_status"] in {"OK", "CATCH_ALL", "RISKY"}
    assert [row["email_status"] for row in judged[1:]] == ["INVALID", "INVALID"]


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ({"column": "n", "operator": "equals", "value": 2}, [2]),
        ({"column": "n", "operator": "equals", "value": "2"}, [2]),
        ({"column": "n", "operator": "not_equals", "value": 2}, [1, 3]),
        ({"column": "n", "operator": "greater", "value": 1}, [2, 3]),
        ({"column": "n", "operator": "less", "value": "2"}, [1]),
        ({"column": "n", "operator": "in", "value": [1, "3"]}, [1, 3]),
        ({"column": "t", "operator": "in", "value": "one, two"}, [1, 2]),
        ({"column": "n", "operator": "not_in", "value": [1, 3]}, [2]),
        ({"column": "t", "operator": "matches", "value": "^t.*o$"}, [2]),
        ({"column": "n", "operator": "greater", "value": 99}, []),
        ({"column": "t", "operator": "contains", "value": "EE"}, [3]),
        ({"column": "t", "operator": "not_contains", "value": "e"}, [2]),
        ({"column": "missing", "operator": "is_empty"}, [1, 2, 3]),
        ({"column": "missing", "operator": "is_not_empty"}, []),
    ],
)
def test_a_filter_keeps_what_meets_its_condition(calls: Calls, condition: dict[str, Any], kept: list[int]) -> None:
    rows = [{"n": 1, "t": "one"}, {"n": 2, "t": "two"}, {"n": 3, "t": "three"}]
    assert [row["n"] for row in final(calls, rows, ("filter", {"filters": [condition]}))] == kept


def test_filters_are_joined_by_their_logic(calls: Calls) -> None:
    rows = [{"n": number} for number in range(5)]
    many, few = {"column": "n", "operator": "greater", "value": 3}, {"column": "n", "operator": "less", "value": 1}
    assert final(calls, rows, ("filter", {"filters": [many, few]})) == []
    assert final(calls, rows, ("filter", {"filters": [many, {**few, "logic": "and"}]})) == []
    assert final(calls, rows, ("filter", {"filters": [many, {**few, "logic": "or"}]})) == [{"n": 0}, {"n": 4}]
    assert final(calls, rows, "filter") == rows


def test_duplicates_go_and_the_first_stays(calls: Calls) -> None:
    rows = [{"a": 1, "b": 1}, {"b": 1, "a": 1}, {"a": 1, "b": 2}]
    assert final(calls, rows, "deduplicate") == [rows[0], rows[2]]
    assert final(calls, rows, ("deduplicate", {"columns": ["a"]})) == [rows[0]]


def test_columns_are_renamed_dropped_and_set(calls: Calls) -> None:
    specs = {"rename": {"name": "who"}, "drop": ["company"], "set": {"source": "fair"}}
    assert final(calls, ROWS[:1], ("transform", specs)) == [{"who": "Ada Lovelace", "source": "fair"}]
    assert final(calls, ROWS[:1], ("transform", specs), format="csv") == [{"who": "Ada Lovelace", "source": "fair"}]


@pytest.mark.parametrize(("how", "count"), [("combine", 2), ("append", 4)])
def test_branches_are_merged(calls: Calls, how: str, count: int) -> None:
    graph = definition("find_email", "find_phone", ("merge", {"how": how}))
    source, email, phone, merge = (block["block_id"] for block in graph["blocks"])
    graph["edges"] = [
        {"from_block_id": a, "to_block_id": b}
        for a, b in [(source, email), (source, phone), (email, merge), (phone, merge)]
    ]
    job_id = calls.start(calls.create(graph).json()["id"])
    rows = calls.final_rows(job_id)
    assert len(rows) == count
    assert list(rows[0]) == ["name", "company", "email", "email_status", "phone"]
    if how == "combine":
        assert all(row["email"] and row["phone"] for row in rows)
    live = calls.live(job_id)
    assert [block["total_count"] for block in live["blocks"]] == [2, 2, 2, 4]
    assert live["blocks"][-1]["metrics"]["row_count"] == count


def test_counts_follow_the_rows_through_a_filter(calls: Calls) -> None:
    rows = [{"n": number % 3} for number in range(9)]
    kept = {"filters": [{"column": "n", "operator": "greater", "value": 0}]}
    workflow_id = calls.deploy(("filter", kept), "deduplicate", "find_email")
    job_id = calls.start(workflow_id, rows)
    assert [block["total_count"] for block in calls.live(job_id)["blocks"]] == [9, 9, 6, 2]
    assert [file["row_count"] for file in calls.files(job_id)] == [6, 2, 2]
    [row] = calls.get("/workflows/runs", workflow_id=workflow_id).json()
    assert (row["metrics"]["rows_in"], row["metrics"]["rows_out"]) == (9, 2)


def test_a_result_without_rows_is_a_file_too(calls: Calls) -> None:
    empty = {"filters": [{"column": "name", "operator": "is_empty"}]}
    job_id = calls.start(calls.deploy(("filter", empty)), result_formats="ndjson", save_json=True)
    contents = {
        kind: calls.download(calls.files(job_id, kind)[0]["download_url"]).text for kind in ("csv", "json", "ndjson")
    }
    assert contents == {"csv": "name,company\r\n", "json": "[]\n", "ndjson": ""}


def test_a_workflow_of_a_source_alone_has_its_input_for_output(calls: Calls) -> None:
    assert calls.final_rows(calls.start(calls.deploy())) == ROWS


def test_only_completed_blocks_have_files(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.clear()
    emulator.plan(seconds=0, queue_seconds=0, fail_block=3)
    emulator.plan(queue_seconds=1000)
    workflow_id = calls.deploy("find_email", "find_phone", "export")
    failed, queued = calls.start(workflow_id), calls.start(workflow_id)
    assert [file["block_number"] for file in calls.files(failed)] == [2]
    assert calls.files(queued) == []


def test_blocks_of_the_same_number_have_files_of_their_own(calls: Calls) -> None:
    graph = definition("find_email", "find_phone")
    for block in graph["blocks"]:
        block["sequence_number"] = 1
    files = calls.files(calls.start(calls.create(graph).json()["id"]))
    assert [file["block_number"] for file in files] == [1, 1]
    assert len({calls.download(file["download_url"]).text for file in files}) == 2


FILES = {
    "leads.csv": 'name,note\nAda,"a ""quoted""\nline, ünï"\nGrace,\n'.encode(),
    "bom.csv": b"\xef\xbb\xbf" + 'name,note\r\nAda,"a ""quoted""\nline, ünï"\r\nGrace,\r\n\r\n'.encode(),
    "leads.json": json.dumps(
        [{"name": "Ada", "note": 'a "quoted"\nline, ünï'}, {"name": "Grace", "note": ""}]
    ).encode(),
    "leads.jsonl": '{"name": "Ada", "note": "a \\"quoted\\"\\nline, ünï"}\n\n{"name": "Grace", "note": ""}'.encode(),
    "LEADS.NDJSON": b"\xef\xbb\xbf"
    + '{"name": "Ada", "note": "a \\"quoted\\"\\nline, ünï"}\r\n{"name": "Grace", "note": ""}\r\n'.encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_an_uploaded_file_is_read_as_it_was_meant(calls: Calls, name: str) -> None:
    job_id = calls.start_on_file(calls.deploy("find_email", source="read_csv"), name, FILES[name])
    rows = calls.final_rows(job_id)
    assert [(row["name"], row["note"]) for row in rows] == [("Ada", 'a "quoted"\nline, ünï'), ("Grace", "")]
    assert all(row["email"] for row in rows)


def test_typed_values_of_an_uploaded_file_survive(calls: Calls) -> None:
    content = b'{"n": 1.5, "b": false, "deep": {"a": [1, null]}}\n'
    workflow_id = calls.deploy("export", source="read_csv")
    job_id = calls.start_on_file(workflow_id, "rows.ndjson", content, result_formats="ndjson")
    assert calls.final_rows(job_id, "ndjson") == [json.loads(content)]


def test_a_handle_can_be_used_again(calls: Calls, emulator: EmulatorProcess) -> None:
    handle = calls.upload("leads.csv", FILES["leads.csv"]).json()["handle_id"]
    workflow_id = calls.deploy("export", source="read_csv")
    body = {"specs_override": {"resource_handle_id": handle}}
    jobs = [calls.post("/workflows/run", body, workflow_id=workflow_id).json()["job_id"] for _ in range(2)]
    assert len(calls.final_rows(jobs[0])) == len(calls.final_rows(jobs[1])) == 2
    assert [run["body"] for run in emulator.runs()][-2:] == [body, body]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("leads.xlsx", b"a", "none of .csv, .json, .jsonl, .ndjson"),
        ("leads", b"a", "none of"),
        ("leads.csv", b"", "empty"),
        ("leads.csv", b'a,b\n"1', "unexpected end of data"),
        ("leads.csv", b"a,b\n1,2,3\n", "Line 2 has 3 cells, the header has 2"),
        ("leads.csv", b"a\n\xff\n", "not UTF-8"),
        ("leads.json", b"[1]", "Item 1 is not a JSON object"),
        ("leads.json", b"5", "neither a JSON list nor an object"),
        ("leads.json", b"[", "not JSON"),
        ("leads.ndjson", b"{}\n{", "Line 2 is not JSON"),
        ("leads.jsonl", b"{}\n[]\n", "Line 2 is not a JSON object"),
        ("leads.ndjson", b'{"a": "\\ud800"}\n', "Line 1 is not JSON: not Unicode text"),
        ("leads.json", b'[{"a": "\\udfff"}]', "not JSON: not Unicode text"),
        ("leads.ndjson", b'{"a": NaN}\n', "Line 1 is not JSON: NaN"),
        ("leads.json", b'{"a": -Infinity}', "not JSON: -Infinity"),
        ("leads.ndjson", b'{"a": ' + b"1" * 5_000 + b"}", "Line 1 is not JSON: a number with too many digits"),
        ("leads.ndjson", b"[" * 100_000, "Line 1 is not JSON: nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(calls: Calls, name: str, content: bytes, message: str) -> None:
    answer = calls.upload(name, content)
    assert answer.status_code == 400
    assert message in answer.json()["detail"]


def test_an_upload_needs_a_part_named_file(calls: Calls) -> None:
    answer = calls.http.post("/storage/csv/upload", files={"other": ("leads.csv", b"a")})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "file"]
    assert calls.http.post("/storage/csv/upload", content=b"a,b").status_code == 422


def test_a_long_file_is_enriched_whole(calls: Calls) -> None:
    content = io.StringIO(newline="")
    table = csv.writer(content)
    table.writerow(["name", "group"])
    table.writerows([f"Lead {number}", number % 10] for number in range(6_000))
    specs = {"filters": [{"column": "group", "operator": "equals", "value": 7}]}
    workflow_id = calls.deploy("find_email", ("filter", specs), source="read_csv")
    job_id = calls.start_on_file(workflow_id, "leads.csv", content.getvalue().encode())
    rows = calls.final_rows(job_id)
    assert [row["name"] for row in rows] == [f"Lead {number}" for number in range(7, 6_000, 10)]
