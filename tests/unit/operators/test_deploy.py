"""A workflow as code: saved when it differs, with the differences logged, and never half or wrong."""

import json
import re
import uuid
from itertools import pairwise

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_sixtyfour.exceptions import SixtyfourDifferenceError
from airflow_provider_sixtyfour.operators.sixtyfour import (
    SixtyfourDeleteWorkflowOperator,
    SixtyfourDeployWorkflowOperator,
)
from tests.unit.standins import Task


def block(name, number, block_id=None, **specs):
    return {
        "block_id": block_id or f"step-{number}",
        "sequence_number": number,
        "block_type": name,
        "block_name": name,
        "specs": specs,
    }


def chain(*blocks, **more):
    edges = [{"from_block_id": one["block_id"], "to_block_id": other["block_id"]} for one, other in pairwise(blocks)]
    definition = {"blocks": list(blocks), "edges": edges}
    return {"workflow_name": "Leads", "workflow_description": "From tests", "workflow_definition": definition, **more}


def wanted():
    return chain(block("webhook", 1), block("lead_enrichment", 2), block("find_email", 3, mode="PROFESSIONAL"))


@pytest.fixture
def workflow_id():
    return str(uuid.uuid4())


def deploy(workflow_id, workflow, **more):
    return Task(
        lambda: SixtyfourDeployWorkflowOperator(
            task_id="deploy", workflow_id=workflow_id, workflow=json.loads(json.dumps(workflow)), **more
        )
    ).run()


def saves(emulator):
    return [one for one in emulator.requests() if one["method"] == "POST"]


def test_a_new_workflow_is_stored(emulator, workflow_id, logs):
    assert deploy(workflow_id, wanted()) == workflow_id

    stored = emulator.api("GET", f"/workflows/{workflow_id}")
    assert (stored["name"], stored["description"]) == ("Leads", "From tests")
    names = [one["block_name"] for one in stored["workflow_definition"]["blocks"]]
    assert names == ["webhook", "lead_enrichment", "find_email"]
    assert len(stored["workflow_definition"]["edges"]) == 2
    [message] = [text for text in logs.texts() if text.startswith("Saved the workflow.") and workflow_id in text]
    assert '~ workflow_name: null -> "Leads"' in message
    assert message.count("+ block") == 3
    assert message.count("+ edge") == 2


@pytest.mark.parametrize("ids", ["names", "uuids", "none"])
def test_deploying_twice_saves_once(emulator, workflow_id, logs, ids):
    """The server gives blocks other ids than they came with, unless those were UUIDs."""
    if ids == "names":
        workflow = wanted()
    elif ids == "uuids":
        workflow = chain(block("webhook", 1, str(uuid.uuid4())), block("find_email", 2, str(uuid.uuid4())))
    else:
        workflow = chain({name: value for name, value in block("webhook", 1).items() if name != "block_id"})

    for _ in range(3):
        deploy(workflow_id, workflow)

    assert len(saves(emulator)) == 1
    assert logs.texts().count(f"The stored workflow is up to date; nothing was saved. Workflow {workflow_id}.") == 2


def test_what_the_server_writes_out_as_defaults_is_no_difference(emulator, workflow_id):
    deploy(workflow_id, wanted())
    stored = emulator.api("GET", f"/workflows/{workflow_id}")
    for one in stored["workflow_definition"]["blocks"]:
        if one["block_name"] == "find_email":
            one["specs"]["return_fields"] = {"email": "string", "email_status": "string"}
    emulator.api(
        "POST",
        f"/workflows/update_workflow?workflow_id={workflow_id}",
        {"workflow_definition": stored["workflow_definition"]},
    )
    emulator.clear()

    deploy(workflow_id, wanted())

    assert saves(emulator) == []


def test_a_difference_is_logged_value_by_value_and_saved(emulator, workflow_id, logs):
    deploy(workflow_id, wanted())
    workflow = chain(block("webhook", 1), block("lead_enrichment", 2), block("find_email", 3, mode="PERSONAL"))
    workflow["workflow_description"] = "Changed"

    deploy(workflow_id, workflow)

    [message] = [text for text in logs.texts() if text.startswith("Saved the workflow.")][1:]
    lines = message.splitlines()
    assert lines[1] == '~ workflow_description: "From tests" -> "Changed"'
    assert re.fullmatch(r"~ block 'find_email' \(\w{8}\) specs\.mode: \"PROFESSIONAL\" -> \"PERSONAL\"", lines[2])
    assert lines[3:] == [f"Workflow {workflow_id}."]
    assert len(saves(emulator)) == 2


def test_check_reports_the_difference_and_saves_nothing(emulator, workflow_id):
    deploy(workflow_id, wanted())
    emulator.clear()
    workflow = chain(block("webhook", 1), block("lead_enrichment", 2))

    with pytest.raises(SixtyfourDifferenceError) as difference:
        deploy(workflow_id, workflow, check_only=True)

    assert str(difference.value).startswith("The stored workflow differs:\n- block 'find_email'")
    assert "- edge 'lead_enrichment'" in str(difference.value)
    assert saves(emulator) == []
    assert deploy(workflow_id, wanted(), check_only=True) == workflow_id


def test_check_of_a_workflow_that_is_not_there(emulator, workflow_id):
    with pytest.raises(SixtyfourDifferenceError, match=r"\+ block 'webhook'"):
        deploy(workflow_id, wanted(), check_only=True)

    assert saves(emulator) == []


def invalid():
    one, two, _ = wanted()["workflow_definition"]["blocks"]
    edge = {"from_block_id": "step-1", "to_block_id": "step-2"}
    back = {"from_block_id": "step-2", "to_block_id": "step-1"}

    def graph(blocks, edges):
        return {"workflow_name": "n", "workflow_definition": {"blocks": blocks, "edges": edges}}

    return {
        "an edge to nowhere": (
            graph([one, two], [{**edge, "to_block_id": "step-9"}]),
            "edges[0] names no block: 'step-9'",
        ),
        "a cycle": (graph([one, two], [edge, back]), "its edges form a cycle through 'webhook'"),
        "an id twice": (graph([one, {**two, "block_id": "step-1"}], []), "the block_id 'step-1' is taken"),
        "no blocks": (graph([], []), "it has no blocks"),
        "specs that are no object": (chain(one, {**two, "specs": [1]}), "specs should be an object"),
        "blocks that are no list": ({"workflow_definition": {"blocks": {}}}, "should hold a list of blocks"),
        "a block that is none": (graph([None], []), "blocks[0] is not an object with a block_name"),
        "an edge that is none": (graph([one], [7]), "edges[0]"),
        "no definition": ({"workflow_name": "n"}, "has no workflow_definition"),
        "a name that is no text": ({**wanted(), "workflow_name": 7}, "workflow_name should be text, not int"),
        "another id": ({**wanted(), "id": str(uuid.UUID(int=7))}, "is not the task's workflow_id"),
        "a list": ([wanted()], "The workflow should be an object, not list"),
    }


@pytest.mark.parametrize("fault", invalid())
def test_an_invalid_workflow_fails_for_good_with_all_faults_named_and_nothing_sent(emulator, workflow_id, fault):
    workflow, message = invalid()[fault]

    with pytest.raises(AirflowFailException, match=re.escape(message)):
        deploy(workflow_id, workflow)

    assert saves(emulator) == []


def warnings(logs):
    """Return those of the operator, without Airflow's own on how a test calls it."""
    return [text for text in logs.texts("warning") if "Task Runner" not in text]


def unpublished():
    one = block("webhook", 1)
    return {
        "an unknown block": (chain(one, block("write_poems", 2)), "there is no block_name 'write_poems'"),
        "wrong specs": (chain(one, block("find_email", 2, mode="SECRET")), "specs.mode: 'SECRET' is not one of"),
        "missing specs": (chain(one, block("outgoing_webhook", 2)), "'url' is a required property"),
    }


@pytest.mark.parametrize("finding", unpublished())
def test_what_the_published_schema_does_not_have_is_a_warning_and_the_servers_to_judge(
    emulator, workflow_id, logs, finding
):
    workflow, message = unpublished()[finding]
    emulator.fault("answer", path="/workflows/update_workflow", status=200, body={"id": workflow_id})

    assert deploy(workflow_id, workflow) == workflow_id

    [warning] = warnings(logs)
    assert warning.startswith("Differs from the API's published schema: block ")
    assert message in warning
    assert len(saves(emulator)) == 1


@pytest.mark.parametrize("finding", unpublished())
def test_validate_specs_makes_it_an_error_and_nothing_is_sent(emulator, workflow_id, finding):
    workflow, message = unpublished()[finding]

    with pytest.raises(AirflowFailException, match=re.escape(message)):
        deploy(workflow_id, workflow, validate_specs=True)

    assert saves(emulator) == []


def test_block_names_of_the_older_generation_are_deployed(emulator, workflow_id, logs):
    deploy(workflow_id, chain(block("webhook", 1), block("enrich_person", 2)), validate_specs=True)

    assert len(saves(emulator)) == 1
    assert warnings(logs) == []


def test_a_notebook_that_the_server_has_created_is_no_difference_and_kept(emulator, workflow_id):
    def notes(name):
        return chain(
            block("webhook", 1),
            block("append_to_notebook", 2, notebook_id="__create_new__", notebook_name=name),
        )

    def stored_specs():
        return emulator.api("GET", f"/workflows/{workflow_id}")["workflow_definition"]["blocks"][1]["specs"]

    deploy(workflow_id, notes("Leads"))
    stored = emulator.api("GET", f"/workflows/{workflow_id}")["workflow_definition"]
    stored["blocks"][1]["specs"]["notebook_id"] = "nb_1"  # as the server does
    emulator.api("POST", f"/workflows/update_workflow?workflow_id={workflow_id}", {"workflow_definition": stored})
    emulator.clear()

    deploy(workflow_id, notes("Leads"), check_only=True)
    assert saves(emulator) == []
    deploy(workflow_id, notes("Others"))

    assert len(saves(emulator)) == 1
    assert stored_specs() == {"notebook_id": "nb_1", "notebook_name": "Others"}


def test_a_save_that_may_cost_credits_is_logged(emulator, workflow_id, logs):
    found = chain(block("search", 1, query="bakeries", auto_execute=True), block("lead_enrichment", 2))

    deploy(workflow_id, found)
    deploy(workflow_id, found)

    warning = "This save may cost credits: search has auto_execute and runs now."
    assert warnings(logs) == [warning]


def test_a_new_workflow_needs_a_name(emulator, workflow_id):
    workflow = wanted()
    del workflow["workflow_name"]

    with pytest.raises(AirflowFailException, match="isn't stored yet needs a workflow_name"):
        deploy(workflow_id, workflow)

    assert saves(emulator) == []


def test_a_name_that_is_not_given_is_left_as_it_is(emulator, workflow_id):
    deploy(workflow_id, wanted())
    workflow = chain(block("webhook", 1), block("lead_enrichment", 2))
    del workflow["workflow_name"], workflow["workflow_description"]

    deploy(workflow_id, workflow)

    stored = emulator.api("GET", f"/workflows/{workflow_id}")
    assert (stored["name"], stored["description"]) == ("Leads", "From tests")
    assert len(stored["workflow_definition"]["blocks"]) == 2


def test_its_own_id_may_stand_in_the_workflow(emulator, workflow_id):
    assert deploy(workflow_id, {**wanted(), "id": workflow_id}) == workflow_id


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_a_file_next_to_the_dag_with_templates_in_it(emulator, workflow_id, tmp_path, native):
    text = (
        json.dumps(wanted()).replace("From tests", "{{ params.purpose }} of {{ run_id }}").replace("Leads", "{{ ds }}")
    )
    (tmp_path / "workflow.json").write_text(text.replace("{{ ds }}", "{{ 'Le' ~ 'ads' }}"))
    dag = DAG("deploys", schedule=None, render_template_as_native_obj=native)
    dag.fileloc = str(tmp_path / "dag.py")
    numbers = iter(range(9))
    one = Task(
        lambda: SixtyfourDeployWorkflowOperator(
            task_id=f"deploy{next(numbers)}", dag=dag, workflow_id="{{ params.id }}", workflow="workflow.json"
        ),
        params={"id": workflow_id, "purpose": "test"},
    )

    assert one.run() == workflow_id

    stored = emulator.api("GET", f"/workflows/{workflow_id}")
    assert (stored["name"], stored["description"]) == ("Leads", "test of scheduled__2026-11-01")


def test_values_of_a_dict_are_templates_too(emulator, workflow_id):
    workflow = {**wanted(), "workflow_name": "{{ run_id }}"}

    deploy(workflow_id, workflow)

    assert emulator.api("GET", f"/workflows/{workflow_id}")["name"] == "scheduled__2026-11-01"


def test_json_text(emulator, workflow_id):
    assert Task(
        lambda: SixtyfourDeployWorkflowOperator(task_id="d", workflow_id=workflow_id, workflow=json.dumps(wanted()))
    ).run()


@pytest.mark.parametrize(("workflow", "message"), [("missing.json", "There is no file"), ("{broken", "not valid JSON")])
def test_a_file_or_text_that_is_none_fails_for_good_and_asks_nothing(
    emulator, workflow_id, tmp_path, workflow, message
):
    dag = DAG("deploys", schedule=None)
    dag.fileloc = str(tmp_path / "dag.py")
    given = {"task_id": "d", "dag": dag, "workflow_id": workflow_id, "workflow": workflow}

    with pytest.raises(AirflowFailException, match=message):
        Task(lambda: SixtyfourDeployWorkflowOperator(**given)).run()

    assert emulator.requests() == []


@pytest.mark.parametrize("status", [400, 401, 402, 403, 409, 422])
def test_a_refused_save_fails_for_good_after_one_request(emulator, workflow_id, status):
    emulator.fault("answer", path="/workflows/update_workflow", status=status, body={"detail": "will not"}, times=9)

    with pytest.raises(AirflowFailException, match=f"answered {status}: will not.* While saving workflow"):
        deploy(workflow_id, wanted())

    assert len(saves(emulator)) == 1


def test_an_outage_is_waited_out(emulator, workflow_id, no_pauses):
    emulator.fault("reset", path="/workflows/blocks", times=2)
    emulator.fault("answer", path="/workflows/update_workflow", status=502, body="<html>", when="after")

    deploy(workflow_id, wanted())

    assert len(emulator.api("GET", "/workflows/" + workflow_id)["workflow_definition"]["blocks"]) == 3


def test_what_was_deployed_can_be_run(emulator, workflow_id):
    from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator

    deploy(workflow_id, wanted())
    Task(
        lambda: SixtyfourRunWorkflowOperator(
            task_id="run", workflow_id=workflow_id, webhook_payload=[{"name": "Lead One"}], poll_interval=0.02
        )
    ).run()

    assert emulator.statuses() == ["completed"]


# Deleting


def delete(workflow_id, **more):
    return Task(lambda: SixtyfourDeleteWorkflowOperator(task_id="delete", workflow_id=workflow_id, **more)).run()


def test_deleting_a_workflow_keeps_its_runs(emulator, workflow, logs):
    job_id = emulator.completed_run(workflow)

    delete(workflow)

    assert workflow not in [one["id"] for one in emulator.api("GET", "/workflows")]
    assert job_id in [run["job_id"] for run in emulator.runs()]
    assert f"Deleted the workflow. Workflow {workflow}." in logs


def test_deleting_what_is_not_there(emulator, workflow_id, logs):
    delete(workflow_id)

    assert f"There is no such workflow; nothing was deleted. Workflow {workflow_id}." in logs
    with pytest.raises(AirflowFailException, match=f"answered 404: .* While deleting workflow {workflow_id}"):
        delete(workflow_id, ignore_missing=False)
