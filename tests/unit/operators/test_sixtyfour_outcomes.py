"""Nothing is left running, nothing is stopped by mistake: deadlines and kills, on the worker and deferred."""

import re
import threading
import time
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourTimeoutError
from airflow_provider_sixtyfour.operators.sixtyfour import (
    SixtyfourCancelRunOperator,
    SixtyfourRunWorkflowOperator,
)
from tests.unit.conftest import ROWS, until
from tests.unit.standins import StateStore, Task, fire

BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


def task(workflow, *, started_ago=0.0, store=None, **arguments):
    arguments = {"webhook_payload": ROWS, "poll_interval": 0.02, "deferrable": False, **arguments}
    return Task(
        lambda: SixtyfourRunWorkflowOperator(task_id="run", workflow_id=workflow, **arguments),
        started_ago=started_ago,
        store=store,
    )


# Deadlines


@BOTH_MODES
@pytest.mark.parametrize(
    "limits",
    [
        {"timeout": 100.4},
        {"timeout": timedelta(seconds=100.4)},
        {"timeout": "100.4"},
        {"execution_timeout": timedelta(seconds=100.4)},
        {"timeout": 500, "execution_timeout": timedelta(seconds=100.4)},
        {"timeout": 100.4, "execution_timeout": timedelta(seconds=500)},
    ],
    ids=str,
)
def test_a_deadline_counts_from_the_start_of_the_task_and_cancels(emulator, workflow, deferrable, limits):
    emulator.plan(queue_seconds=20)
    one = task(workflow, deferrable=deferrable, started_ago=100, **limits)

    began = time.monotonic()
    with pytest.raises(SixtyfourTimeoutError) as failure:
        one.run()

    assert time.monotonic() - began < 5
    job_id = emulator.runs()[0]["job_id"]
    assert re.fullmatch(
        r"Not completed by the task's deadline \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\): queued 0 %\. "
        rf"The run is cancelled\. Run {job_id}\.",
        str(failure.value),
    )
    assert emulator.statuses() == ["cancelled"]
    assert len(emulator.cancels()) == 1


@BOTH_MODES
def test_a_deadline_leaves_the_run_alone_if_the_task_may_not_cancel(emulator, workflow, deferrable):
    emulator.plan(seconds=20)

    with pytest.raises(SixtyfourTimeoutError, match="The run was not cancelled and may still be in progress"):
        task(workflow, deferrable=deferrable, timeout=0.3, cancel_on_kill=False).run()

    assert (emulator.statuses(), emulator.cancels()) == (["running"], [])


@BOTH_MODES
def test_a_run_that_completed_at_that_very_moment_counts_as_completed(emulator, workflow, deferrable, logs):
    """The API takes the cancel, or refuses it with a 400, but the run has completed first."""
    emulator.plan(seconds=20)
    one = task(workflow, deferrable=deferrable, timeout=0.4)
    answers = {"job_id": "?", "status": "canceled"}
    emulator.fault("answer", path="/workflows/cancel", status=200, body=answers)

    def complete():
        until(emulator.cancels)
        emulator.set_status(emulator.runs()[0]["job_id"], "completed")

    helper = threading.Thread(target=complete)
    helper.start()
    value = one.run()
    helper.join()

    assert value == emulator.runs()[0]["job_id"]
    assert "It completed just then, so its results stand." in logs


@BOTH_MODES
def test_a_cancel_that_comes_too_late_is_no_error(emulator, workflow, deferrable):
    emulator.plan(seconds=20)
    one = task(workflow, deferrable=deferrable, timeout=0.3)
    operator = one.operator()
    if deferrable:
        with pytest.raises(TaskDeferred) as deferral:
            operator.execute(one.context)
        event = fire(deferral.value.trigger)
        emulator.set_status(emulator.runs()[0]["job_id"], "completed")

        assert one.resume(deferral.value, event) == emulator.runs()[0]["job_id"]
        assert [sent["status"] for sent in emulator.cancels()] == [400]
    else:
        emulator.fault("answer", path="/workflows/cancel", status=400, body={"detail": "it is completed"})
        helper = threading.Thread(target=lambda: until(emulator.cancels) and complete_first(emulator))
        helper.start()
        assert one.go(operator) == emulator.runs()[0]["job_id"]
        helper.join()


def complete_first(emulator):
    emulator.set_status(emulator.runs()[0]["job_id"], "completed")


@BOTH_MODES
@pytest.mark.parametrize("fault", [{"status": 403, "body": {"detail": "may not"}}, {"status": 503}], ids=str)
def test_a_cancel_that_fails_does_not_hide_the_deadline(emulator, workflow, deferrable, fault, no_pauses, logs):
    emulator.plan(seconds=20)
    emulator.fault("answer", path="/workflows/cancel", times=100, **fault)

    with pytest.raises(SixtyfourTimeoutError, match=r"^Not completed by the task's deadline"):
        task(workflow, deferrable=deferrable, timeout=0.3).run()

    job_id = emulator.runs()[0]["job_id"]
    [line] = [text for text in logs.texts("error") if "could not be cancelled and may keep running" in text]
    assert line.startswith(f"The run could not be cancelled and may keep running: Sixtyfour answered {fault['status']}")
    assert line.endswith(f"Run {job_id}.")


@BOTH_MODES
def test_a_deadline_during_an_outage_still_holds(emulator, workflow, deferrable):
    emulator.plan(seconds=20)
    emulator.fault("answer", path=".*/live_status", times=2, status=503)

    with pytest.raises(SixtyfourTimeoutError, match=r"no status was received|running"):
        task(workflow, deferrable=deferrable, timeout=0.5).run()

    assert emulator.statuses() == ["cancelled"]


def test_the_retry_after_a_deadline_counts_from_zero_and_starts_another_run(emulator, workflow):
    emulator.plan(seconds=20)
    one = task(workflow, timeout=0.5, store=StateStore())
    with pytest.raises(SixtyfourTimeoutError):
        one.run()

    value = one.retry()

    assert emulator.statuses() == ["cancelled", "completed"]
    assert value == emulator.runs()[1]["job_id"]


def test_no_limit_means_no_deadline(emulator, workflow):
    assert task(workflow, deferrable=True).defer().trigger.serialize()[1]["deadline"] is None


# Kills. Airflow calls on_kill from a signal handler in the middle of execute: from 3.0 on the handler returns and
# the task keeps running until it ends by itself, on 2.x it raises. Airflow's own timeout raises first, then calls it.


class Terminated(BaseException):
    """What Airflow 2's handler of SIGTERM raises (``AirflowTaskTerminated``)."""


def kill(operator, style):
    def handler():
        operator.on_kill()
        if style == "raises":
            raise Terminated

    return handler


STOPPED = {"returns": "The task was stopped", "raises": "^$"}
STYLES = pytest.mark.parametrize("style", ["returns", "raises"])


@STYLES
def test_a_kill_during_the_wait_cancels_once(emulator, workflow, at_signal, style):
    emulator.plan(seconds=20)
    one = task(workflow, poll_interval=30)
    operator = one.operator()
    at_signal(emulator.status_checks, kill(operator, style))
    began = time.monotonic()

    with pytest.raises((SixtyfourError, Terminated)) as end:
        one.go(operator)

    assert isinstance(end.value, Terminated if style == "raises" else SixtyfourError)
    assert time.monotonic() - began < 5  # not at the next status check, half a minute later
    assert (emulator.statuses(), len(emulator.cancels())) == (["cancelled"], 1)


@STYLES
def test_a_kill_during_a_status_check_cancels_once(emulator, workflow, at_signal, style):
    """The signal comes while the client holds its connection."""
    emulator.plan(seconds=20)
    emulator.fault("delay", path=".*/live_status", delay=1.0)
    one = task(workflow)
    operator = one.operator()
    at_signal(emulator.status_checks, kill(operator, style))

    with pytest.raises((SixtyfourError, Terminated)):
        one.go(operator)

    assert (emulator.statuses(), len(emulator.cancels())) == (["cancelled"], 1)


@STYLES
@BOTH_MODES
def test_a_kill_during_the_submission_cancels_the_run_that_it_makes(emulator, workflow, at_signal, style, deferrable):
    emulator.plan(seconds=20)
    emulator.fault("delay", method="POST", path="/workflows/run", when="after", delay=1.0)
    one = task(workflow, deferrable=deferrable)
    operator = one.operator()
    at_signal(emulator.runs, kill(operator, style))

    with pytest.raises(Terminated if style == "raises" else SixtyfourError, match=STOPPED[style]):
        one.go(operator)

    assert (emulator.statuses(), len(emulator.cancels())) == (["cancelled"], 1)


@STYLES
def test_a_kill_before_the_submission_starts_nothing(emulator, workflow, at_signal, style):
    emulator.fault("delay", method="GET", path=f"/workflows/{workflow}", delay=0.5)
    one = task(workflow)
    operator = one.operator()
    at_signal(lambda: emulator.asked("GET", f"/workflows/{workflow}"), kill(operator, style))

    with pytest.raises(Terminated if style == "raises" else SixtyfourError, match=STOPPED[style]):
        one.go(operator)

    assert (emulator.submissions(), emulator.cancels()) == ([], [])


@STYLES
def test_a_kill_while_looking_at_an_earlier_tries_run_cancels_it(emulator, workflow, at_signal, style):
    emulator.plan(seconds=20)
    one = task(workflow, deferrable=True, store=StateStore())
    one.ti.state = "failed"  # by the user who kills it
    one.defer()
    emulator.fault("delay", path=".*/live_status", delay=0.5)
    operator = one.operator()
    at_signal(emulator.status_checks, kill(operator, style))

    with pytest.raises(Terminated if style == "raises" else SixtyfourError, match=STOPPED[style]):
        one.go(operator)

    assert emulator.statuses() == ["cancelled"]
    assert len(emulator.runs()) == 1


def test_a_timeout_that_cuts_the_submission_off_cancels_the_run_that_it_made(emulator, workflow, at_signal):
    """Airflow's own timer may fire before there is a run's id; its key identifies the run."""
    emulator.plan(seconds=20)
    emulator.fault("delay", method="POST", path="/workflows/run", when="after", delay=2.0)
    one = task(workflow)
    operator = one.operator()

    def time_out():
        raise AirflowTaskTimeout("Timeout")

    at_signal(emulator.runs, time_out)
    with pytest.raises(AirflowTaskTimeout):
        one.go(operator)
    operator.on_kill()
    operator.on_kill()

    assert (emulator.statuses(), len(emulator.cancels())) == (["cancelled"], 1)
    assert len({sent["idempotency_key"] for sent in emulator.submissions()}) == 1


def test_a_timeout_during_the_wait_cancels(emulator, workflow, at_signal):
    emulator.plan(seconds=20)
    one = task(workflow, poll_interval=30)
    operator = one.operator()

    def time_out():
        raise AirflowTaskTimeout("Timeout")

    at_signal(emulator.status_checks, time_out)
    with pytest.raises(AirflowTaskTimeout):
        one.go(operator)
    operator.on_kill()

    assert (emulator.statuses(), len(emulator.cancels())) == (["cancelled"], 1)


@STYLES
def test_a_kill_leaves_the_run_alone_if_the_task_may_not_cancel(emulator, workflow, at_signal, style):
    emulator.plan(seconds=20)
    one = task(workflow, cancel_on_kill=False, poll_interval=30)
    operator = one.operator()
    at_signal(emulator.status_checks, kill(operator, style))

    with pytest.raises((SixtyfourError, Terminated)):
        one.go(operator)

    assert (emulator.statuses(), emulator.cancels()) == (["running"], [])


def test_many_kills_cancel_once(emulator, workflow, at_signal):
    emulator.plan(seconds=20)
    one = task(workflow, poll_interval=30)
    operator = one.operator()

    def kill_thrice():
        for _ in range(3):
            operator.on_kill()

    at_signal(emulator.status_checks, kill_thrice)
    with pytest.raises(SixtyfourError):
        one.go(operator)

    assert len(emulator.cancels()) == 1


def test_a_kill_before_or_after_the_work_is_harmless(emulator, workflow):
    one = task(workflow)
    before = one.operator()
    before.on_kill()
    done = one.operator()
    one.go(done)
    done.on_kill()

    assert (emulator.statuses(), emulator.cancels()) == (["completed"], [])
    assert not any(asked["path"] == "/workflows/cancel" for asked in emulator.requests())


def test_a_kill_before_the_work_needs_no_connection(workflow, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT")

    task(workflow).operator().on_kill()


def test_a_kill_after_a_failed_run_sends_nothing(emulator, workflow):
    emulator.plan(status="failed", seconds=0)
    one = task(workflow)
    operator = one.operator()
    with pytest.raises(SixtyfourError):
        one.go(operator)

    operator.on_kill()

    assert emulator.cancels() == []


@STYLES
def test_a_kill_during_a_submission_that_is_refused_hides_nothing(emulator, workflow, at_signal, style):
    refusal = {"status": 402, "body": {"detail": "no credits"}, "delay": 0.5, "times": 10}
    emulator.fault("answer", method="POST", path="/workflows/run", **refusal)
    one = task(workflow)
    operator = one.operator()
    at_signal(emulator.submissions, kill(operator, style))

    with pytest.raises(Terminated if style == "raises" else AirflowFailException):
        one.go(operator)

    assert (emulator.runs(), emulator.cancels()) == ([], [])


def test_a_kill_with_the_api_away_ends_in_a_line_of_the_log(emulator, workflow, at_signal, no_pauses, logs):
    emulator.plan(seconds=20)
    emulator.fault("reset", path="/workflows/cancel", times=100)
    one = task(workflow, poll_interval=30)
    operator = one.operator()
    at_signal(emulator.status_checks, kill(operator, "returns"))

    with pytest.raises(SixtyfourError, match="The task was stopped while its run was in progress"):
        one.go(operator)

    assert "The run could not be cancelled and may keep running" in logs


def test_a_kill_while_concluding_a_deadline_cancels_once(emulator, workflow):
    emulator.plan(seconds=20)
    one = task(workflow, deferrable=True, timeout=0.2)
    deferral = one.defer()
    event = fire(deferral.trigger)
    operator = one.operator()
    with pytest.raises(SixtyfourTimeoutError):
        operator.resume_execution(deferral.method_name, {"event": event}, one.context)

    operator.on_kill()

    assert len(emulator.cancels()) == 1


# The cancel operator


def test_the_cancel_operator_cancels(emulator, workflow, logs):
    emulator.plan(seconds=20)
    job_id = emulator.start_run(workflow)

    one = Task(lambda: SixtyfourCancelRunOperator(task_id="cancel", job_id="{{ params.run }}"), params={"run": job_id})

    one.run()

    assert emulator.statuses() == ["cancelled"]
    assert f"The run is cancelled. Run {job_id}." in logs


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_the_cancel_operator_leaves_a_run_that_has_ended(emulator, workflow, logs, status):
    emulator.plan(seconds=0, status=status)
    job_id = emulator.start_run(workflow)

    Task(lambda: SixtyfourCancelRunOperator(task_id="cancel", job_id=job_id)).run()

    assert emulator.statuses() == [status]
    assert f"The run has already ended ({status}). Run {job_id}." in logs
