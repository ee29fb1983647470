"""Every run that a task starts, continues with, or sees to its end, is counted once, in whichever process that is."""

import asyncio
import json
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.triggers.base import BaseTrigger

from airflow_provider_sixtyfour.exceptions import (
    SixtyfourRunFailedError,
    SixtyfourTimeoutError,
    SixtyfourTransferError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.hooks import metrics
from airflow_provider_sixtyfour.operators.bulk import SixtyfourBulkEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourCancelRunOperator, SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.runs.cancel import Answer, Cancellation
from airflow_provider_sixtyfour.runs.status import RunOutcome
from airflow_provider_sixtyfour.sensors.sixtyfour import SixtyfourRunSensor
from airflow_provider_sixtyfour.tasks import task_state
from airflow_provider_sixtyfour.tasks.run_metrics import RunMetrics
from airflow_provider_sixtyfour.triggers.sixtyfour import SixtyfourRunTrigger
from tests.unit.conftest import ROWS, until
from tests.unit.metrics import BrokenSink, Sink
from tests.unit.operators.test_sixtyfour_durability import killed_at
from tests.unit.standins import StateStore, Task

pytestmark = pytest.mark.usefixtures("no_pauses")
BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
WITH_AND_WITHOUT_STORE = pytest.mark.parametrize("has_store", [True, False], ids=["store", "no store"])


@pytest.fixture
def sink(monkeypatch):
    found = Sink()
    monkeypatch.setattr(metrics, "_stats", lambda: found)
    yield found
    table = {(one.kind.value, one.name): one.tags for one in metrics.METRICS}
    for one in found.sent:
        assert set(one.tags) == set(table[one.kind, one.name]), f"{one} is not in the table"


@pytest.fixture
def task(workflow):
    """Make a task of the run operator, with a store by default."""

    def make(*, has_store=True, identity=None, **arguments):
        given = {
            "workflow_id": workflow,
            "webhook_payload": ROWS,
            "poll_interval": 0.02,
            "deferrable": False,
            **arguments,
        }
        return Task(
            lambda: SixtyfourRunWorkflowOperator(task_id="run", **given),
            store=StateStore() if has_store else None,
            **(identity or {}),
        )

    return make


# From the start to the end


@BOTH_MODES
@WITH_AND_WITHOUT_STORE
def test_a_run_that_completes_is_counted_once_with_what_it_has_used(
    emulator, workflow, task, sink, deferrable, has_store
):
    task(deferrable=deferrable, has_store=has_store).run()

    assert sink.counted() == {"started": 1, "completed": 1}
    assert (sink.values("sixtyfour.rows"), sink.values("sixtyfour.credits")) == ([2], [2])
    [duration] = sink.values("sixtyfour.run_duration")
    assert timedelta(0) < duration < timedelta(seconds=10)
    of_runs = [one for one in sink.sent if not one.name.startswith(("sixtyfour.api.", "sixtyfour.poller."))]
    assert {json.dumps(one.tags, sort_keys=True) for one in of_runs} == {
        json.dumps({"conn_id": "sixtyfour_default", "workflow_id": workflow})
    }


@BOTH_MODES
def test_a_batch_is_counted_once_with_its_landing(enriching, sink, leads, deferrable):
    enriching(source=f"file://{leads}", deferrable=deferrable).run()

    assert sink.counted() == {"started": 1, "completed": 1}
    assert (sink.values("sixtyfour.rows"), sink.values("sixtyfour.credits")) == ([5], [5])
    assert len(sink.values("sixtyfour.run_duration")) == 1


@BOTH_MODES
def test_a_run_that_fails_is_counted_once_as_failed(emulator, task, sink, deferrable):
    emulator.plan(seconds=0, fail_block=1, error_message="odd")

    with pytest.raises(SixtyfourRunFailedError):
        task(deferrable=deferrable).run()

    assert sink.counted() == {"started": 1, "failed": 1}


@BOTH_MODES
def test_a_run_that_is_cancelled_at_its_deadline_is_counted_as_cancelled(emulator, task, sink, deferrable):
    emulator.plan(seconds=1000)

    with pytest.raises(SixtyfourTimeoutError):
        task(deferrable=deferrable, timeout=0.3).run()

    assert emulator.statuses() == ["cancelled"]
    assert sink.counted() == {"started": 1, "cancelled": 1}


def test_a_run_that_somebody_else_cancels_has_failed(emulator, task, sink):
    emulator.plan(seconds=1000)
    one = task(deferrable=True)
    deferral = one.defer()
    emulator.set_status(one.ti.xcoms["job_id"], "cancelled")
    event = {"job_id": "j", "ended": {"job_id": "j", "status": "cancelled"}}

    with pytest.raises(SixtyfourRunFailedError):
        one.resume(deferral, event)

    assert sink.counted() == {"started": 1, "failed": 1}


def test_a_run_that_is_not_waited_for_is_started_and_no_more(task, sink):
    task(wait_for_completion=False).run()

    assert sink.counted() == {"started": 1}


def test_a_batch_that_is_done_and_a_dry_run_count_nothing(enriching, sink, leads):
    enriching(source=f"file://{leads}").run()
    before = sink.counted()

    enriching(source=f"file://{leads}").run()
    enriching(source=f"file://{leads}", validate_only=True, overwrite=True).run()

    assert sink.counted() == before


# Retries


@BOTH_MODES
@WITH_AND_WITHOUT_STORE
def test_a_retry_that_reattaches_starts_nothing(emulator, task, sink, monkeypatch, deferrable, has_store):
    emulator.plan(seconds=1000)
    one = task(deferrable=True, has_store=has_store)
    deferral = one.defer()
    lost = {"job_id": one.ti.xcoms["job_id"], "broken": "the triggerer has a bug"}
    with pytest.raises(Exception, match="the triggerer has a bug"):
        one.resume(deferral, lost)
    emulator.set_status(one.ti.xcoms["job_id"], "completed")

    one.retry()

    assert sink.counted() == {"started": 1, "reattached": 1, "completed": 1}


@WITH_AND_WITHOUT_STORE
def test_a_lost_answer_to_the_first_request_is_no_reattachment(emulator, task, sink, has_store):
    emulator.fault("drop", path="/workflows/run", when="after")

    task(has_store=has_store).run()

    assert len(emulator.runs()) == 1
    assert sink.counted() == {"started": 1, "completed": 1}


def test_a_worker_that_is_lost_before_it_has_recorded_the_run(emulator, task, sink):
    one = task()

    killed_at(one, ("before", 2))
    one.retry()

    assert len(emulator.runs()) == 1
    assert sink.counted() == {"started": 1, "reattached": 1, "completed": 1}


def test_a_retry_after_a_failed_run_starts_another(emulator, task, sink):
    emulator.plan(seconds=0, fail_block=1, error_message="odd", times=1)
    one = task()
    with pytest.raises(SixtyfourRunFailedError):
        one.run()

    one.retry()

    assert sink.counted() == {"started": 2, "failed": 1, "completed": 1}


def test_a_clear_counts_the_run_that_it_cancels(emulator, task, sink):
    emulator.plan(seconds=1000, times=1)
    one = task(deferrable=True)
    one.defer()

    one.clear()

    assert emulator.statuses() == ["cancelled", "completed"]
    assert sink.counted() == {"started": 2, "cancelled": 1, "completed": 1}


@BOTH_MODES
@WITH_AND_WITHOUT_STORE
def test_a_landing_that_is_tried_again_counts_the_run_once(emulator, enriching, sink, leads, deferrable, has_store):
    one = enriching(source=f"file://{leads}", deferrable=deferrable, has_store=has_store)
    emulator.fault("reset", where="storage", times=100)
    with pytest.raises(SixtyfourTransferError):
        one.run()
    with pytest.raises(SixtyfourTransferError):
        one.retry()
    assert sink.counted() == {"started": 1, "reattached": 1, "completed": 1}
    emulator.clear()

    one.retry()

    assert sink.counted() == {"started": 1, "reattached": 2, "completed": 1}
    assert (sink.values("sixtyfour.rows"), sink.values("sixtyfour.credits")) == ([5], [5])


# Cancelled elsewhere than by the task that waits


@pytest.mark.skipif(not hasattr(BaseTrigger, "on_kill"), reason="3.3 is the first Airflow that calls it")
def test_a_cancellation_in_the_triggerer_is_counted_there(emulator, workflow, task, sink, monkeypatch):
    async def marked(*_):
        return "failed", True

    monkeypatch.setattr(task_state, "read_in_triggerer", marked)
    monkeypatch.setattr("airflow_provider_sixtyfour.triggers.sixtyfour.read_in_triggerer", marked)
    emulator.plan(seconds=1000)
    trigger = task(deferrable=True).defer().trigger

    asyncio.run(trigger.on_kill())

    assert emulator.statuses() == ["cancelled"]
    assert sink.counted() == {"started": 1, "cancelled": 1}
    [cancelled] = [one for one in sink.sent if one.name == "sixtyfour.runs_cancelled"]
    assert cancelled.tags == {"conn_id": "sixtyfour_default", "workflow_id": workflow}


def test_the_cancel_operator_counts_what_it_cancels(emulator, workflow, sink):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    one = Task(lambda: SixtyfourCancelRunOperator(task_id="cancel", job_id=job_id))

    one.run()
    one.run()  # it has ended already

    assert sink.counted() == {"cancelled": 1}
    assert {one.tags["workflow_id"] for one in sink.sent if one.name == "sixtyfour.runs_cancelled"} == {workflow}


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (Cancellation("j", Answer.ACCEPTED), {"cancelled": 1}),
        (Cancellation("j", Answer.ACCEPTED, RunOutcome("j", "cancelled")), {"cancelled": 1}),
        (Cancellation("j", Answer.ACCEPTED, RunOutcome("j", "completed")), {}),
        (Cancellation("j", Answer.ENDED_ALREADY, RunOutcome("j", "failed")), {"failed": 1}),
        (Cancellation("j", Answer.ENDED_ALREADY, RunOutcome("j", "completed")), {}),
        (Cancellation("j", Answer.ENDED_ALREADY), {}),
        (Cancellation("j", Answer.UNKNOWN), {}),
    ],
    ids=str,
)
def test_what_is_counted_of_a_cancellation(sink, outcome, counted):
    RunMetrics("c", "w").stopped(outcome)

    assert sink.counted() == counted


def test_a_sensor_counts_no_run_since_none_is_its_own(emulator, workflow, sink):
    job_id = emulator.completed_run(workflow)

    Task(lambda: SixtyfourRunSensor(task_id="wait", job_id=job_id, poll_interval=0.02, deferrable=True)).run()

    assert sink.counted() == {}
    assert sink.counted("sixtyfour.api.")["requests"] > 0


# Bulk jobs


@BOTH_MODES
def test_a_bulk_job_is_counted_by_its_kind_and_with_its_charge(emulator, leads, folder, sink, deferrable):
    given = {"source": f"file://{leads}", "destination": f"file://{folder}", "struct": {"title": "Job title"}}

    Task(
        lambda: SixtyfourBulkEnrichOperator(
            task_id="bulk", kind="people", poll_interval=0.02, deferrable=deferrable, **given
        ),
        store=StateStore(),
    ).run()

    assert sink.counted() == {"started": 1, "completed": 1}
    assert (sink.values("sixtyfour.charge_cents"), sink.values("sixtyfour.rows")) == ([25], [5])
    assert len(sink.values("sixtyfour.run_duration")) == 1
    assert {one.tags["workflow_id"] for one in sink.sent if "workflow_id" in one.tags} == {"bulk"}


def test_a_bulk_job_over_its_limit_is_counted_as_cancelled(emulator, leads, folder, sink):
    emulator.plan(seconds=1000)
    given = {"source": f"file://{leads}", "destination": f"file://{folder}", "max_cost_cents": 1}

    with pytest.raises(AirflowFailException):
        Task(lambda: SixtyfourBulkEnrichOperator(task_id="bulk", kind="people", **given), store=StateStore()).run()

    assert sink.counted() == {"started": 1, "cancelled": 1}


# Requests


@BOTH_MODES
def test_every_request_is_counted(emulator, task, sink, deferrable):
    task(deferrable=deferrable).run()

    assert sink.counted("sixtyfour.api.") == {"requests": len(emulator.requests())}
    assert {one.tags["conn_id"] for one in sink.sent} == {"sixtyfour_default"}


@BOTH_MODES
@pytest.mark.parametrize(
    ("fault", "counted"),
    [
        ({"action": "answer", "status": 429, "body": {"detail": "slow down"}}, {"429": 2}),
        ({"action": "answer", "status": 503, "body": "<html>down</html>"}, {"unavailable": 2}),
        ({"action": "answer", "status": 200, "body": "<html>login</html>"}, {"unavailable": 2}),
        ({"action": "drop"}, {"unavailable": 2}),
        ({"action": "answer", "status": 404, "body": {"detail": "not yet"}}, {}),
    ],
    ids=["429", "503", "unreadable", "no answer", "refused"],
)
def test_what_the_api_answers_is_counted(emulator, task, sink, deferrable, fault, counted):
    emulator.fault(path=".*/live_status", times=2, **fault)

    task(deferrable=deferrable).run()

    counts = sink.counted("sixtyfour.api.")
    assert counts.pop("requests") >= len(emulator.status_checks()) > 2
    assert counts == counted


def test_an_outage_at_the_submission_is_counted(emulator, task, sink, monkeypatch):
    monkeypatch.setattr("airflow_provider_sixtyfour.api.client.ATTEMPTS", 3)
    emulator.fault("answer", path="/workflows/run", status=502, when="before", times=100)

    with pytest.raises(SixtyfourUnavailableError):
        task(identity={"try_number": 4}).run()

    assert sink.counted("sixtyfour.api.")["unavailable"] >= 3
    assert sink.counted() == {}


# The gauge


def test_the_gauge_follows_how_many_runs_a_triggerer_waits_for(emulator, workflow, sink):
    emulator.plan(seconds=1000)
    job_ids = [emulator.start_run(workflow) for _ in range(3)]

    async def wait_for_all():
        triggers = [SixtyfourRunTrigger("sixtyfour_default", job_id, 0.02, None) for job_id in job_ids]
        waits = [asyncio.create_task(anext(trigger.run())) for trigger in triggers]
        await asyncio.to_thread(until, lambda: len(sink.values("sixtyfour.poller.waiting")) == 3)
        waits.pop().cancel()
        for job_id in job_ids:
            await asyncio.to_thread(emulator.set_status, job_id, "completed")
        await asyncio.gather(*waits)

    asyncio.run(wait_for_all())

    assert sink.values("sixtyfour.poller.waiting") == [1, 2, 3, 2, 1, 0]
    assert {one.tags["conn_id"] for one in sink.sent if one.kind == "gauge"} == {"sixtyfour_default"}


# Nothing depends on it


@BOTH_MODES
def test_a_stats_that_fails_affects_no_task(emulator, task, monkeypatch, logs, deferrable):
    broken = BrokenSink()
    monkeypatch.setattr(metrics, "_stats", lambda: broken)
    monkeypatch.setattr(metrics, "_logged", set())

    value = task(deferrable=deferrable).run()

    assert [value] == [run["job_id"] for run in emulator.runs()]
    assert broken.used > 3
    [line] = logs.texts("warning")
    assert line.startswith("A metric could not be sent (RuntimeError: no ")


def test_a_stats_that_cannot_be_imported_affects_no_task(emulator, task, monkeypatch):
    def missing():
        raise ImportError("no statsd")

    monkeypatch.setattr(metrics, "_stats", missing)

    assert task(deferrable=True).run() == emulator.runs()[0]["job_id"]


def test_no_record_that_cannot_be_written_replaces_the_error_of_a_landing(
    emulator, enriching, sink, leads, monkeypatch
):
    one = enriching(source=f"file://{leads}")
    emulator.fault("reset", where="storage", times=100)
    monkeypatch.setattr("airflow_provider_sixtyfour.tasks.run_metrics.recorded", lambda *_: 1 / 0)

    with pytest.raises(SixtyfourTransferError):
        one.run()

    assert sink.counted() == {"started": 1, "completed": 1}


def test_no_id_of_a_run_and_no_secret_is_in_a_name_or_a_tag(emulator, enriching, task, sink, leads):
    task(deferrable=True).run()
    enriching(source=f"file://{leads}").run()

    text = json.dumps([[one.name, one.tags] for one in sink.sent])
    assert emulator.api_key not in text
    assert [run["job_id"] for run in emulator.runs() if run["job_id"] in text] == []
    assert len(emulator.runs()) == 2
