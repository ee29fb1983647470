"""However a task ends before its run has, the run is cancelled, or the next try reattaches to it."""

import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.tasks import retrying
from airflow_provider_sixtyfour.tasks.submission import ODD_ANSWERS, RECORD_KEY
from tests.unit.conftest import ROWS
from tests.unit.standins import StateStore, Task

pytestmark = pytest.mark.usefixtures("no_pauses")
BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
LAST_TRY, FIRST_TRY = {"try_number": 4, "max_tries": 3}, {"try_number": 1, "max_tries": 3}


class Killed(BaseException):
    """The worker dies at this instant: nothing more of the try is done."""


class AirflowAnswers(Exception):
    """What Airflow's API server answers through the supervisor; ``None`` where it can't be reached."""

    def __init__(self, status):
        super().__init__(f"API_SERVER_ERROR: {status}")
        self.error = SimpleNamespace(detail={"status_code": status, "message": "Task instance not found"})


@pytest.fixture
def task(workflow):
    def make(rows=ROWS, *, identity=None, **arguments):
        arguments = {"webhook_payload": rows, "poll_interval": 0.02, "deferrable": False, **arguments}
        return Task(
            lambda: SixtyfourRunWorkflowOperator(task_id="run", workflow_id=workflow, **arguments),
            store=StateStore(),
            **(identity or {}),
        )

    return make


@pytest.fixture
def impatient(monkeypatch):
    """Give up at once what is tried again for two minutes."""
    monkeypatch.setattr(retrying, "PATIENCE", 0.1)
    monkeypatch.setattr(retrying, "PAUSES", (0.02,))


def cut_off(one, number=2, error=Killed):
    """Run a try that ends at the n-th write to its store, the second being that of the run's id."""
    write, written = one.store.set, 0

    def ending(key, value):
        nonlocal written
        written += 1
        if written >= number:
            raise error
        write(key, value)

    one.store.set = ending
    try:
        with pytest.raises(type(error) if isinstance(error, Exception) else error):
            one.run()
    finally:
        one.store.set = write


def ids(emulator):
    return [run["job_id"] for run in emulator.runs()]


# A run whose id was never recorded


@BOTH_MODES
def test_a_clear_stops_the_run_of_a_try_that_died_before_it_recorded_it(emulator, task, deferrable, logs):
    emulator.plan(seconds=1000)
    one = task(deferrable=deferrable)
    cut_off(one)

    value = one.clear()

    assert emulator.statuses() == ["cancelled", "completed"]
    assert ids(emulator)[1] == value
    assert one.store.get(RECORD_KEY)["job_id"] == value
    assert "The task was cleared while an earlier try was starting a run" in logs


def test_two_clears_in_a_row_stop_both_runs(emulator, task):
    for _ in range(2):
        emulator.plan(seconds=1000)
    one = task()
    cut_off(one)
    one.ti.max_tries += one.ti.try_number
    cut_off(one)

    value = one.clear()

    assert emulator.statuses() == ["cancelled", "cancelled", "completed"]
    assert ids(emulator)[2] == value


def test_a_try_that_dies_while_it_stops_an_earlier_run_leaves_that_to_the_next(emulator, task):
    emulator.plan(seconds=1000)
    one = task()
    cut_off(one)
    emulator.fault("reset", path="/workflows/cancel", times=4)
    one.ti.max_tries += one.ti.try_number
    with pytest.raises(SixtyfourUnavailableError, match="While cancelling run"):
        one.retry()
    assert len(emulator.runs()) == 1

    value = one.retry()

    assert emulator.statuses() == ["cancelled", "completed"]
    assert ids(emulator)[1] == value


def test_a_retry_with_other_rows_sends_the_recorded_request_again(emulator, task, monkeypatch):
    sent = []
    monkeypatch.setattr("airflow_provider_sixtyfour.api.client.SixtyfourClient._transmit", _noting(sent))
    emulator.plan(seconds=1000)
    rows = [dict(row) for row in ROWS]
    one = task(rows)
    cut_off(one)
    rows.append({"name": "Lead Three"})

    value = one.retry()

    assert emulator.statuses() == ["cancelled", "completed"]
    assert ids(emulator)[1] == value
    first, again, new = (json.loads(body)["webhook_payload"] for body in sent)
    assert (first, again, new) == (ROWS, ROWS, rows)


def test_a_request_too_long_to_be_recorded_is_sent_as_it_is_now(emulator, task, monkeypatch):
    monkeypatch.setattr("airflow_provider_sixtyfour.runs.idempotency.LONGEST_REQUEST", 10)
    emulator.plan(seconds=1000)
    rows = [dict(row) for row in ROWS]
    one = task(rows)
    cut_off(one)
    rows.append({"name": "Lead Three"})

    value = one.retry()

    assert emulator.statuses() == ["cancelled", "completed"]
    assert ids(emulator)[1] == value


@pytest.mark.parametrize("has_changed", [False, True], ids=["cleared", "other rows"])
def test_a_request_that_never_arrived_is_paid_once(emulator, task, monkeypatch, has_changed):
    """Sending it again under its key starts the run that the Clear asks for."""
    rows = [dict(row) for row in ROWS]
    one = task(rows)
    sent = SixtyfourUnavailableError("cut off", may_have_worked=True)
    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_sixtyfour.api.client.SixtyfourClient._transmit", _raising_on_post(sent))
        with pytest.raises(SixtyfourUnavailableError):
            one.run()
    assert emulator.runs() == []
    if has_changed:
        monkeypatch.setattr("airflow_provider_sixtyfour.runs.idempotency.Request.packed", lambda _: None)
        rows.append({"name": "Lead Three"})
        emulator.plan(seconds=20, times=1)  # still in progress when it is found

    value = one.clear()

    # The recorded request of other rows starts their run, which is stopped; there is no other way to know.
    assert ids(emulator)[-1] == value
    assert emulator.statuses() == (["cancelled", "completed"] if has_changed else ["completed"])


def _noting(sent):
    transmit = SixtyfourClient._transmit

    def noting(self, call, headers):
        if call.path == "/workflows/run":
            sent.append(call.body)
        return transmit(self, call, headers)

    return noting


def _raising_on_post(error):
    transmit = SixtyfourClient._transmit

    def raising(self, call, headers):
        if call.path == "/workflows/run":
            raise error
        return transmit(self, call, headers)

    return raising


def test_a_refusal_of_an_earlier_request_means_that_it_has_no_run(emulator, task, logs):
    rows = [dict(row) for row in ROWS]
    one = task(rows)
    cut_off(one)
    rows.append({"name": "Lead Three"})
    emulator.fault("answer", method="POST", path="/workflows/run", status=422, body={"detail": "no"})

    value = one.retry()

    assert ids(emulator)[-1] == value
    assert "The API refuses the earlier request, so it has started no run" in logs


REFUSALS = {
    "an expired key": {"status": 401, "body": {"detail": "Invalid API key"}},
    "a proxy's page": {"status": 403, "body": "<title>Blocked</title>"},
    "in progress": {"status": 409, "body": {"detail": "A request with this key is in progress"}},
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_after_a_lost_answer_does_not_lose_the_run(emulator, task, refusal):
    emulator.fault("drop", method="POST", path="/workflows/run", when="after")
    emulator.fault("answer", method="POST", path="/workflows/run", **REFUSALS[refusal])

    assert [task().run()] == ids(emulator)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_retry_that_is_refused_does_not_lose_the_run_of_a_try_that_died(emulator, task, refusal):
    one = task()
    cut_off(one)
    emulator.fault("answer", method="POST", path="/workflows/run", **REFUSALS[refusal])

    with pytest.raises(SixtyfourUnavailableError, match="An earlier request may have started a run"):
        one.retry()

    assert [one.retry()] == ids(emulator)


def test_a_last_try_that_is_refused_says_that_a_run_may_be_left(emulator, task, logs):
    one = task(identity={**LAST_TRY, "try_number": 3})
    cut_off(one)
    emulator.fault("answer", method="POST", path="/workflows/run", times=9, **REFUSALS["an expired key"])

    with pytest.raises(SixtyfourUnavailableError, match=r"^Sixtyfour answered 401: Invalid API key"):
        one.retry()

    assert "A run may have been started, but the API does not say which: it can't be cancelled." in logs


def test_a_refusal_after_an_answer_without_a_usable_id_does_not_hide_that_a_run_was_started(emulator, task, logs):
    emulator.fault("answer", method="POST", path="/workflows/run", when="after", status=200, body={"job_id": "../../x"})
    emulator.fault("answer", method="POST", path="/workflows/run", status=422, body={"detail": "no"})
    one = task()

    with pytest.raises(SixtyfourUnavailableError, match="An earlier request may have started a run"):
        one.run()

    assert [one.retry()] == ids(emulator)


# Airflow itself is away


@BOTH_MODES
@pytest.mark.parametrize("answer", [None, 500, 503])
def test_a_record_that_cannot_be_written_is_tried_again(emulator, task, monkeypatch, deferrable, answer):
    monkeypatch.setattr(retrying, "PAUSES", (0.02,))
    one = task(deferrable=deferrable)
    write, failures = one.store.set, [AirflowAnswers(answer)] * 3

    def failing(key, value):
        if value["job_id"] and failures:
            raise failures.pop()
        write(key, value)

    one.store.set = failing
    value = one.run()

    assert ids(emulator) == [value]
    assert one.store.get(RECORD_KEY)["job_id"] == value


@BOTH_MODES
def test_a_record_that_stays_unwritten_at_the_last_try_cancels_the_run(emulator, task, impatient, deferrable, logs):
    emulator.plan(seconds=1000)
    one = task(deferrable=deferrable, identity=LAST_TRY)

    cut_off(one, error=AirflowAnswers(None))

    assert emulator.statuses() == ["cancelled"]
    assert "The task ends while its run is in progress: cancelling the run." in logs


@BOTH_MODES
def test_a_record_that_stays_unwritten_keeps_the_run_for_the_next_try(emulator, task, impatient, deferrable, logs):
    one = task(deferrable=deferrable, identity=FIRST_TRY)
    emulator.plan(seconds=0.5)

    cut_off(one, error=AirflowAnswers(None))
    assert emulator.cancels() == []
    value = one.retry()

    assert ids(emulator) == [value]
    assert "The task failed, but its run is kept: the next try reattaches to it." in logs


def test_a_removed_task_instance_is_not_written_to_again(emulator, task, monkeypatch):
    one = task()
    written = []
    write = one.store.set

    def noting(key, value):
        written.append(value["job_id"])
        if value["job_id"]:
            raise AirflowAnswers(404)
        write(key, value)

    one.store.set = noting
    with pytest.raises(AirflowAnswers):
        one.run()

    assert len(written) == 2


# Any other error


@BOTH_MODES
@pytest.mark.parametrize(
    ("identity", "arguments", "statuses"),
    [
        (FIRST_TRY, {}, ["running"]),
        (LAST_TRY, {}, ["cancelled"]),
        (LAST_TRY, {"cancel_on_kill": False}, ["running"]),
        (FIRST_TRY, {"durable": False}, ["cancelled"]),  # the next try would start its own
    ],
    ids=str,
)
def test_an_error_after_the_submission(emulator, task, impatient, deferrable, identity, arguments, statuses):
    emulator.plan(seconds=1000)
    one = task(deferrable=deferrable, identity=identity, **arguments)
    one.ti.xcom_push = _raise(ConnectionError("the API server is away"))

    with pytest.raises(ConnectionError):
        one.run()

    assert emulator.statuses() == statuses


@pytest.mark.parametrize("error", [AirflowFailException("a callback"), SixtyfourInputError("a link")], ids=repr)
def test_an_error_that_airflow_does_not_retry_cancels_the_run_at_any_try(emulator, task, monkeypatch, error):
    emulator.plan(seconds=1000)
    one = task(identity=FIRST_TRY)
    monkeypatch.setattr("airflow_provider_sixtyfour.operators._base.run_url", _raise(error))

    with pytest.raises(AirflowFailException):
        one.run()

    assert emulator.statuses() == ["cancelled"]


def test_an_error_before_an_earlier_tries_run_is_adopted_cancels_it_at_the_last_try(emulator, task, monkeypatch):
    emulator.plan(seconds=1000)
    one = task(deferrable=True, identity={"try_number": 3, "max_tries": 3})
    one.defer()
    emulator.fault("reset", path=".*/live_status", times=10)

    with pytest.raises(SixtyfourUnavailableError):
        one.retry()

    assert emulator.statuses() == ["cancelled"]


def test_a_run_that_has_ended_is_not_cancelled_by_a_later_error(emulator, enriching, leads, monkeypatch):
    monkeypatch.setattr("airflow_provider_sixtyfour.results.landing.land", _raise(OSError("no space")))

    with pytest.raises(OSError, match="no space"):
        enriching(source=f"file://{leads}", identity=LAST_TRY).run()

    assert (emulator.statuses(), emulator.cancels()) == (["completed"], [])


def _raise(error):
    def raising(*_, **__):
        raise error

    return raising


# A deferral that ends without an event


@pytest.mark.parametrize(
    ("identity", "error", "statuses"),
    [
        (FIRST_TRY, "Trigger failure", ["running"]),
        (LAST_TRY, "Trigger failure", ["cancelled"]),
        (FIRST_TRY, "Trigger timeout", ["cancelled"]),
        (FIRST_TRY, "Trigger/execution timeout", ["cancelled"]),  # Airflow 2.11
    ],
)
def test_a_trigger_that_fails_as_a_whole(emulator, task, identity, error, statuses):
    emulator.plan(seconds=1000)
    one = task(deferrable=True, identity=identity)
    one.defer()
    one.ti.xcom_pull = lambda task_ids, map_indexes, key: one.ti.xcoms[key]

    with pytest.raises(Exception, match=error):
        one.operator().resume_execution("__fail__", {"error": error}, one.context)

    assert emulator.statuses() == statuses


def test_a_trigger_that_fails_leaves_no_run_that_the_next_try_would_not_share(emulator, task):
    emulator.plan(seconds=1000)
    one = task(deferrable=True, durable=False, identity=FIRST_TRY)
    one.defer()
    one.ti.xcom_pull = lambda task_ids, map_indexes, key: one.ti.xcoms[key]

    with pytest.raises(Exception, match="Trigger failure"):
        one.operator().resume_execution("__fail__", {"error": "Trigger failure"}, one.context)

    assert emulator.statuses() == ["cancelled"]


# A run without a usable id


ODD_IDS = ["../../x", "x" * 10_000, "a b", "..", "None", "\u202e", "x\ny"]


@BOTH_MODES
@pytest.mark.parametrize("odd", ODD_IDS, ids=lambda odd: ascii(odd[:12]))
def test_a_started_run_without_a_usable_id_is_named_as_the_api_names_it(emulator, task, odd, deferrable, logs):
    answer = {"status": "queued", "workflow_id": "w", "job_id": odd}
    emulator.fault("answer", method="POST", path="/workflows/run", status=200, body=answer, times=100)
    one = task(deferrable=deferrable)

    with pytest.raises(
        SixtyfourUnavailableError, match="A run was started, but it can't be tracked or cancelled"
    ) as end:
        one.run()

    assert Cleaner().value(odd)[:10] in str(end.value)
    assert len(str(end.value)) < 400
    assert str(end.value).isprintable()
    keys = {sent["idempotency_key"] for sent in emulator.submissions()}
    assert (len(emulator.submissions()), len(keys)) == (ODD_ANSWERS, 1)
    emulator.clear()
    value = one.retry()
    assert emulator.submissions()[0]["idempotency_key"] in keys
    assert ids(emulator) == [value]
