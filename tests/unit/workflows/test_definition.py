from __future__ import annotations

import contextlib
import copy
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.api.models import BlockType, Workflow
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.workflows.block_specs import unknown_specs
from airflow_provider_sixtyfour.workflows.definition import Definition, changes, check, parse, stored
from airflow_provider_sixtyfour.workflows.deployment import blocks_run_by_a_save, keep_server_ids
from airflow_provider_sixtyfour.workflows.source import source_of
from tests.unit.api.properties import searched
from tests.unit.api.servers import Reply, Server

WORKFLOW_ID = "0b6f7c58-59a4-4b8e-8f43-0b7c7e7d2c11"
A, B, C = (f"0000000{number}-0000-4000-8000-00000000000a" for number in (1, 2, 3))


def block(block_id: Any, name: Any = "find_email", **more: Any) -> dict[str, Any]:
    return {"block_id": block_id, "block_name": name, **more}


def edge(begin: Any, end: Any, **more: Any) -> dict[str, Any]:
    return {"from_block_id": begin, "to_block_id": end, **more}


def workflow(blocks: Any, edges: Any = (), **more: Any) -> dict[str, Any]:
    edges = list(edges) if isinstance(edges, tuple) else edges
    return {"workflow_name": "Leads", "workflow_definition": {"blocks": blocks, "edges": edges}, **more}


# As "View Workflow Definition" in the editor shows it.
EDITOR = {
    "workflow_name": "Leads",
    "workflow_description": "Finds mail addresses",
    "workflow_definition": {
        "blocks": [
            {"sequence_number": 1, "block_type": "input", "block_name": "webhook", "specs": {}, "block_id": "start"},
            {
                "sequence_number": 2,
                "block_type": "enrichment",
                "block_name": "find_email",
                "specs": {"mode": "PERSONAL"},
                "block_id": "mail",
            },
        ],
        "edges": [{"from_block_id": "start", "to_block_id": "mail"}],
    },
}
KINDS = [
    BlockType("webhook", {"type": "object"}),
    BlockType(
        "find_email",
        {
            "type": "object",
            "properties": {
                "mode": {"enum": ["PROFESSIONAL", "PERSONAL"], "default": "PROFESSIONAL"},
                "limit": {"type": "integer", "minimum": 1},
            },
            "additionalProperties": False,
        },
    ),
]


def faults_of(given_workflow: Any, workflow_id: str = WORKFLOW_ID) -> list[str]:
    with pytest.raises(SixtyfourInputError) as caught:
        parse(given_workflow, workflow_id)
    first, *lines = str(caught.value).split("\n")
    assert first == "The workflow can't be read:"
    return lines


def faults_of_check(given_workflow: Any, kinds: Any = (), **more: Any) -> list[str]:
    with pytest.raises(SixtyfourInputError) as caught:
        check(parse(given_workflow, WORKFLOW_ID), kinds, **more)
    first, *lines = str(caught.value).split("\n")
    assert first == "The workflow can't be deployed:"
    return lines


def test_what_the_editor_copies_out_is_read_as_dict_and_as_text():
    wanted = parse(EDITOR, WORKFLOW_ID)
    assert parse(json.dumps(EDITOR), WORKFLOW_ID) == wanted
    assert (wanted.name, wanted.description) == ("Leads", "Finds mail addresses")
    start, mail = wanted.blocks
    assert wanted.edges == ((start, mail, None),)
    assert wanted.blocks[mail] == {
        "sequence_number": 2,
        "block_type": "enrichment",
        "block_name": "find_email",
        "specs": {"mode": "PERSONAL"},
    }
    check(wanted, KINDS)


@pytest.mark.parametrize(
    "shape",
    [
        {"name": "Leads", "description": "Finds mail addresses", "workflow_definition": EDITOR["workflow_definition"]},
        {**EDITOR["workflow_definition"], "name": "Leads", "description": "Finds mail addresses"},  # type: ignore[dict-item]
        {**EDITOR, "id": WORKFLOW_ID, "status": "active", "created_at": "2026-01-01"},
    ],
)
def test_other_shapes_of_the_same(shape: Any):
    assert parse(shape, WORKFLOW_ID) == parse(EDITOR, WORKFLOW_ID)


def test_the_body_that_is_sent():
    body = parse(EDITOR, WORKFLOW_ID).as_body()
    assert json.loads(calls.json_body(body)) == body
    ids = [one["block_id"] for one in body["workflow_definition"]["blocks"]]
    assert body["workflow_definition"]["edges"] == [edge(*ids)]
    only_graph = parse({"blocks": [block(A)], "edges": [edge(A, A, condition="x")]}, WORKFLOW_ID).as_body()
    assert list(only_graph) == ["workflow_definition"]
    assert only_graph["workflow_definition"]["edges"] == [edge(A, A, condition="x")]


def test_ids_are_uuids_that_never_change():
    start, mail = parse(EDITOR, WORKFLOW_ID).blocks
    # Stored workflows were saved under these: another id would show as a change.
    assert (start, mail) == ("f20acc5f-e958-58be-a156-1c4514b7c8e1", "ce22f8fd-784c-5d80-8012-f654226e571c")
    assert list(parse(EDITOR, "another-workflow").blocks) != [start, mail]
    assert next(iter(parse(workflow([block(A), block("x")]), WORKFLOW_ID).blocks)) == A


def test_a_block_without_an_id_gets_a_stable_one_that_no_edge_can_name():
    nameless = workflow([block(None), block(None), {"block_name": "find_phone"}])
    ids = list(parse(nameless, WORKFLOW_ID).blocks)
    assert len({uuid.UUID(one) for one in ids}) == 3
    assert list(parse(nameless, WORKFLOW_ID).blocks) == ids
    for end in (None, "None"):
        nameless["workflow_definition"]["edges"] = [edge(end, end)]
        assert faults_of(nameless) == [f"- edges[0] names no block: {end!r}"]


@pytest.mark.parametrize("spelling", [A.upper(), A.replace("-", ""), "{" + A + "}", f"urn:uuid:{A}"])
def test_a_uuid_is_the_same_in_every_spelling(spelling: str):
    assert list(parse(workflow([block(spelling)]), WORKFLOW_ID).blocks) == [A]
    twice = workflow([block(A), block(spelling)])
    assert faults_of(twice) == [f"- blocks[1] (find_email): the block_id {spelling!r} is taken"]
    wanted = parse(workflow([block(A, "webhook"), block(B)], (edge(spelling, B),)), WORKFLOW_ID)
    assert wanted.edges == ((A, B, None),)


def test_every_fault_of_reading_is_named_at_once():
    hostile = workflow(
        [block("a"), 7, {"specs": {}}, block("b", specs=[1]), block("a", "find_phone"), block("c", 7)],
        (edge("a", "nowhere"), edge("nobody", "a"), 7, edge("a", None), edge("a", "a" * 500)),
    )
    assert faults_of(hostile) == [
        "- blocks[1] is not an object with a block_name",
        "- blocks[2] is not an object with a block_name",
        "- blocks[3] (find_email): specs should be an object",
        "- blocks[4] (find_phone): the block_id 'a' is taken",
        "- blocks[5] is not an object with a block_name",
        "- edges[0] names no block: 'nowhere'",
        "- edges[1] names no block: 'nobody'",
        "- edges[2] is not an object with from_block_id and to_block_id",
        "- edges[3] names no block: None",
        f"- edges[4] names no block: '{'a' * 59}",
    ]


@pytest.mark.parametrize(
    ("given_workflow", "message"),
    [
        ("{", "The workflow is not valid JSON: "),
        ("", "The workflow is not valid JSON: "),
        ("[" * 100_000, "The workflow is not valid JSON: "),
        ("[]", "The workflow should be an object, not list."),
        (None, "The workflow should be an object, not NoneType."),
        (b"{}", "The workflow should be an object, not bytes."),
        ({}, "The workflow has no workflow_definition."),
        ({"workflow_definition": None}, "The workflow has no workflow_definition."),
        ({"workflow_definition": [1]}, "The workflow has no workflow_definition."),
        ({"workflow_definition": {}}, "workflow_definition should hold a list of blocks and a list of edges."),
        (workflow({}), "workflow_definition should hold a list of blocks and a list of edges."),
        (workflow([], {}), "workflow_definition should hold a list of blocks and a list of edges."),
        (workflow([], id="other"), f"The workflow's own id 'other' is not the task's workflow_id '{WORKFLOW_ID}'."),
        (workflow([], workflow_name=7), "workflow_name should be text, not int."),
        (workflow([], workflow_description=[]), "workflow_description should be text, not list."),
        (workflow([block(A, specs={"x": float("nan")})]), "the workflow['workflow_definition']['blocks'][0]['specs']"),
        ('{"blocks": [{"block_name": "a", "specs": {"x": NaN}}]}', "the workflow['blocks'][0]['specs']['x'] is nan"),
        (
            workflow([block(A, specs={"x": b""})]),
            "the workflow['workflow_definition']['blocks'][0]['specs']['x']",
        ),
        (workflow([block(A, specs={7: 1})]), "the workflow['workflow_definition']['blocks'][0]['specs'] has a key"),
        (workflow([block("\ud800")]), "the workflow['workflow_definition']['blocks'][0]['block_id'] holds text"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_is_no_workflow_is_refused(given_workflow: Any, message: str):
    with pytest.raises(SixtyfourInputError) as caught:
        parse(given_workflow, WORKFLOW_ID)
    assert str(caught.value).startswith(message)


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=2)
    | st.sampled_from([A, A.upper(), "a", "None", "\ud800", uuid.UUID(A)])
    | st.just(5000).map(lambda digits: 10**digits),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.none(), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


def sometimes(usual: Any) -> Any:
    return st.one_of(usual, usual, usual, odd)


ids = sometimes(st.sampled_from([A, A.upper(), B, "a", "b"]))
odd_blocks = st.fixed_dictionaries(
    {"block_name": sometimes(st.sampled_from(["webhook", "find_email"]))},
    optional={
        "block_id": ids,
        "specs": sometimes(st.just({"mode": "PERSONAL"})),
        "sequence_number": odd,
        "block_type": odd,
    },
)
odd_edges = st.fixed_dictionaries({"from_block_id": ids, "to_block_id": ids}, optional={"condition": odd})
odd_graphs = st.fixed_dictionaries(
    {"blocks": sometimes(st.lists(sometimes(odd_blocks), max_size=4))},
    optional={"edges": sometimes(st.lists(sometimes(odd_edges), max_size=4))},
)
odd_workflows = st.fixed_dictionaries(
    {"workflow_definition": sometimes(odd_graphs)},
    optional={"id": odd, "workflow_name": odd, "workflow_description": odd, "x": odd},
)


@searched
@given(odd_workflows | odd_graphs | odd)
def test_any_input_is_read_or_refused_in_words(given_workflow: Any):
    with contextlib.suppress(SixtyfourInputError):
        wanted = parse(given_workflow, WORKFLOW_ID)
        body = json.loads(calls.json_body(wanted.as_body()))
        # What is sent reads back as the same: deploying it twice changes nothing.
        assert parse(body, WORKFLOW_ID) == wanted
        assert changes(wanted, stored(Workflow.read({"id": WORKFLOW_ID, **body})), KINDS) in ([], [*_name(wanted)])
        check(wanted, KINDS)


def _name(wanted: Definition) -> list[str]:
    """`Workflow.read` takes the names that the API answers with, not those that it is sent."""
    lines = []
    for field, value in (("workflow_name", wanted.name), ("workflow_description", wanted.description)):
        if value:
            shown = json.dumps(value, ensure_ascii=False)
            lines.append(f"~ {field}: null -> {shown}")
    return lines


@searched
@given(st.dictionaries(st.sampled_from(["id", "name", "workflow_definition"]), odd_graphs | odd, max_size=3))
def test_any_stored_workflow_can_be_compared(data: dict[str, Any]):
    existing = stored(Workflow.read({**data, "id": WORKFLOW_ID}))
    assert changes(parse(EDITOR, WORKFLOW_ID), existing, KINDS)


@pytest.mark.parametrize(
    ("given_workflow", "fault"),
    [
        (workflow([]), "- it has no blocks"),
        (workflow([block(A)], (edge(A, A),)), "- its edges form a cycle through 'find_email' (00000001)"),
        (
            workflow([block(A), block(B), block(C)], (edge(A, B), edge(B, C), edge(C, B))),
            "- its edges form a cycle through 'find_email' (00000002), 'find_email' (00000003)",
        ),
    ],
)
def test_a_graph_that_can_not_run_is_refused(given_workflow: Any, fault: str):
    assert faults_of_check(given_workflow) == [fault]


def test_a_diamond_is_a_good_graph():
    check(
        parse(
            workflow(
                [block(A, "webhook"), block(B), block(C), block("end")],
                (edge(A, B), edge(A, C), edge(B, "end"), edge(C, "end"), edge(A, B)),
            ),
            WORKFLOW_ID,
        ),
        (),
    )


def test_several_sources_are_for_the_server_to_judge():
    several = workflow([block(A, "webhook"), block(B), block(C, "webhook")], (edge(A, B),))
    assert check(parse(several, WORKFLOW_ID), KINDS, validate_specs=True) == []


def test_specs_are_held_against_their_schema():
    hostile = workflow(
        [block(A, "webhook"), block(B, specs={"mode": "LOUD", "limit": 0, "x": 1}), block(C, "find_mail")],
        (edge(A, B), edge(B, C)),
    )
    findings = [
        "block 'find_email' (00000002): specs: Additional properties are not allowed ('x' was unexpected)",
        "block 'find_email' (00000002): specs.limit: 0 is less than the minimum of 1",
        "block 'find_email' (00000002): specs.mode: 'LOUD' is not one of ['PROFESSIONAL', 'PERSONAL']",
        "block 'find_mail' (00000003): there is no block_name 'find_mail' (did you mean 'find_email'?)",
    ]
    assert check(parse(hostile, WORKFLOW_ID), KINDS) == findings
    assert faults_of_check(hostile, KINDS, validate_specs=True) == [f"- {finding}" for finding in findings]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("FIND_EMAIL", " (did you mean 'find_email'?)"),
        ("findEmail", " (did you mean 'find_email'?)"),
        ("webhooks", " (did you mean 'webhook'?)"),
        ("poem", ""),
    ],
)
def test_an_unknown_block_name_is_named_with_the_one_that_may_be_meant(name: str, hint: str):
    assert faults_of_check(workflow([block(A, name)]), KINDS, validate_specs=True) == [
        f"- block '{name}' (00000001): there is no block_name '{name}'{hint}"
    ]


def test_an_id_that_should_be_called_block_id_is_named():
    named_id = [{"id": "a", "block_name": "webhook"}, block("b")]
    assert faults_of(workflow(named_id, (edge("a", "b"),))) == [
        "- blocks[0] (webhook): it has an id but no block_id: rename it",
        "- edges[0] names no block: 'a'",
    ]
    # What the editor, or the API, adds to a block that has a block_id, or to a stored one, is no fault.
    parse(workflow([{**block(A), "id": 7}]), WORKFLOW_ID)
    read_back = {"blocks": [{"id": "a", "block_name": "webhook"}], "edges": []}
    assert source_of(Workflow.read({"id": "w", "workflow_definition": read_back})) is not None


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (["mode"], []),
        (["limit", "stored"], []),
        (["modes", "x"], ["'modes' (did you mean 'mode'?)", "'x'"]),
    ],
)
def test_specs_that_a_block_does_not_have_are_named(names: list[str], unknown: list[str]):
    stored_specs = {"stored": 1}
    assert unknown_specs(names, "find_email", stored_specs, KINDS) == unknown
    assert unknown_specs(names, "find_email", stored_specs, ()) == []
    assert unknown_specs(names, "webhook", stored_specs, KINDS) == []


def test_without_a_catalogue_names_and_specs_are_the_servers_business():
    check(parse(workflow([block(A, "anything", specs={"x": 1})]), WORKFLOW_ID), ())


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": 7},
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"properties": {"x": {"$ref": "https://elsewhere.example/schema.json"}}},
        {"properties": {"x": {"pattern": "("}}},
        {"patternProperties": {"(": {}}},
        {"properties": {"x": {"multipleOf": 0.1}}},
        {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"x": {"exclusiveMinimum": True}}},
        {"$schema": "https://unknown.example/"},
    ],
)
@pytest.mark.parametrize("value", ["text", 10**400])
def test_what_can_not_be_checked_is_the_servers_business(schema: Any, value: Any):
    assert check(parse(workflow([block(A, specs={"x": value})]), WORKFLOW_ID), [BlockType("find_email", schema)]) == []


def test_a_schema_elsewhere_is_not_fetched():
    with Server(lambda request: Reply(body=b'{"type": "string"}')) as server:
        kinds = [BlockType("find_email", {"$ref": f"{server.url}/schema.json"})]
        check(parse(workflow([block(A, specs={"x": 1})]), WORKFLOW_ID), kinds)
        assert server.requests == []


def test_a_diff_names_each_value_that_changed():
    old = workflow(
        [
            block(A, "webhook", specs={}),
            block(B, specs={"mode": "PERSONAL", "fields": {"a": "string", "b": 1}, "tags": [1, True], "z": "x" * 100}),
            block(C, "export"),
        ],
        (edge(A, B), edge(B, C)),
        workflow_description="Old",
    )
    new = copy.deepcopy(old)
    graph = new["workflow_definition"]
    new["workflow_name"], new["workflow_description"] = "Leads 2", ""
    graph["blocks"][0]["specs"] = {"input": "é"}
    graph["blocks"][1]["specs"] = {"fields": {"a": "number", "b": 1.0}, "tags": [1, 1], "z": "y" * 100}
    graph["blocks"][2] = block("new", "find_phone")
    graph["edges"] = [edge(A, B), edge(B, "new", condition="ok"), edge("new", A)]
    wanted = parse(new, WORKFLOW_ID)
    new_id = list(wanted.blocks)[2][:8]
    lines = changes(wanted, parse(old, WORKFLOW_ID))
    assert lines == [
        '~ workflow_name: "Leads" -> "Leads 2"',
        '~ workflow_description: "Old" -> ""',
        "~ block 'webhook' (00000001) specs.input: nothing -> \"é\"",
        "~ block 'find_email' (00000002) specs.fields.a: \"string\" -> \"number\"",
        "~ block 'find_email' (00000002) specs.mode: \"PERSONAL\" -> nothing",
        "~ block 'find_email' (00000002) specs.tags: [1, true] -> [1, 1]",
        f"~ block 'find_email' (00000002) specs.z: \"{'x' * 75} […] -> \"{'y' * 75} […]",
        "- block 'export' (00000003)",
        f"+ block 'find_phone' ({new_id})",
        "- edge 'find_email' (00000002) -> 'export' (00000003)",
        f"+ edge 'find_email' (00000002) -> 'find_phone' ({new_id}) if ok",
        f"+ edge 'find_phone' ({new_id}) -> 'webhook' (00000001)",
    ]  # fmt: skip
    assert changes(wanted, wanted) == []


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ({"a.b": 1}, {"a": {"b": 1}}, True),
        ({"a": 1}, {"a": True}, True),
        ({"a": 0}, {"a": False}, True),
        ({"a": [0]}, {"a": [False]}, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": True}]}, True),
        ({"a": None}, {}, True),
        ({"a": {}}, {"a": []}, True),
        ({"a": {}}, {}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, True),
        ({"a": "1"}, {"a": 1}, True),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"c": 2, "b": 1.0}]}, False),
        ({"mode": "PROFESSIONAL"}, {}, False),
        ({"mode": "PERSONAL"}, {}, True),
    ],
)
def test_specs_differ_as_json_does(old: Any, new: Any, differs: bool):
    one, other = (parse(workflow([block(A, specs=specs)]), WORKFLOW_ID) for specs in (old, new))
    assert bool(changes(one, other, KINDS)) == bool(changes(other, one, KINDS)) == differs


def test_order_is_no_difference():
    one = parse(workflow([block(A, sequence_number=1), block(B, sequence_number=2)], (edge(A, B),)), WORKFLOW_ID)
    other = parse(workflow([block(B, sequence_number=2), block(A, sequence_number=1)], (edge(A, B),)), WORKFLOW_ID)
    assert changes(one, other) == changes(other, one) == []


def test_a_name_that_is_not_given_is_left_as_it_is():
    wanted = parse({"blocks": [block(A)]}, WORKFLOW_ID)
    assert changes(wanted, parse(workflow([block(A)], workflow_description="d"), WORKFLOW_ID)) == []


def test_a_stored_graph_that_can_not_be_read_compares_as_empty():
    existing = stored(Workflow.read({"id": "w", "workflow_definition": {"blocks": "?"}}))
    assert (existing.blocks, existing.edges) == ({}, ())
    assert changes(parse(workflow([block(A)]), "w"), existing)[1:] == ["+ block 'find_email' (00000001)"]


def deployed(wanted: Any, existing: Any) -> list[str]:
    """Return the differences that are left after the ids that the server has written in."""
    one, other = (parse(workflow([block(A, "n", specs=specs)]), WORKFLOW_ID) for specs in (wanted, existing))
    return changes(keep_server_ids(one, other), other)


@pytest.mark.parametrize(
    ("wanted", "existing", "differs"),
    [
        ({}, {"notebook_id": "nb_1"}, False),
        ({"notebook_id": "__create_new__"}, {"notebook_id": "nb_1"}, False),
        ({"resource_handle_id": "__upload__"}, {"resource_handle_id": "h"}, False),
        ({"target": "__create_new__"}, {"target": "t_1"}, False),
        ({}, {"resource_handle_id": "h"}, False),
        ({"notebook_id": "nb_2"}, {"notebook_id": "nb_1"}, True),
        ({"notebook_id": "__create_new__"}, {}, True),
        ({}, {"mode": "PERSONAL"}, True),
        ({"x": "a__b__c"}, {"x": "d"}, True),
    ],
)
def test_ids_that_the_server_has_written_are_no_difference(wanted: Any, existing: Any, differs: bool):
    assert bool(deployed(wanted, existing)) == differs


def test_a_save_keeps_the_ids_that_the_server_has_written():
    one = parse(workflow([block(A, "n", specs={"notebook_id": "__create_new__", "x": 2})]), WORKFLOW_ID)
    other = parse(workflow([block(A, "n", specs={"notebook_id": "nb_1", "x": 1})]), WORKFLOW_ID)
    [saved] = keep_server_ids(one, other).as_body()["workflow_definition"]["blocks"]
    assert saved["specs"] == {"notebook_id": "nb_1", "x": 2}
    another_kind = parse(workflow([block(A, "other", specs={})]), WORKFLOW_ID)
    assert keep_server_ids(another_kind, other) == another_kind


def test_a_search_that_runs_when_it_is_saved():
    blocks = [block(A, "search", specs={"auto_execute": True}), block(B, "search", specs={"auto_execute": False})]
    assert blocks_run_by_a_save(parse(workflow(blocks), WORKFLOW_ID)) == ["search"]


@pytest.mark.parametrize("spelling", [str, str.upper])
def test_deploying_twice_changes_nothing(key_settings: Settings, spelling: Any):
    workflow_id = str(uuid.uuid4())
    client = SixtyfourClient(key_settings)
    kinds = client.send(calls.list_blocks())
    wanted = parse(json.dumps(EDITOR).replace('"mail"', f'"{spelling(str(uuid.uuid4()))}"'), workflow_id)
    check(wanted, kinds)
    saved = client.send(calls.update_workflow(workflow_id, wanted.as_body()))
    assert changes(wanted, stored(saved), kinds) == []
    assert changes(wanted, stored(client.send(calls.get_workflow(workflow_id))), kinds) == []
    other = parse({**EDITOR, "workflow_name": "Other"}, workflow_id)
    assert changes(other, stored(client.send(calls.get_workflow(workflow_id))), kinds)
    client.close()
