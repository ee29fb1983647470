"""A few rows go first: they show what the rest will cost and how good it will be, and are paid for once."""

import csv
import io
from itertools import chain, pairwise
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, Asset

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.operators.batches import SixtyfourSplitInputOperator, split_input
from airflow_provider_sixtyfour.operators.costs import SixtyfourEstimateCostOperator
from airflow_provider_sixtyfour.operators.pilot import SixtyfourPilotOperator
from airflow_provider_sixtyfour.task_groups.enrichment import sixtyfour_enrichment
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.fixture
def many(tmp_path):
    """Batches of 250 rows, after a pilot of 100: 5,000 rows."""
    leads = tmp_path / "many.csv"
    rows = (f"Lead {number},Example {number},{'Nick' if number % 3 == 0 else ''}\n" for number in range(5000))
    leads.write_text("name,company_name,nickname\n" + "".join(rows))
    sent = f"file://{tmp_path}/sent"
    return list(split_input(source=f"file://{leads}", destination=sent, batch_rows=490, pilot_rows=100))


@pytest.fixture
def trying(reading_workflow, folder):
    """Make tasks that enrich a pilot."""

    def task(batches, **given):
        arguments = {
            "workflow_id": reading_workflow,
            "destination": f"file://{folder}",
            "batches": batches,
            "poll_interval": 0.02,
            **given,
        }
        return Task(lambda: SixtyfourPilotOperator(task_id="pilot", **arguments))

    return task


@pytest.fixture
def estimated(reading_workflow, folder):
    def run(batches, pilot):
        given = {"workflow_id": reading_workflow, "destination": f"file://{folder}", "batches": batches, "pilot": pilot}
        return Task(lambda: SixtyfourEstimateCostOperator(task_id="estimate", **given)).run()

    return run


@pytest.mark.parametrize("deferrable", [False, True], ids=["waiting", "deferred"])
def test_100_of_5000_rows_show_the_price_of_the_rest_and_are_paid_for_once(
    emulator, trying, enriching, estimated, many, logs, deferrable
):
    assert [batch["rows"] for batch in many] == [100, *[490] * 10]

    pilot = trying(many, deferrable=deferrable).run()
    assert len(emulator.runs()) == 1
    estimate = estimated(many, pilot)
    rest = [enriching(source=batch).run() for batch in many]

    assert rest[0]["job_id"] == pilot["job_id"]
    listed = [run for run in emulator.runs() if run["workflow_id"] == pilot["workflow_id"]]
    assert len(listed) == 11
    used = sum(result["metrics"]["credits_used"] for result in rest)
    of_rest = used - pilot["metrics"]["credits_used"]
    assert (estimate["rows"], estimate["rows_done"], estimate["done"]) == (4900, 100, [0])
    assert estimate["cost"]["median"] == pytest.approx(of_rest, rel=0.1)
    assert estimate["spent"] == pilot["metrics"]["credits_used"]
    assert "a row in the pilot" in logs
    assert estimate["pilot"]["rows"] == 100
    assert estimate["pilot"]["fill_rates"]["name"] == 1.0


def filled(result, column):
    """Return the share of a column that is filled, as the landed file has it."""
    text = Path(result["files"][0]["path"].removeprefix("file://")).read_text()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    return sum(bool(row[column]) for row in rows) / len(rows)


@pytest.mark.parametrize("deferrable", [False, True], ids=["waiting", "deferred"])
def test_a_low_fill_rate_stops_the_rest_and_clearing_pays_for_nothing_again(emulator, trying, many, deferrable):
    rate = filled(trying(many).run(), "nickname")
    assert rate == 0.34
    before = len(emulator.runs())

    task = trying(many, min_fill_rate={"nickname": rate + 0.001}, deferrable=deferrable)
    with pytest.raises(AirflowFailException, match=r"^The pilot has too few values: nickname 34\.0%"):
        task.run()
    trying(many, min_fill_rate={"nickname": str(rate)}, deferrable=deferrable).run()

    assert len(emulator.runs()) == before == 1


def test_a_low_fill_rate_of_a_fresh_run_fails_after_its_files_have_landed(trying, many, folder):
    task = trying(many, min_fill_rate={"name": 1.0, "no such column": 0.1}, deferrable=True)
    with pytest.raises(AirflowFailException, match="min_fill_rate names 'no such column'"):
        task.run()

    assert (folder / "many-00000" / "_manifest.json").exists()


def test_without_a_batch_there_is_nothing_to_try(emulator, trying, logs):
    assert trying([]).run() is None
    assert emulator.runs() == []
    assert "There is no batch to try" in logs


def test_a_dry_run_looks_at_nothing(emulator, trying, many):
    assert trying(many, validate_only=True, min_fill_rate={"email": 1}).run()["job_id"] is None
    assert emulator.runs() == []


@pytest.mark.parametrize("batches", ["x", 7, [{"path": "x"}], {"rows": 1}], ids=str)
def test_what_are_no_batches(trying, batches):
    with pytest.raises(AirflowFailException, match=r"^batches (should be|has something without)"):
        trying(batches).run()


def test_the_first_run_has_no_price_and_may_start_but_a_known_one_is_held_to(emulator, trying, many, tmp_path):
    first = trying(many, max_credits=0.5).run()
    assert first["job_id"]

    with pytest.raises(AirflowFailException, match="above max_credits"):
        trying(many, max_credits=0.5, destination=f"file://{tmp_path}/other").run()
    assert len(emulator.runs()) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_fill_rate": {"email": 30}}, "min_fill_rate should give shares from 0 to 1"),
        ({"min_fill_rate": 0.3}, "min_fill_rate should give shares"),
        ({"max_credits": "x"}, "max_credits should be a number of credits"),
        ({"format": "xml"}, "format should be one of"),
    ],
    ids=str,
)
def test_wrong_parameters_in_the_dag_file_are_found_when_it_is_read(given, message):
    with pytest.raises(AirflowFailException, match=message):
        SixtyfourPilotOperator(task_id="p", workflow_id="w", destination="file:///x", batches="{{ 1 }}", **given)


@pytest.mark.parametrize("rows", [0, -1, "many", True, 100_001, 1.5], ids=str)
def test_what_is_no_number_of_pilot_rows(leads, tmp_path, rows):
    with pytest.raises(SixtyfourInputError, match="pilot_rows should be a whole number"):
        split_input(source=f"file://{leads}", destination=f"file://{tmp_path}/sent", pilot_rows=rows)


@pytest.mark.parametrize(
    ("pilot_rows", "sizes"), [(1, [1, 2, 2]), (2, [2, 2, 1]), (3, [2, 2, 1]), (None, [2, 2, 1])], ids=str
)
def test_the_pilot_is_the_first_batch_and_no_row_is_lost(leads, tmp_path, pilot_rows, sizes):
    sent = f"file://{tmp_path}/sent"
    batches = list(split_input(source=f"file://{leads}", destination=sent, batch_rows=2, pilot_rows=pilot_rows))

    assert [batch["rows"] for batch in batches] == sizes
    rows = [Path(batch["path"].removeprefix("file://")).read_text().splitlines()[1:] for batch in batches]
    assert list(chain.from_iterable(rows)) == leads.read_text().splitlines()[1:]


def tasks(**arguments):
    given = {"workflow_id": "w", "source": "file:///x.csv", "destination": "file:///y"}
    with DAG("d", schedule=None) as dag:
        sixtyfour_enrichment(group_id="leads", **{**given, **arguments})
    return {task_id.removeprefix("leads."): task for task_id, task in dag.task_dict.items()}


def test_the_tasks_of_a_group_with_a_pilot_and_a_budget():
    found = tasks(pilot_rows=100, min_fill_rate={"email": 0.3}, max_credits=5, approve_above_rows=1)

    assert set(found) == {"split", "pilot", "estimate", "budget", "approve", "enrich", "collect"}
    order = ["split", "pilot", "estimate", "budget", "approve", "enrich", "collect"]
    for before, after in pairwise(order):
        assert f"leads.{before}" in found[after].upstream_task_ids
    assert (found["pilot"].min_fill_rate, found["pilot"].max_credits) == ({"email": 0.3}, 5)
    assert found["split"].pilot_rows == 100
    assert found["pilot"].deferrable


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_fill_rate": {"email": 0.3}}, "min_fill_rate is given without pilot_rows"),
        ({"pilot_rows": 1, "enrich": {"overwrite": True}}, "the pilot's rows would be paid for twice"),
        ({"workflow_id": None, "bulk": {"kind": "people"}, "pilot_rows": 1}, "pilot_rows is for a workflow"),
        ({"workflow_id": None, "bulk": {"kind": "people"}, "max_credits": 1}, "max_credits is for a workflow"),
    ],
    ids=str,
)
def test_what_a_group_refuses(arguments, message):
    with pytest.raises(SixtyfourInputError, match=message):
        tasks(**arguments)


def test_a_dry_run_of_a_group_tries_nothing():
    assert set(tasks(pilot_rows=1, max_credits=1, validate_only=True)) == {"split", "enrich", "collect"}


def test_the_first_batch_announces_its_results_once():
    found = tasks(pilot_rows=1, enrich={"outlets": [Asset("leads")]})

    assert found["pilot"].outlets == []


def test_a_number_of_pilot_rows_that_is_missing_makes_no_pilot_of_a_whole_batch(leads, tmp_path):
    task = Task(
        lambda: SixtyfourSplitInputOperator(
            task_id="split", source=f"file://{leads}", destination=f"file://{tmp_path}/sent", pilot_rows="{{ none }}"
        )
    )
    for rendered in (None, "None", ""):
        operator = task.operator()
        operator.pilot_rows = rendered
        with pytest.raises(AirflowFailException, match="pilot_rows"):
            operator.execute(task.context)


def test_a_minimum_that_renders_to_none_is_logged_and_an_empty_one_is_an_error(trying, many, logs):
    trying(many, min_fill_rate="{{ none }}").run()
    assert "min_fill_rate is empty, so any results are good enough" in logs

    with pytest.raises(AirflowFailException, match="min_fill_rate should give shares"):
        trying(many, min_fill_rate="{{ '' }}").run()
