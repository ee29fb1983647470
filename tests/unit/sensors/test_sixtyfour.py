"""The sensor waits for somebody else's run: it never cancels, and ends as the run ends."""

import threading
import time
from datetime import timedelta

import airflow
import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_sixtyfour.exceptions import SixtyfourRunFailedError, SixtyfourWaitError
from airflow_provider_sixtyfour.sensors.sixtyfour import SixtyfourRunSensor
from tests.unit.conftest import until
from tests.unit.standins import Task

BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow before 3.2
    from airflow.exceptions import AirflowRescheduleException


def sensor(job_id, **arguments):
    arguments = {"poll_interval": 0.02, "deferrable": False, **arguments}
    return Task(lambda: SixtyfourRunSensor(task_id="wait", job_id=job_id, **arguments))


@BOTH_MODES
def test_it_returns_the_run_when_it_has_completed(emulator, workflow, deferrable):
    emulator.plan(seconds=0.2)
    job_id = emulator.start_run(workflow)

    assert sensor(job_id, deferrable=deferrable).run() == job_id
    assert emulator.submissions() == emulator.cancels() == []


@BOTH_MODES
def test_both_modes_log_the_same_progress(emulator, workflow, deferrable, logs):
    emulator.plan(queue_seconds=1000)
    job_id = emulator.start_run(workflow)
    helper = threading.Thread(
        target=lambda: until(lambda: len(emulator.status_checks()) > 2) and emulator.set_status(job_id, "completed")
    )
    helper.start()
    sensor(job_id, deferrable=deferrable).run()
    helper.join()

    progress = [text for text in logs.texts() if " %. " in text]
    assert progress == [f"Queued 0 %. Run {job_id}.", f"Completed 100 %. Run {job_id}."]


@BOTH_MODES
@pytest.mark.parametrize("status", ["failed", "cancelled", "canceled", "timeout"])
def test_a_run_that_ended_badly_fails_it_with_the_reason(emulator, workflow, status, deferrable):
    emulator.plan(seconds=0, status=status, fail_block=2, error_message="no source answers")
    job_id = emulator.start_run(workflow)

    with pytest.raises(
        SixtyfourRunFailedError, match=f"in block 'company_enrichment' .*no source answers.* Run {job_id}, workflow "
    ):
        sensor(job_id, deferrable=deferrable).run()


@BOTH_MODES
@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_soft_fail_skips_when_the_run_ended_badly(emulator, workflow, status, deferrable):
    emulator.plan(seconds=0, status=status)
    job_id = emulator.start_run(workflow)

    with pytest.raises(AirflowSkipException):
        sensor(job_id, deferrable=deferrable, soft_fail=True).run()


@BOTH_MODES
def test_never_fail_skips_when_the_run_ended_badly(emulator, workflow, deferrable):
    emulator.plan(seconds=0, status="failed")
    job_id = emulator.start_run(workflow)

    with pytest.raises(AirflowSkipException):
        sensor(job_id, deferrable=deferrable, never_fail=True).run()


@BOTH_MODES
@pytest.mark.parametrize("more", [{}, {"soft_fail": True}, {"never_fail": True}], ids=str)
def test_its_timeout_ends_the_wait_and_leaves_the_run(emulator, workflow, deferrable, more):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    # Airflow itself takes `never_fail` for failures of a poke only, not for the timeout between two pokes.
    skips = more.get("soft_fail") or (more.get("never_fail") and deferrable)

    with pytest.raises(AirflowSkipException if skips else AirflowSensorTimeout):
        sensor(job_id, deferrable=deferrable, timeout=0.3, **more).run()

    assert (emulator.statuses(), emulator.cancels()) == (["running"], [])


def test_execution_timeout_counts_across_a_deferral(emulator, workflow):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    began = time.monotonic()

    with pytest.raises(AirflowSensorTimeout, match=r"^Not completed by the task's deadline"):
        sensor(job_id, deferrable=True, execution_timeout=timedelta(seconds=0.3)).run()

    assert time.monotonic() - began < 5
    assert emulator.cancels() == []


@pytest.fixture
def short_patience(monkeypatch):
    """Accept a refusal that was repeated for half a second."""
    monkeypatch.setattr("airflow_provider_sixtyfour.polling.failure_policy.REFUSAL_PATIENCE", 0.5)


@BOTH_MODES
def test_an_unknown_run_fails_after_some_time_and_may_be_tried_again(emulator, deferrable, short_patience):
    job_id = "00000000-0000-4000-8000-000000000000"

    with pytest.raises(SixtyfourWaitError, match=f"404: .* While checking the status of run {job_id}") as failure:
        sensor(job_id, deferrable=deferrable).run()

    assert not isinstance(failure.value, AirflowFailException)
    assert "As far as known the run is still at Sixtyfour: a retry of this sensor polls it again." in str(failure.value)
    assert failure.value.job_id == job_id
    assert len(emulator.status_checks()) > 3


@BOTH_MODES
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_that_passes_costs_nothing(emulator, workflow, deferrable, status):
    job_id = emulator.start_run(workflow)
    emulator.fault("answer", path=".*/live_status", status=status, body={"detail": "not now"}, times=5)

    assert sensor(job_id, deferrable=deferrable).run() == job_id


@BOTH_MODES
def test_soft_fail_skips_when_the_wait_is_given_up(emulator, workflow, deferrable, short_patience):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    emulator.fault("answer", path=".*/live_status", status=403, body={"detail": "no"}, times=1000)

    with pytest.raises(AirflowSkipException) as skipped:
        sensor(job_id, deferrable=deferrable, soft_fail=True).run()

    # Deferred, Airflow 3 puts words of its own before it.
    assert "the run is still at Sixtyfour" in f"{skipped.value} {skipped.value.__cause__}"
    assert (emulator.statuses(), emulator.cancels()) == (["running"], [])


@BOTH_MODES
@pytest.mark.parametrize("job_id", [None, "None", "", "a/b", 7])
def test_an_id_that_is_none_fails_for_good_and_sends_nothing(emulator, deferrable, job_id):
    with pytest.raises(AirflowFailException, match="job_id should be an id"):
        sensor(job_id, deferrable=deferrable).run()

    assert emulator.requests() == []


@BOTH_MODES
def test_an_outage_is_no_answer(emulator, workflow, deferrable, no_pauses):
    job_id = emulator.start_run(workflow)
    emulator.fault("answer", path=".*/live_status", status=502, body="<html>bad gateway</html>", times=2)
    emulator.fault("reset", path=".*/live_status", times=2)

    assert sensor(job_id, deferrable=deferrable).run() == job_id


@pytest.mark.skipif(airflow.__version__.startswith("2."), reason="Airflow 2 asks its database for earlier pokes")
def test_reschedule_mode_asks_once_each_time(emulator, workflow):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    one = sensor(job_id, mode="reschedule")
    one.ti.get_first_reschedule_date = lambda _: None

    for asked in (1, 2):
        with pytest.raises(AirflowRescheduleException):
            one.run()
        assert len(emulator.status_checks()) == asked
    emulator.set_status(job_id, "completed")

    assert one.run() == job_id
    assert emulator.cancels() == []


@BOTH_MODES
def test_a_kill_leaves_the_run(emulator, workflow, deferrable):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    one = sensor(job_id, deferrable=deferrable)
    if deferrable:
        assert one.defer().trigger.serialize()[1]["cancel_on_kill"] is False
    else:
        operator = one.operator()
        operator.poke(one.context)
        operator.on_kill()

    assert (emulator.statuses(), emulator.cancels()) == (["running"], [])


def test_its_poke_interval_is_the_poll_interval():
    assert SixtyfourRunSensor(task_id="wait", job_id="j").poke_interval == 10.0
    assert SixtyfourRunSensor(task_id="wait", job_id="j", poll_interval=3).poke_interval == 3.0


@pytest.mark.parametrize("poll_interval", [0, -1, float("nan"), "x"])
def test_a_poll_interval_that_is_none_is_refused(emulator, poll_interval):
    """On construction by Airflow (a ValueError, or its own in Airflow 2), else when it runs; nothing is asked."""
    with pytest.raises((AirflowException, ValueError)):
        sensor("j", poll_interval=poll_interval, deferrable=True).run()

    assert emulator.requests() == []


def test_its_templates(emulator, workflow, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", emulator.connection_json())
    job_id = emulator.start_run(workflow)
    one = Task(
        lambda: SixtyfourRunSensor(
            task_id="wait", job_id="{{ params.run }}", sixtyfour_conn_id="{{ 'other' }}", poll_interval=0.02
        ),
        params={"run": job_id},
    )

    assert one.run() == job_id
