from __future__ import annotations

import json
import uuid
from typing import Any

import jsonschema
import pytest

from tests.emulator.calls import Calls, definition

CURRENT = [
    *("webhook", "read_csv", "search", "read_notebook", "hubspot_import", "yc_batches", "yc_companies"),
    *("lead_enrichment", "company_enrichment", "linkedin_enrichment", "find_email", "find_phone", "verify_email"),
    *("reverse_email", "reverse_phone", "company_to_leads", "leads_to_company", "github_find_people"),
    *("google_maps_search", "scrape_web", "backlinks_referring_domains", "find_subdomains", "x_search"),
    *("tiktok_get_following", "kaggle_leaderboard", "llm_openai", "qa_agent", "research_agent", "transform_data"),
    *("filter", "deduplicate", "deduplicate_wrt_notebook", "group_by", "remove_columns", "append_to_notebook"),
    *("send_slack_message", "outgoing_webhook"),
]
OLDER = [
    *("enrich_lead", "enrich_person", "enrich_company", "validate_email", "validate_phone"),
    *("transform", "merge", "export"),
]


def test_what_is_created_is_read_back_as_it_was_sent(calls: Calls) -> None:
    graph = definition("find_email")
    created = calls.create(graph).json()
    read = calls.get(f"/workflows/{created['id']}").json()
    assert (read["name"], read["description"], read["status"]) == ("n", "d", "active")
    assert read["workflow_definition"]["blocks"] == graph["blocks"]
    assert read["workflow_definition"]["edges"] == [edge | {"condition": None} for edge in graph["edges"]]


def test_the_list_has_no_graphs(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    [listed] = [each for each in calls.get("/workflows").json() if each["id"] == workflow_id]
    assert listed.get("workflow_definition") is None


def test_an_id_can_be_chosen_once(calls: Calls) -> None:
    chosen = str(uuid.uuid4())
    assert calls.create(definition("find_email"), id=chosen).json()["id"] == chosen
    again = calls.create(definition("find_phone"), id=chosen)
    assert again.status_code == 409
    assert f"Workflow with ID {chosen} already exists" in again.json()["detail"]
    names = [block["block_name"] for block in stored(calls, chosen)["blocks"]]
    assert names == ["webhook", "find_email"]


def test_an_id_that_is_no_uuid_is_refused_everywhere(calls: Calls) -> None:
    assert calls.create(definition("find_email"), id="leads").status_code == 422
    body = {"workflow_definition": definition("find_email")}
    assert calls.post("/workflows/update_workflow", body, workflow_id="leads").status_code == 422
    assert calls.get("/workflows/leads").status_code == 422


def test_ids_of_blocks_that_are_no_uuids_are_replaced_and_the_edges_with_them(calls: Calls) -> None:
    graph = definition("find_email", "find_phone")
    kept = graph["blocks"][1]["block_id"]
    graph["blocks"][0]["block_id"], graph["blocks"][2]["block_id"] = "first", "last"
    graph["edges"] = [
        {"from_block_id": "first", "to_block_id": kept},
        {"from_block_id": kept, "to_block_id": "last"},
    ]
    read = calls.create(graph).json()["workflow_definition"]
    ids = [block["block_id"] for block in read["blocks"]]
    assert [str(uuid.UUID(each)) for each in ids] == ids
    assert ids[1] == kept
    assert [(edge["from_block_id"], edge["to_block_id"]) for edge in read["edges"]] == [
        (ids[0], kept),
        (kept, ids[2]),
    ]


def test_a_missing_block_id_is_filled_in(calls: Calls) -> None:
    graph = definition()
    del graph["blocks"][0]["block_id"]
    read = calls.create(graph).json()["workflow_definition"]
    assert uuid.UUID(read["blocks"][0]["block_id"])


def test_an_update_changes_only_what_it_names(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    before = stored(calls, workflow_id)
    answer = calls.post("/workflows/update_workflow", {"workflow_name": "other"}, workflow_id=workflow_id).json()
    assert (answer["name"], answer["description"]) == ("other", "d")
    assert stored(calls, workflow_id) == before
    assert answer["updated_at"] > answer["created_at"]


def test_an_update_of_what_does_not_exist_creates_it(calls: Calls) -> None:
    chosen = str(uuid.uuid4())
    body = {"workflow_name": "new", "workflow_definition": definition("find_email")}
    assert calls.post("/workflows/update_workflow", body, workflow_id=chosen).json()["id"] == chosen
    assert calls.get(f"/workflows/{chosen}").json()["name"] == "new"


def test_an_update_without_a_graph_creates_nothing(calls: Calls) -> None:
    chosen = str(uuid.uuid4())
    assert calls.post("/workflows/update_workflow", {"workflow_name": "x"}, workflow_id=chosen).status_code == 400
    assert calls.get(f"/workflows/{chosen}").status_code == 404


def test_an_invalid_update_leaves_what_is_stored(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    body = {"workflow_name": "other", "workflow_definition": definition("nonsense")}
    assert calls.post("/workflows/update_workflow", body, workflow_id=workflow_id).status_code == 400
    read = calls.get(f"/workflows/{workflow_id}").json()
    assert read["name"] == "n"
    assert [block["block_name"] for block in read["workflow_definition"]["blocks"]] == ["webhook", "find_email"]


def test_a_deleted_workflow_is_removed_but_its_runs_stay(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    job_id = calls.start(workflow_id)
    answer = calls.post("/workflows/delete_workflow", workflow_id=workflow_id)
    assert (answer.status_code, answer.json()["status"]) == (200, "deleted")
    assert calls.get(f"/workflows/{workflow_id}").status_code == 404
    assert workflow_id not in [each["id"] for each in calls.get("/workflows").json()]
    assert calls.submit(workflow_id).status_code == 404
    assert calls.post("/workflows/delete_workflow", workflow_id=workflow_id).status_code == 404
    assert calls.get("/workflows/runs", workflow_id=workflow_id).status_code == 404
    assert job_id in [run["job_id"] for run in calls.get("/workflows/runs").json()]
    assert calls.wait(job_id)["overall_status"] == "completed"


def test_an_unknown_workflow_is_a_404_with_a_detail(calls: Calls) -> None:
    unknown = str(uuid.uuid4())
    for answer in (calls.get(f"/workflows/{unknown}"), calls.submit(unknown), calls.submit("not-a-uuid")):
        assert answer.status_code == 404
        assert "not found" in answer.json()["detail"]


def no_blocks(graph: dict[str, Any]) -> None:
    graph.update(blocks=[], edges=[])


def same_id_twice(graph: dict[str, Any]) -> None:
    graph["blocks"][1]["block_id"] = graph["blocks"][2]["block_id"]


def edge_to_nowhere(graph: dict[str, Any]) -> None:
    graph["edges"][0]["to_block_id"] = str(uuid.uuid4())


def cycle(graph: dict[str, Any]) -> None:
    graph["edges"].append(
        {"from_block_id": graph["blocks"][2]["block_id"], "to_block_id": graph["blocks"][1]["block_id"]}
    )


def two_sources(graph: dict[str, Any]) -> None:
    del graph["edges"][0]


def source_without_input(graph: dict[str, Any]) -> None:
    graph["blocks"][0]["block_name"] = "find_phone"


def input_in_the_middle(graph: dict[str, Any]) -> None:
    graph["blocks"][1]["block_name"] = "read_csv"


def unknown_block(graph: dict[str, Any]) -> None:
    graph["blocks"][1]["block_name"] = "find_happiness"


def wrong_spec(graph: dict[str, Any]) -> None:
    graph["blocks"][1]["specs"] = {"return_fields": ["email"]}


def missing_spec(graph: dict[str, Any]) -> None:
    graph["blocks"][2] = graph["blocks"][2] | {"block_name": "outgoing_webhook"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_blocks, "no blocks"),
        (same_id_twice, "Duplicate block_id"),
        (edge_to_nowhere, "An edge names a block that doesn't exist"),
        (cycle, "cycle through blocks 2 (find_email), 3 (find_phone)"),
        (two_sources, "exactly one source block, it has 2"),
        (source_without_input, "a workflow starts with an input block"),
        (input_in_the_middle, "no edge may lead to it"),
        (unknown_block, "Unknown block type: find_happiness"),
        (wrong_spec, "Block 2 (find_email): specs.return_fields: ['email'] is not of type 'object'"),
        (missing_spec, "'url' is a required property"),
    ],
)
def test_an_invalid_graph_is_refused_with_its_reason(calls: Calls, spoil: Any, message: str) -> None:
    graph = definition("find_email", "find_phone")
    spoil(graph)
    count = len(calls.get("/workflows").json())
    answer = calls.create(graph)
    assert answer.status_code == 400
    assert message in answer.json()["detail"]
    assert len(calls.get("/workflows").json()) == count


def test_a_body_of_the_wrong_shape_is_a_422_as_fastapi_words_it(calls: Calls) -> None:
    answer = calls.post("/workflows/create_workflow", {"workflow_name": 5, "workflow_definition": {}})
    assert answer.status_code == 422
    places = [tuple(each["loc"]) for each in answer.json()["detail"]]
    assert ("body", "workflow_name") in places
    assert ("body", "workflow_description") in places
    assert ("body", "workflow_definition", "blocks") in places
    assert all({"type", "msg"} <= set(each) for each in answer.json()["detail"])


@pytest.mark.parametrize("text", [b"{", b'{"workflow_name": NaN}', b'["\\ud800"]', b"[" * 100_000, b"1" * 5_000])
def test_what_is_not_json_is_a_422(calls: Calls, text: bytes) -> None:
    answer = calls.http.post("/workflows/create_workflow", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("encoding", "name", "status"),
    [("utf-8", "é", 200), ("utf-8-sig", "é", 200), ("utf-16", "é", 400), ("utf-8", "\ud800", 400)],
    ids=["UTF-8", "with a mark", "UTF-16", "half a surrogate pair, in three bytes"],
)
def test_a_body_is_utf_8(calls: Calls, encoding: str, name: str, status: int) -> None:
    body = {"workflow_name": name, "workflow_description": "d", "workflow_definition": definition("find_email")}
    text = json.dumps(body, ensure_ascii=False).encode(encoding, "surrogatepass")
    answer = calls.http.post("/workflows/create_workflow", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == status


def test_every_block_is_listed_with_a_schema_that_is_one(calls: Calls) -> None:
    listed = calls.get("/workflows/blocks").json()
    assert [each["block_name"] for each in listed] == CURRENT + OLDER
    for each in listed:
        jsonschema.Draft202012Validator.check_schema(each["specs_schema"])
    [webhook] = [each["specs_schema"] for each in listed if each["block_name"] == "find_email"]
    assert webhook["properties"]["mode"]["default"] == "PROFESSIONAL"


def stored(calls: Calls, workflow_id: str) -> dict[str, Any]:
    found: dict[str, Any] = calls.get(f"/workflows/{workflow_id}").json()["workflow_definition"]
    return found
