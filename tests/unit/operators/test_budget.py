"""A limit of credits holds: batches that it doesn't pay for are left out and named, and raising it continues."""

import json
import re
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.operators.batches import split_input
from airflow_provider_sixtyfour.operators.budget import SixtyfourBudgetOperator
from airflow_provider_sixtyfour.operators.collect import SixtyfourCollectBatchesOperator
from airflow_provider_sixtyfour.operators.costs import SixtyfourEstimateCostOperator
from airflow_provider_sixtyfour.storage.object_paths import object_storage_path
from airflow_provider_sixtyfour.tasks.started_runs import STARTED_RUNS_FILE, started_runs
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")

ROWS = 5  # of a batch


@pytest.fixture
def twenty(tmp_path):
    """Twenty batches of five rows."""
    leads = tmp_path / "hundred.csv"
    leads.write_text("name,company_name\n" + "".join(f"Lead {number},Example {number}\n" for number in range(100)))
    return list(split_input(source=f"file://{leads}", destination=f"file://{tmp_path}/sent", batch_rows=ROWS))


@pytest.fixture
def price(emulator, enriching, tmp_path):
    """What a row costs, once a run of the workflow has shown it."""
    leads = tmp_path / "first.csv"
    leads.write_text("name,company_name\nLead,Example\nLead 2,Example 2\n")
    metrics = enriching(source=f"file://{leads}", destination=f"file://{tmp_path}/first").run()["metrics"]
    return metrics["credits_used"] / metrics["rows_in"]


@pytest.fixture
def estimated(reading_workflow, folder):
    """Estimate the cost of batches."""

    def run(batches, **given):
        arguments = {"workflow_id": reading_workflow, "destination": f"file://{folder}", "batches": batches, **given}
        return Task(lambda: SixtyfourEstimateCostOperator(task_id="estimate", **arguments)).run()

    return run


@pytest.fixture
def budgeted(estimated):
    """Return the batches within a limit, and the XCom `budget`."""

    def run(batches, **limits):
        estimate = estimated(batches)
        task = Task(lambda: SixtyfourBudgetOperator(task_id="budget", batches=batches, estimate=estimate, **limits))
        return task.run(), task.ti.xcoms

    return run


@pytest.fixture
def collecting(folder):
    def run(batches, results, budget):
        arguments = {"batches": batches, "results": results, "budget": budget, "destination": f"file://{folder}"}
        return Task(lambda: SixtyfourCollectBatchesOperator(task_id="collect", **arguments)).run()

    return run


def test_a_limit_that_is_reached_in_batch_7_of_20_and_then_raised(
    emulator, enriching, budgeted, collecting, twenty, price, logs
):
    before = len(emulator.runs())
    within, xcoms = budgeted(twenty, max_credits=str(7.5 * ROWS * price))
    budget = xcoms["budget"]

    assert [batch["index"] for batch in within] == list(range(7))
    assert (budget["limited_by"], budget["batches_left_out"], budget["rows_left_out"]) == ("max_credits", 13, 65)
    assert (xcoms["estimate"]["rows"], xcoms["estimate"]["cost"]["median"]) == (35, pytest.approx(35 * price))
    assert "max_credits leaves out 13 batches with 65 rows (hundred-00007.csv, hundred-00008.csv" in logs

    results = [enriching(source=batch, budget=budget).run() for batch in within]
    assert len(emulator.runs()) - before == 7
    with pytest.raises(AirflowFailException) as failed:
        collecting(twenty, results, budget)
    message = str(failed.value)
    assert message.startswith("13 of 20 batches have no result: hundred-00007.csv")
    assert "max_credits has left out 13 of them" in message
    assert "65 rows are not yet enriched" in message
    assert f"{35 * price:,.2f}".rstrip("0").rstrip(".") + " of " in message

    assert len(budgeted(twenty, max_credits=10.5 * ROWS * price)[0]) == 10  # what is spent counts
    within, xcoms = budgeted(twenty, max_credits=20 * ROWS * price)
    assert len(within) == 20
    assert xcoms["budget"]["spent"] == pytest.approx(35 * price)
    results = [enriching(source=batch, budget=xcoms["budget"]).run() for batch in within]
    assert len(emulator.runs()) - before == 20
    assert collecting(twenty, results, xcoms["budget"])["rows"] == 100


def test_runs_that_cost_more_than_estimated_stop_the_next(emulator, enriching, budgeted, twenty, price, folder):
    """By what has really been used: the manifests of the batches before record three times as much."""
    within, xcoms = budgeted(twenty[:5], max_credits=5 * ROWS * price)
    first = enriching(source=within[0], budget=xcoms["budget"]).run()
    manifest = Path(first["manifest"].removeprefix("file://"))
    content = json.loads(manifest.read_text())
    content["metrics"]["credits_used"] *= 3
    manifest.write_text(json.dumps(content))
    before = len(emulator.runs())

    enriching(source=within[1], budget=xcoms["budget"]).run()
    with pytest.raises(AirflowFailException, match=r"^The limit of .* would be exceeded: .* No run was started"):
        enriching(source=within[3], budget=xcoms["budget"]).run()

    assert len(emulator.runs()) - before == 1
    assert not (folder / "hundred-00003" / STARTED_RUNS_FILE).exists()


def test_a_negative_cost_leaves_no_more_to_spend(emulator, enriching, budgeted, twenty, price):
    """An API that reports it, as a refund or by mistake, does not raise the limit."""
    within, xcoms = budgeted(twenty[:3], max_credits=2 * ROWS * price)
    first = enriching(source=within[0], budget=xcoms["budget"]).run()
    manifest = Path(first["manifest"].removeprefix("file://"))
    content = json.loads(manifest.read_text())
    content["metrics"]["credits_used"] = -1000
    manifest.write_text(json.dumps(content))

    again, xcoms = budgeted(twenty[:3], max_credits=2 * ROWS * price)

    assert (len(within), len(again), xcoms["budget"]["spent"]) == (2, 3, 0)
    enriching(source=again[1], budget=xcoms["budget"]).run()
    with pytest.raises(AirflowFailException, match=r"^The limit of .* would be exceeded"):
        enriching(source=again[2], budget=xcoms["budget"]).run()


def test_a_failed_run_counts_too(emulator, enriching, budgeted, twenty, price, reading_workflow, folder):
    within, xcoms = budgeted(twenty[:2], max_credits=2 * ROWS * price)
    emulator.plan(workflow_id=reading_workflow, fail_block=2, error_message="no source")
    task = enriching(source=within[0], budget=xcoms["budget"], retries=3)
    with pytest.raises(Exception, match="no source"):
        task.run()
    [(failed, _)] = started_runs(object_storage_path(f"file://{folder}/hundred-00000", "x"))
    [run] = [run for run in emulator.api("GET", "/workflows/runs?limit=500") if run["job_id"] == failed]
    assert run["metrics"]["credits_used"] > 0

    task.retry()  # within the limit still, as nothing was spent before it
    with pytest.raises(AirflowFailException, match="would be exceeded"):
        enriching(source=within[1], budget=xcoms["budget"]).run()


def test_a_run_that_has_completed_and_not_landed_yet_is_not_counted_twice(emulator, enriching, budgeted, twenty, price):
    """As while the trigger's event is on its way to the task."""
    within, xcoms = budgeted(twenty[:2], max_credits=2 * ROWS * price)
    enriching(source=within[0], budget=xcoms["budget"], deferrable=True).defer()
    [job_id] = [run["job_id"] for run in emulator.runs()][-1:]
    emulator.set_status(job_id, "completed")

    assert enriching(source=within[1], budget=xcoms["budget"]).run()["job_id"]


def test_a_completed_run_of_other_work_leaves_the_batch_to_be_paid_for(emulator, enriching, budgeted, twenty, price):
    within, xcoms = budgeted(twenty[:2], max_credits=2.5 * ROWS * price)
    enriching(source=within[0], budget=xcoms["budget"], specs_override={"x": 1}).run()

    with pytest.raises(AirflowFailException, match="would be exceeded"):
        enriching(source=within[1], budget=xcoms["budget"]).run()


def test_a_retry_that_reattaches_is_no_second_run(emulator, enriching, budgeted, twenty, price):
    within, xcoms = budgeted(twenty[:1], max_credits=ROWS * price)
    task = enriching(source=within[0], budget=xcoms["budget"])
    first = task.run()

    assert task.retry()["job_id"] == first["job_id"]


def test_without_a_price_a_limit_starts_nothing(emulator, budgeted, twenty):
    with pytest.raises(AirflowFailException, match="max_credits can't be enforced: no completed run"):
        budgeted(twenty, max_credits=10)

    assert emulator.runs() == []


def test_a_limit_that_pays_for_no_batch_is_an_error(budgeted, twenty, price):
    with pytest.raises(AirflowFailException) as failed:
        budgeted(twenty, max_credits=ROWS * price / 2)

    message = str(failed.value)
    assert re.match(
        r"max_credits leaves out 20 batches with 100 rows \(.*and 15 more\): 0 credits_used are spent", message
    )
    assert "No run was started. Raise max_credits" in message


def test_without_a_limit_all_batches_pass(budgeted, twenty):
    within, xcoms = budgeted(twenty)

    assert within == twenty
    assert (xcoms["budget"]["limit"], xcoms["budget"]["to_pay"]) == (None, [])


def test_a_limit_that_renders_to_none_is_logged_and_an_empty_one_is_an_error(budgeted, twenty, price, logs):
    assert len(budgeted(twenty, max_credits="{{ none }}")[0]) == 20
    assert "max_credits is None, so it limits nothing" in logs

    with pytest.raises(AirflowFailException, match="max_credits should be a number of credits, not ''"):
        budgeted(twenty, max_credits="{{ '' }}")


def test_what_is_all_done_passes_any_limit(enriching, budgeted, twenty, price):
    for batch in twenty[:2]:
        enriching(source=batch).run()

    assert budgeted(twenty[:2], max_credits=0)[0] == twenty[:2]


def test_a_day_has_a_limit_for_all_runs(emulator, budgeted, enriching, twenty, price):
    used = sum(run["metrics"]["credits_used"] for run in emulator.api("GET", "/workflows/runs?limit=500"))

    within, xcoms = budgeted(twenty, max_credits_per_day=used + 3.5 * ROWS * price, max_credits=10**6)

    assert len(within) == 3
    assert xcoms["budget"]["limited_by"] == "max_credits_per_day"


def test_a_balance_that_does_not_suffice_is_an_error_before_anything_is_paid(emulator, estimated, twenty, price):
    estimate = {**estimated(twenty), "balance": 99 * price}
    task = Task(lambda: SixtyfourBudgetOperator(task_id="budget", batches=twenty, estimate=estimate))

    with pytest.raises(AirflowFailException, match=r"^The balance of .* doesn't suffice: 20 batches would take"):
        task.run()

    enough = {**estimate, "balance": 100 * price}
    assert len(Task(lambda: SixtyfourBudgetOperator(task_id="b", batches=twenty, estimate=enough)).run()) == 20


@pytest.mark.parametrize("name", ["max_credits", "max_credits_per_day"])
@pytest.mark.parametrize("value", ["many", -1, float("nan"), True, [1]], ids=str)
def test_a_wrong_limit_is_found_when_the_dag_file_is_read_and_when_the_task_runs(name, value):
    given = {"batches": [], "estimate": {}}
    with pytest.raises(AirflowFailException, match=f"{name} should be a number of credits"):
        SixtyfourBudgetOperator(task_id="budget", **given, **{name: value})


@pytest.mark.parametrize(
    "estimate", [None, "x", {}, {"rows": 1, "cost": None, "metric": "c", "runs": 0}, {"done": [99]}], ids=str
)
def test_what_is_no_estimate_pays_for_nothing(price, twenty, estimate):
    with pytest.raises(AirflowFailException, match="estimate should be what SixtyfourEstimateCostOperator returns"):
        Task(lambda: SixtyfourBudgetOperator(task_id="b", batches=twenty, estimate=estimate, max_credits=1)).run()


def test_one_run_has_a_limit_of_its_own(emulator, enriching, leads, price):
    before = len(emulator.runs())
    with pytest.raises(AirflowFailException, match=r"^The run would take about .* above max_credits"):
        enriching(source=f"file://{leads}", max_credits=4 * price).run()
    assert len(emulator.runs()) == before

    enriching(source=f"file://{leads}", max_credits=5 * price).run()
    assert len(emulator.runs()) == before + 1


def test_one_run_without_a_price_is_not_started(emulator, enriching, leads):
    with pytest.raises(AirflowFailException, match="it isn't known what a row costs in credits_used"):
        enriching(source=f"file://{leads}", max_credits=10**6).run()

    assert emulator.runs() == []


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[1, null]", b'"x"', b"[" * 5000, b"\xff\xfe"], ids=str)
def test_a_list_of_started_runs_that_is_none_counts_for_none(folder, content):
    folder.mkdir()
    (folder / STARTED_RUNS_FILE).write_bytes(content)

    assert started_runs(object_storage_path(f"file://{folder}", "x")) == []
