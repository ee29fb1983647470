"""A run that failed is paid for again at each retry, unless the user has turned that off."""

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.exceptions import SixtyfourRunFailedError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.operators.bulk import SixtyfourBulkEnrichOperator
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from tests.unit.conftest import ROWS
from tests.unit.standins import StateStore, Task

pytestmark = pytest.mark.usefixtures("no_pauses")
OPERATORS = ("run", "enrich", "bulk")
BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
BAD_ENDS = ("failed", "cancelled", "timeout")


@pytest.fixture
def task(emulator, workflow, reading_workflow, batches, folder, tmp_path):
    """Make tasks of each operator, with and without a store for their record."""
    of = {
        "run": (SixtyfourRunWorkflowOperator, {"workflow_id": workflow, "webhook_payload": ROWS}),
        "enrich": (
            SixtyfourEnrichOperator,
            {"workflow_id": reading_workflow, "source": batches[0], "destination": f"file://{folder}"},
        ),
        "bulk": (
            SixtyfourBulkEnrichOperator,
            {
                "kind": "people",
                "source": batches[0],
                "struct": {"title": "Job title"},
                "destination": f"file://{folder}",
            },
        ),
    }

    def make(name, *, has_store=True, **arguments):
        operator, given = of[name]
        given = {"task_id": name, "poll_interval": 0.02, "retry_failed_runs": False, **given, **arguments}
        return Task(lambda: operator(**given), store=StateStore(tmp_path / f"{name}.json") if has_store else None)

    return make


@BOTH_MODES
@pytest.mark.parametrize("status", BAD_ENDS)
@pytest.mark.parametrize("name", OPERATORS)
def test_a_run_that_failed_fails_the_task_at_once(emulator, task, name, status, deferrable):
    emulator.plan(seconds=0.05, status=status, error_message="no source answers")

    with pytest.raises(
        AirflowFailException, match=r"no source answers\. It is not retried, as retry_failed_runs"
    ) as failed:
        task(name, deferrable=deferrable).run()

    assert "a clear of this task starts a new run" in str(failed.value)
    assert len(emulator.runs()) == 1


@pytest.mark.parametrize("has_store", [True, False], ids=["store", "no store"])
@pytest.mark.parametrize("name", OPERATORS)
def test_a_try_that_finds_a_failed_run_does_not_pay_for_another(emulator, task, name, has_store):
    """The worker that was to fail the task was lost, so Airflow has made another try."""
    emulator.plan(seconds=0.05, status="failed")
    one = task(name, has_store=has_store, retry_failed_runs=True)
    with pytest.raises(SixtyfourRunFailedError):
        one.run()

    one.make, one.ti.try_number = task(name).make, 2
    with pytest.raises(AirflowFailException):
        one.run()

    assert len(emulator.runs()) == 1


@pytest.mark.parametrize("name", OPERATORS)
def test_a_try_that_finds_that_a_lost_answer_was_of_a_failed_run(emulator, task, name):
    emulator.plan(seconds=0, status="failed")
    path = "/bulk-intelligence/people" if name == "bulk" else "/workflows/run"
    emulator.fault("drop", method="POST", path=path, when="after", times=20)
    with pytest.raises(SixtyfourUnavailableError):
        task(name).run()
    emulator.clear()

    again = task(name)
    again.ti.try_number = 2
    with pytest.raises(AirflowFailException):
        again.run()

    assert len(emulator.runs()) == 1


@pytest.mark.parametrize("name", OPERATORS)
def test_a_clear_starts_a_new_run(emulator, task, name):
    emulator.plan(seconds=0.05, status="failed")
    with pytest.raises(AirflowFailException):
        task(name).run()

    cleared = task(name)
    cleared.ti.try_number, cleared.ti.max_tries = 2, cleared.ti.max_tries + 1
    cleared.run()

    assert [run["status"] for run in emulator.runs()] == ["failed", "completed"]


@pytest.mark.parametrize("name", OPERATORS)
def test_an_outage_is_retried_all_the_same(emulator, task, name):
    emulator.fault("answer", method="POST", status=503, body="down", times=None)

    with pytest.raises(SixtyfourUnavailableError):
        task(name).run()


@pytest.mark.parametrize("name", OPERATORS)
def test_by_default_each_retry_starts_another(emulator, task, name):
    for _ in range(2):
        emulator.plan(seconds=0.05, status="failed")
    for number in (1, 2):
        one = task(name, retry_failed_runs=True)
        one.ti.try_number = number
        with pytest.raises(SixtyfourRunFailedError, match="A retry or a clear of this task starts a new run"):
            one.run()

    assert len(emulator.runs()) == 2
