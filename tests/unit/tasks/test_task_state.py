"""A task is stopped from outside: its run is kept for a next try that reattaches to it, and cancelled otherwise."""

import re
import signal
import threading
import time
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_sixtyfour.exceptions import SixtyfourError
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from tests.unit.conftest import ROWS
from tests.unit.standins import StateStore, Task


def task(workflow, *, store=True, map_index=-1, try_number=1, **arguments):
    arguments = {"webhook_payload": ROWS, "poll_interval": 30, "deferrable": False, **arguments}
    return Task(
        lambda: SixtyfourRunWorkflowOperator(task_id="run", workflow_id=workflow, **arguments),
        store=StateStore() if store else None,
        map_index=map_index,
        try_number=try_number,
    )


def stopped(one, at_signal, condition):
    """Run a try of a task that is stopped once the condition holds, and return the end of its log."""
    operator = one.operator()
    at_signal(condition, operator.on_kill)
    began = time.monotonic()
    with pytest.raises(SixtyfourError, match="The task was stopped") as end:
        one.go(operator)
    assert time.monotonic() - began < 5  # what Airflow gives a task
    return str(end.value)


@pytest.mark.parametrize("map_index", [-1, 3])
@pytest.mark.parametrize("state", ["running", "up_for_retry", "scheduled", "queued", "deferred"])
def test_a_stop_that_no_user_asked_for_keeps_the_run_for_the_next_try(emulator, workflow, at_signal, state, map_index):
    emulator.plan(seconds=2)
    one = task(workflow, map_index=map_index)
    one.ti.state = state

    end = stopped(one, at_signal, emulator.status_checks)

    assert end.endswith("The next try reattaches to it.")
    assert emulator.cancels() == []
    one.ti.try_number = 2
    one.make = lambda: SixtyfourRunWorkflowOperator(
        task_id="run", workflow_id=workflow, webhook_payload=ROWS, poll_interval=0.02
    )
    assert one.run() == emulator.runs()[0]["job_id"]
    assert emulator.statuses() == ["completed"]


@pytest.mark.parametrize("map_index", [-1, 3])
@pytest.mark.parametrize("state", ["failed", "success", "restarting", "skipped", "removed", None])
def test_a_users_stop_cancels_the_run(emulator, workflow, at_signal, state, map_index):
    emulator.plan(seconds=20)
    one = task(workflow, map_index=map_index)
    one.ti.state = state

    end = stopped(one, at_signal, emulator.status_checks)

    assert "next try" not in end
    assert (emulator.statuses(), len(emulator.cancels())) == (["cancelled"], 1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"try_number": 4}, "no try is left"),
        ({"durable": False}, "the next try starts its own run"),
        ({"store": False}, "an older Airflow can't be asked from a thread"),
    ],
)
def test_a_run_that_no_next_try_goes_on_with_is_cancelled_unasked(emulator, workflow, at_signal, arguments, reason):
    emulator.plan(seconds=20)
    one = task(workflow, **arguments)

    stopped(one, at_signal, emulator.status_checks)

    assert (emulator.statuses(), one.ti.states_asked) == (["cancelled"], 0), reason


def test_a_run_is_kept_where_airflow_gives_no_answer(emulator, workflow, at_signal, monkeypatch):
    """Its API server is away, and for that its supervisors stop tasks that wait on a worker."""
    emulator.plan(seconds=20)
    one = task(workflow)

    def nobody_answers(**_):
        raise RuntimeError("API_SERVER_ERROR")

    monkeypatch.setattr(one.ti, "get_task_states", nobody_answers)

    stopped(one, at_signal, emulator.status_checks)

    assert (emulator.statuses(), emulator.cancels()) == (["running"], [])


@pytest.mark.usefixtures("at_signal")
def test_the_request_waits_for_a_lock_that_the_stopped_code_holds(emulator, workflow, monkeypatch):
    """Airflow's channel has one, and the signal may come while the task itself uses the channel."""
    emulator.plan(seconds=20)
    one = task(workflow)
    one.ti.state = "failed"
    operator, channel, answer = one.operator(), threading.Lock(), one.ti.get_task_states

    def ask(**request):
        with channel:
            return answer(**request)

    def wait_using_the_channel(self, job_id, **_):
        with channel:
            signal.raise_signal(signal.SIGUSR1)
        self.stop_if_killed()

    monkeypatch.setattr(one.ti, "get_task_states", ask)
    monkeypatch.setattr("airflow_provider_sixtyfour.tasks.run_control.RunControl.wait", wait_using_the_channel)
    signal.signal(signal.SIGUSR1, lambda *_: operator.on_kill())
    with pytest.raises(SixtyfourError, match="The task was stopped"):
        one.go(operator)

    assert emulator.statuses() == ["cancelled"]


@pytest.mark.usefixtures("at_signal")  # puts the handler back
@pytest.mark.parametrize("arguments", [{}, {"try_number": 4}, {"store": False}], ids=str)
def test_a_kill_in_the_middle_of_a_line_of_the_log(emulator, workflow, monkeypatch, arguments):
    """Airflow's log has a lock that its holder can't take again; the handler may have interrupted just that."""
    emulator.plan(seconds=20)
    one = task(workflow, **arguments)
    one.ti.state = "failed"
    operator, lock = one.operator(), threading.Lock()
    signal.signal(signal.SIGUSR1, lambda *_: operator.on_kill())

    def write(event, *values):
        assert lock.acquire(timeout=10), f"nobody can log {event % values!r} any more"
        try:
            if re.match(r"Running \d+ %", event % values):
                signal.raise_signal(signal.SIGUSR1)
        finally:
            lock.release()

    log = SimpleNamespace(info=write, warning=write, error=write)
    monkeypatch.setattr(operator._control, "_log", log)
    with pytest.raises(SixtyfourError, match="The task was stopped"):
        one.go(operator)

    assert (emulator.statuses(), len(emulator.cancels())) == (["cancelled"], 1)


@pytest.mark.parametrize(("state", "status"), [("failed", "cancelled"), ("running", "running")])
def test_a_stop_during_the_submission(emulator, workflow, at_signal, state, status):
    emulator.plan(seconds=20)
    emulator.fault("delay", method="POST", path="/workflows/run", when="after", delay=1.0)
    one = task(workflow)
    one.ti.state = state

    stopped(one, at_signal, emulator.runs)

    assert emulator.statuses() == [status]
    assert len({sent["idempotency_key"] for sent in emulator.submissions()}) == 1


def test_a_timeout_cancels_whatever_tries_are_left(emulator, workflow, at_signal):
    """Airflow's own timer raises first, then calls ``on_kill`` of a task that it calls running."""
    emulator.plan(seconds=20)
    one = task(workflow, timeout=0.5)
    operator = one.operator()

    def time_out():
        time.sleep(0.5)
        raise AirflowTaskTimeout("Timeout")

    at_signal(emulator.status_checks, time_out)
    with pytest.raises(AirflowTaskTimeout):
        one.go(operator)
    operator.on_kill()

    assert (emulator.statuses(), one.ti.states_asked) == (["cancelled"], 0)
