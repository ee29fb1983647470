"""What an enrichment will cost, before it is paid for: from the workflow's runs, for the rows that are not yet done."""

import threading
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.operators.costs import SixtyfourEstimateCostOperator, estimate_cost
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.fixture
def estimating(reading_workflow, folder):
    """Make tasks that estimate the workflow which `enriching` runs."""

    def task(**arguments):
        given = {"workflow_id": reading_workflow, "destination": f"file://{folder}", **arguments}
        return Task(lambda: SixtyfourEstimateCostOperator(task_id="estimate", **given))

    return task


def test_it_is_what_the_runs_so_far_have_cost(emulator, enriching, estimating, reading_workflow, batches, logs):
    for batch in batches:
        enriching(source=batch).run()
    runs = emulator.api("GET", f"/workflows/runs?workflow_id={reading_workflow}")
    used = [run["metrics"]["credits_used"] / run["metrics"]["rows_in"] for run in runs]

    value = estimating(rows=1000).run()

    assert value["per_row"] == {"median": used[0], "lowest": min(used), "highest": max(used)}
    assert value["cost"]["median"] == pytest.approx(1000 * used[0])
    assert (value["rows"], value["rows_done"], value["batches"], value["runs"]) == (1000, 0, None, 3)
    assert value["balance"] == emulator.api("GET", "/check-balance")["credits"]
    assert f"Estimate: {1000 * used[0]:,.2f}".rstrip("0").rstrip(".") in logs
    assert "credits_used" in logs


def test_batches_whose_results_are_there_cost_nothing(emulator, enriching, estimating, batches):
    enriching(source=batches[0]).run()
    before = len(emulator.runs())

    value = estimating(batches=batches).run()

    assert (value["rows"], value["rows_done"], value["batches"], value["batches_done"]) == (3, 2, 2, 1)
    assert len(emulator.runs()) == before
    assert emulator.asked("POST", "/storage/csv/upload") == emulator.asked("POST", "/storage/csv/upload")[:1]


@pytest.mark.parametrize(
    "other", [{"output_format": "parquet"}, {"specs_override": {"x": 1}}, {"files": "all"}], ids=str
)
def test_with_other_options_the_same_batch_is_other_work(enriching, estimating, batches, other):
    enriching(source=batches[0]).run()

    assert estimating(batches=batches, **other).run()["rows_done"] == 0


def test_a_batch_whose_files_are_missing_is_paid_for_again(enriching, estimating, batches, folder):
    summary = enriching(source=batches[0]).run()
    [file] = summary["files"]
    Path(file["path"].removeprefix("file://")).unlink()

    assert estimating(batches=batches).run()["rows_done"] == 0


def test_with_overwrite_all_is_paid_for_again(enriching, estimating, batches):
    enriching(source=batches[0]).run()

    assert estimating(batches=batches, overwrite=True).run()["rows"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Give rows, a number, or batches"),
        ({"batches": "{{ 1 }}"}, "Give destination with batches"),
    ],
    ids=str,
)
def test_wrong_parameters_in_the_dag_file_are_found_when_it_is_read(arguments, message):
    with pytest.raises(AirflowFailException, match=message):
        SixtyfourEstimateCostOperator(task_id="estimate", workflow_id="w", **arguments)


def test_what_is_all_done_costs_nothing(enriching, estimating, batches, logs):
    for batch in batches:
        enriching(source=batch).run()

    value = estimating(batches=[batches]).run()  # in any nesting

    assert (value["rows"], value["rows_done"], value["cost"]["highest"]) == (0, 5, 0.0)
    assert "Nothing is to be paid for: 5 rows are done." in logs


def test_without_a_completed_run_there_is_no_estimate(emulator, estimating, logs):
    value = estimating(rows=10).run()

    assert (value["per_row"], value["cost"], value["runs"]) == (None, None, 0)
    assert "No estimate for 10 rows: the workflow has no completed run with credits_used and rows_in" in logs


def test_without_that_metric_the_available_names_are_logged(enriching, estimating, batches, logs):
    enriching(source=batches[0]).run()

    assert estimating(rows=10, cost_metric="tokens").run()["cost"] is None
    assert "cost_cents, credits_used, rows_in, rows_out" in logs


def test_a_server_without_a_balance(emulator, estimating):
    emulator.fault("answer", path="/check-balance", status=404, body='{"detail": "Not Found"}', times=None)

    assert estimating(rows=1).run()["balance"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": 1, "batches": []}, "Give rows, a number, or batches"),
        ({"rows": -1}, "rows should be a number"),
        ({"rows": "many"}, "rows should be a number"),
        ({"rows": True}, "rows should be a number"),
        ({"rows": 5.5}, "rows should be a number"),
        ({"rows": ""}, "rows should be a number"),
        ({"batches": [{"path": "x"}]}, "batches has something without 'rows'"),
        ({"batches": 7}, "batches should be what the operators return"),
        ({"rows": 1, "format": "xml"}, "format should be one of"),
        ({"rows": 1, "workflow_id": "../x"}, "workflow_id"),
    ],
    ids=str,
)
def test_invalid_arguments(emulator, estimating, arguments, message):
    with pytest.raises(AirflowFailException, match=message):
        estimating(**arguments).run()

    assert emulator.requests() == []


def test_an_outage_is_tried_again(emulator, estimating):
    emulator.fault("answer", path="/workflows/runs", status=503, body="down", times=None)

    with pytest.raises(SixtyfourUnavailableError):
        estimating(rows=1).run()


def test_the_function_gives_the_same(emulator, enriching, estimating, batches, reading_workflow, folder):
    enriching(source=batches[0]).run()
    arguments = {"workflow_id": reading_workflow, "batches": batches, "destination": f"file://{folder}"}

    assert estimate_cost(**arguments) == estimating(batches=batches).run()
    with pytest.raises(SixtyfourInputError):
        estimate_cost(workflow_id=reading_workflow)


def test_no_thread_looks_for_the_client_of_a_store(estimating, batches, monkeypatch):
    """It asks Airflow for a connection, through a channel that is the task's alone."""
    from airflow_provider_sixtyfour.storage import object_paths
    from airflow_provider_sixtyfour.tasks import batch_input

    asked = []
    find = object_paths.object_storage_path

    def noted(value, name):
        asked.append(threading.current_thread())
        return find(value, name)

    monkeypatch.setattr(batch_input, "object_storage_path", noted)

    estimating(batches=batches).run()

    assert len(asked) >= len(batches)
    assert set(asked) == {threading.main_thread()}
