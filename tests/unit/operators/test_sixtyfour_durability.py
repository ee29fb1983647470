"""A run is paid for once: what a retry, a crash, a Clear and a second deployment do about the run that there is."""

import multiprocessing
import os
import signal
import uuid
from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.exceptions import SixtyfourRunFailedError
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.runs.idempotency import RECORD_VERSION, Request
from airflow_provider_sixtyfour.tasks.submission import RECORD_KEY
from tests.unit.conftest import ROWS, until
from tests.unit.standins import StateStore, Task

pytestmark = pytest.mark.usefixtures("no_pauses")
BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
WITH_AND_WITHOUT_STORE = pytest.mark.parametrize("has_store", [True, False], ids=["store", "derived key"])


@pytest.fixture
def task(workflow, tmp_path):
    """Make a task of the run operator, with a store in a file by default."""

    def make(*, has_store=True, identity=None, **arguments):
        arguments = {"webhook_payload": ROWS, "poll_interval": 0.02, "deferrable": False, **arguments}
        store = StateStore(tmp_path / f"state-{uuid.uuid4()}.json") if has_store else None
        given = {"workflow_id": workflow, **arguments}
        return Task(lambda: SixtyfourRunWorkflowOperator(task_id="run", **given), store=store, **(identity or {}))

    return make


def ids(emulator):
    return [run["job_id"] for run in emulator.runs()]


class Killed(BaseException):
    """The worker dies at this instant: nothing more of the try is done."""


def killed_at(one, moment):
    """Run a try whose worker dies right before or after the n-th write to the store."""
    when, number = moment
    written = 0
    write = one.store.set

    def dying(key, value):
        nonlocal written
        written += 1
        if (when, number) == ("before", written):
            raise Killed
        write(key, value)
        if (when, number) == ("after", written):
            raise Killed

    one.store.set = dying
    with pytest.raises(Killed):
        one.run()
    one.store.set = write


@pytest.mark.parametrize(
    ("moment", "runs_left_behind"),
    [(("before", 1), 0), (("after", 1), 0), (("before", 2), 1), (("after", 2), 1)],
    ids=["before the intent", "before the POST", "before the id is stored", "after it"],
)
@BOTH_MODES
def test_a_worker_that_dies_around_the_submission_pays_once(emulator, task, moment, runs_left_behind, deferrable):
    one = task(deferrable=deferrable)

    killed_at(one, moment)
    assert len(emulator.runs()) == runs_left_behind
    value = one.retry()

    assert ids(emulator) == [value]
    assert one.ti.xcoms["job_id"] == value
    assert emulator.cancels() == []


def dies(one, condition):
    """Run a try in a process of its own, and kill that with SIGKILL once the condition holds."""
    process = multiprocessing.get_context("fork").Process(target=one.run)
    process.start()
    until(condition)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL


@WITH_AND_WITHOUT_STORE
def test_a_worker_killed_while_the_answer_is_on_its_way_pays_once(emulator, task, has_store):
    emulator.fault("delay", method="POST", path="/workflows/run", when="after", delay=30)
    one = task(has_store=has_store)

    dies(one, emulator.runs)
    value = one.retry()

    assert ids(emulator) == [value]


@WITH_AND_WITHOUT_STORE
def test_a_worker_killed_before_the_request_arrives_pays_once(emulator, task, has_store):
    emulator.fault("delay", method="POST", path="/workflows/run", when="before", delay=30)
    one = task(has_store=has_store)

    dies(one, emulator.submissions)
    value = one.retry()

    assert ids(emulator) == [value]


@WITH_AND_WITHOUT_STORE
def test_a_worker_killed_while_it_waits_is_taken_over(emulator, task, has_store, logs):
    emulator.plan(seconds=0.8)
    one = task(has_store=has_store)

    dies(one, emulator.status_checks)
    value = one.retry()

    assert ids(emulator) == [value]
    assert emulator.statuses() == ["completed"]
    expected = "Reattaching to the run" if has_store else "Sixtyfour had already started a run for this request"
    assert expected in logs


@WITH_AND_WITHOUT_STORE
@BOTH_MODES
def test_a_retry_adopts_a_run_that_has_completed(emulator, task, has_store, deferrable):
    one = task(has_store=has_store, deferrable=deferrable)

    first = one.run()

    assert one.retry() == first
    assert ids(emulator) == [first]


@WITH_AND_WITHOUT_STORE
@pytest.mark.parametrize(
    ("status", "deferrable"),
    [("failed", False), ("cancelled", False), ("canceled", False), ("timeout", False), ("canceled", True)],
)
def test_a_retry_replaces_a_run_that_ended_badly(emulator, task, has_store, deferrable, status):
    emulator.plan(status=status, seconds=0, times=2)
    one = task(has_store=has_store, deferrable=deferrable)

    with pytest.raises(SixtyfourRunFailedError):
        one.run()
    with pytest.raises(SixtyfourRunFailedError):
        one.retry()
    value = one.retry()

    assert ids(emulator)[-1] == value
    assert len(set(ids(emulator))) == 3
    assert emulator.statuses() == [status, status, "completed"]
    assert len({run["idempotency_key"] for run in emulator.runs()}) == 3
    assert one.retry() == value
    assert len(emulator.runs()) == 3


@WITH_AND_WITHOUT_STORE
@BOTH_MODES
def test_a_clear_asks_for_new_work(emulator, task, has_store, deferrable):
    one = task(has_store=has_store, deferrable=deferrable)

    first = one.run()
    second = one.clear()

    assert ids(emulator) == [first, second]
    assert one.retry() == second


def test_a_clear_does_not_adopt_the_run_that_is_being_stopped(emulator, task):
    emulator.plan(seconds=1000, cancel_seconds=1.5)  # longer than a clear takes to come around
    one = task(deferrable=True)
    one.defer()
    dying = ids(emulator)[0]

    value = one.clear()

    assert value != dying
    assert ids(emulator) == [dying, value]


def test_a_clear_that_reached_nobody_is_made_good_for_by_the_next_try(emulator, task, logs):
    emulator.plan(seconds=1000)
    one = task(deferrable=True)
    one.defer()

    value = one.clear()

    assert emulator.statuses() == ["cancelled", "completed"]
    assert ids(emulator)[1] == value
    assert "The task was cleared: cancelling the run of the earlier request" in logs


def test_an_outdated_run_is_left_running_where_the_dag_sets_that(emulator, task, logs):
    emulator.plan(seconds=1000)
    one = task(deferrable=True, cancel_on_kill=False)
    one.defer()

    one.clear()

    assert emulator.statuses() == ["running", "completed"]
    assert emulator.cancels() == []
    assert "the earlier run keeps running, as cancel_on_kill is off" in logs


def test_a_retry_with_other_rows_starts_other_work_and_stops_the_outdated_run(emulator, task, logs):
    emulator.plan(seconds=1000)
    rows = [dict(row) for row in ROWS]
    one = task(webhook_payload=rows, deferrable=True)
    one.defer()
    rows.append({"name": "Lead Three"})

    value = one.retry()

    assert emulator.statuses() == ["cancelled", "completed"]
    assert ids(emulator)[1] == value
    assert "The input has changed: cancelling the run of the earlier request" in logs


def test_a_retry_with_other_rows_leaves_a_completed_run_alone(emulator, task):
    rows = [dict(row) for row in ROWS]
    one = task(webhook_payload=rows)
    one.run()
    rows.append({"name": "Lead Three"})

    one.retry()

    assert (emulator.statuses(), emulator.cancels()) == (["completed", "completed"], [])


def test_an_outdated_run_that_cannot_be_stopped_does_not_stop_the_task(emulator, task, logs):
    emulator.plan(seconds=1000)
    rows = [dict(row) for row in ROWS]
    one = task(webhook_payload=rows, deferrable=True)
    one.defer()
    rows.append({"name": "Lead Three"})
    emulator.fault("answer", path="/workflows/cancel", status=403, body={"detail": "no"})

    value = one.retry()

    assert ids(emulator)[1] == value
    assert "The run could not be cancelled and may keep running" in logs


def test_rows_in_another_order_of_their_columns_are_the_same_work(emulator, task):
    rows = [{"a": 1, "b": 2}]
    one = task(webhook_payload=rows)
    first = one.run()
    rows[0] = {"b": 2, "a": 1}

    assert one.retry() == first


GARBLED = [
    "text",
    7,
    [],
    {},
    {"key": None, "digest": "d", "max_tries": 3},
    {"version": 0, "job": "11111111-0000-4000-8000-000000000000"},
    {"version": 0, "key": "k", "digest": 5, "max_tries": "3"},
]


@pytest.mark.parametrize("record", GARBLED, ids=str)
def test_a_record_that_cannot_be_read_is_replaced(emulator, task, record):
    one = task()
    one.store.set(RECORD_KEY, record)

    value = one.run()

    assert ids(emulator) == [value]
    assert one.store.get(RECORD_KEY)["job_id"] == value
    assert one.retry() == value


def test_a_record_of_a_later_version_is_understood_as_far_as_it_goes(emulator, task):
    one = task()
    value = one.run()
    record = one.store.get(RECORD_KEY)
    one.store.set(RECORD_KEY, {**record, "version": RECORD_VERSION + 1, "more": {"new": True}})

    assert one.retry() == value
    assert len(emulator.runs()) == 1


@pytest.mark.parametrize("job_id", ["../../etc", "", 7, "no such run"])
def test_a_recorded_id_that_is_none_is_asked_for_by_its_key(emulator, task, job_id):
    one = task()
    value = one.run()
    one.store.set(RECORD_KEY, {**one.store.get(RECORD_KEY), "job_id": job_id})

    assert one.retry() == value
    assert len(emulator.runs()) == 1


def test_a_recorded_run_that_no_longer_exists_is_replaced(emulator, task):
    one = task()
    first = one.run()
    missing = str(uuid.uuid4())
    one.store.set(RECORD_KEY, {**one.store.get(RECORD_KEY), "job_id": missing})

    value = one.retry()

    assert ids(emulator) == [first, value]
    asked = [check for check in emulator.status_checks() if missing in check["path"]]
    assert len(asked) > 1  # a new run's first seconds apart


def test_a_run_of_another_workflow_is_not_adopted(emulator, task):
    target = {"workflow_id": emulator.store_workflow()}
    one = task()
    one.make = lambda: SixtyfourRunWorkflowOperator(
        task_id="run", webhook_payload=ROWS, poll_interval=0.02, deferrable=False, **target
    )
    first = one.run()
    target["workflow_id"] = emulator.store_workflow()

    second = one.retry()

    assert ids(emulator) == [first, second]
    assert [run["workflow_id"] for run in emulator.runs()][1] == target["workflow_id"]


def test_a_lost_run_that_failed_meanwhile_is_replaced_by_the_retry(emulator, task):
    emulator.plan(status="failed", seconds=0)
    one = task()
    killed_at(one, ("before", 2))

    value = one.retry()

    assert emulator.statuses() == ["failed", "completed"]
    assert ids(emulator)[1] == value


def test_a_refused_submission_can_be_made_after_a_clear(emulator, task):
    one = task()
    emulator.fault("answer", method="POST", path="/workflows/run", status=402, body={"detail": "no credits"})
    with pytest.raises(AirflowFailException):
        one.run()

    assert [one.clear()] == ids(emulator)


def test_mapped_tasks_of_the_same_rows_run_each_their_own(emulator, task):
    for has_store in (True, False):
        dag_run_start = datetime.now(UTC)
        before = len(emulator.runs())
        values = [
            task(has_store=has_store, identity={"map_index": index, "dag_run_start": dag_run_start}).run()
            for index in range(3)
        ]
        assert ids(emulator)[before:] == values


def test_two_deployments_of_one_dag_run_each_their_own(emulator, task):
    """Same Dag, run id, task and API key; what differs is when each deployment began its Dag run."""
    here = task(has_store=False, identity={"dag_run_start": datetime(2026, 11, 1, 6, 0, 0, 1, tzinfo=UTC)})
    there = task(has_store=False, identity={"dag_run_start": datetime(2026, 11, 1, 6, 0, 0, 2, tzinfo=UTC)})

    values = [here.run(), there.run()]

    assert ids(emulator) == values
    assert len({one["idempotency_key"] for one in emulator.submissions()}) == 2


def test_without_a_store_every_try_sends_the_same_key(emulator, task):
    one = task(has_store=False)
    one.run()
    one.retry()

    assert len({sent["idempotency_key"] for sent in emulator.submissions()}) == 1
    assert len(emulator.submissions()) == 2


@WITH_AND_WITHOUT_STORE
def test_a_task_that_is_not_durable_starts_a_run_at_each_try(emulator, task, has_store):
    one = task(has_store=has_store, durable=False)

    values = [one.run(), one.retry()]

    assert ids(emulator) == values
    assert len({run["idempotency_key"] for run in emulator.runs()}) == 2
    assert one.store is None or one.store.get(RECORD_KEY) is None


def test_the_intent_is_stored_before_the_request_and_the_id_right_after(emulator, task):
    one = task()
    written = []
    write = one.store.set

    def noting(key, value):
        written.append((key, dict(value), len(emulator.submissions())))
        write(key, value)

    one.store.set = noting
    value = one.run()

    [(key, intent, sent_before), (_, record, sent_after)] = written
    assert (key, sent_before, sent_after) == (RECORD_KEY, 0, 1)
    assert intent["job_id"] is None
    assert Request.unpacked(intent["request"]).body == {"webhook_payload": ROWS}
    assert record == {**intent, "job_id": value, "request": None}
    assert emulator.submissions()[0]["idempotency_key"] == intent["key"]


def test_many_tries_that_die_one_after_another_pay_once(emulator, task):
    one = task()

    killed_at(one, ("before", 1))
    killed_at(one, ("after", 1))
    killed_at(one, ("before", 1))  # the run is there, and only its id is left to be written
    killed_at(one, ("before", 1))
    killed_at(one, ("after", 1))
    value = one.retry()

    assert ids(emulator) == [value]
