"""Specs for a run alone: what the workflow's first block doesn't have is named in the log before the run starts."""

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from tests.unit.conftest import ROWS
from tests.unit.standins import Task


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "leads.csv"
    path.write_text("name,company_name\nLead One,Example Bakery\n")
    return f"file://{path}"


@pytest.fixture
def enrich(emulator, source, tmp_path):
    """Enrich a file by a workflow that begins with read_csv, which takes any specs; return the run's body."""

    def run(override):
        given = {"source": source, "destination": f"file://{tmp_path}/landed", "specs_override": override}
        workflow = emulator.store_workflow("company_enrichment", source="read_csv")
        Task(lambda: SixtyfourEnrichOperator(task_id="e", workflow_id=workflow, poll_interval=0.02, **given)).run()
        return emulator.bodies()[0]["specs_override"]

    return run


def warnings(logs):
    return [text for text in logs.texts() if text.startswith("Unknown in specs_override")]


def test_an_unknown_spec_is_named_with_the_one_that_may_be_meant_and_sent(enrich, logs):
    assert {"datafame_type": "LEAD", "colour": "red"}.items() <= enrich(
        {"datafame_type": "LEAD", "colour": "red"}
    ).items()

    [warning] = warnings(logs)
    assert warning.startswith(
        "Unknown in specs_override: 'datafame_type' (did you mean 'dataframe_type'?), 'colour'. The first block, "
        "'read_csv', has no such specs. Workflow "
    )


@pytest.mark.parametrize(
    "override", [None, {}, {"dataframe_type": "COMPANY"}, json.dumps({"dataframe_type": "COMPANY"})]
)
def test_known_specs_are_no_matter(enrich, logs, override):
    enrich(override)

    assert warnings(logs) == []


def test_what_needs_no_look_at_the_blocks_costs_no_request(emulator, enrich):
    enrich(None)

    assert emulator.asked("GET", "/workflows/blocks") == []


def test_the_operator_that_runs_a_workflow_warns_too(emulator, workflow, logs):
    given = {"webhook_payload": ROWS, "specs_override": {"webhook_inputs": "x"}}

    with pytest.raises(AirflowFailException, match="webhook_inputs"):  # this block takes no others
        Task(lambda: SixtyfourRunWorkflowOperator(task_id="r", workflow_id=workflow, **given)).run()

    [warning] = warnings(logs)
    assert warning.startswith("Unknown in specs_override: 'webhook_inputs' (did you mean 'webhook_input'?). The first ")


@pytest.mark.parametrize("path", ["/workflows/blocks", "/workflows/[0-9a-f-]{36}"])
def test_where_the_workflow_or_the_list_of_blocks_may_not_be_read_nothing_is_known(emulator, enrich, logs, path):
    emulator.fault("answer", method="GET", path=path, status=403, body={"detail": "no"}, times=1)

    enrich({"colour": "red"})

    assert warnings(logs) == []
