"""The trigger: ids and numbers in, one event out, and no cancel but for a user's act on the deferred task."""

import asyncio
import json
import time
from types import SimpleNamespace

import pytest
from airflow.triggers.base import BaseTrigger

from airflow_provider_sixtyfour.exceptions import SixtyfourRefusedError, SixtyfourWaitError
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.runs.deadline import shown_time
from airflow_provider_sixtyfour.tasks import task_state
from airflow_provider_sixtyfour.triggers import sixtyfour as trigger_module
from airflow_provider_sixtyfour.triggers.sixtyfour import SixtyfourRunTrigger
from tests.unit.conftest import Empty, until
from tests.unit.standins import Task, events_of, fire, stored, through_serde

needs_on_kill = pytest.mark.skipif(
    not hasattr(BaseTrigger, "on_kill"), reason="this Airflow calls no on_kill of a trigger; 3.3 is the first that does"
)


def trigger(job_id, **arguments):
    given = {"sixtyfour_conn_id": "sixtyfour_default", "poll_interval": 0.02, "deadline": None, **arguments}
    return SixtyfourRunTrigger(job_id=job_id, **given)


def test_what_is_stored_is_what_it_was_made_of_and_no_secret(emulator, workflow):
    made_of = {
        "sixtyfour_conn_id": "c",
        "job_id": "j",
        "poll_interval": 2.5,
        "deadline": 1800000000.25,
        "cancel_on_kill": False,
        "may_be_unknown": 1.5,
        "refusal_patience": 60.0,
        "host": "https://api.example.com",
        "kind": "bulk",
        "workflow_id": "w",
    }
    one = SixtyfourRunTrigger(**made_of)

    path, kwargs = one.serialize()

    assert kwargs == made_of == through_serde(kwargs) == json.loads(json.dumps(kwargs))
    assert path == f"{SixtyfourRunTrigger.__module__}.{SixtyfourRunTrigger.__qualname__}"
    assert stored(one).serialize() == (path, kwargs)
    assert emulator.api_key not in json.dumps(kwargs)


def test_what_an_older_version_has_stored_still_runs(emulator, workflow):
    job_id = emulator.start_run(workflow)
    kwargs = {"sixtyfour_conn_id": "sixtyfour_default", "job_id": job_id, "poll_interval": 0.02, "deadline": None}

    assert fire(SixtyfourRunTrigger(**kwargs))["ended"]["status"] == "completed"


def test_a_completed_run_is_one_event_of_plain_types(emulator, workflow):
    job_id = emulator.start_run(workflow)

    payload = fire(trigger(job_id))

    assert payload == {
        "job_id": job_id,
        "ended": {
            "job_id": job_id,
            "status": "completed",
            "workflow_id": workflow,
            "block": None,
            "message": None,
            "metrics": {},
            "last_block": 2,
            "seconds": payload["ended"]["seconds"],
            "blocks": ["webhook", "company_enrichment"],
        },
    }


def test_a_failed_run_brings_its_details_along(emulator, workflow):
    emulator.plan(seconds=0, fail_block=1, error_message="the rows are odd")
    job_id = emulator.start_run(workflow)

    ended = fire(trigger(job_id))["ended"]

    assert (ended["status"], ended["block"], ended["message"]) == ("failed", "'webhook' (1)", "the rows are odd")


def test_the_deadline_is_an_event_with_the_progress(emulator, workflow):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)

    ends_at = time.time() + 0.2
    payload = fire(trigger(job_id, deadline=ends_at))

    assert payload == {
        "job_id": job_id,
        "deadline": (
            f"Not completed by the task's deadline ({shown_time(ends_at)}): running 0 %, block 'webhook' (1), "
            "0 of 2 rows."
        ),
    }
    assert emulator.cancels() == []  # that is for the worker, which may also find it completed


def test_a_deadline_that_passed_while_no_triggerer_ran_comes_at_once(emulator, workflow):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    began = time.monotonic()

    assert "deadline" in fire(trigger(job_id, deadline=time.time() - 3600, poll_interval=30))
    assert time.monotonic() - began < 2


def test_a_run_that_ended_while_no_triggerer_ran_has_ended_all_the_same(emulator, workflow):
    emulator.plan(seconds=0)
    job_id = emulator.start_run(workflow)

    assert fire(trigger(job_id, deadline=time.time() - 3600))["ended"]["status"] == "completed"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_that_stays_is_an_event(emulator, workflow, status):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    emulator.fault("answer", path=".*/live_status", status=status, body={"detail": "no"}, times=100)

    payload = fire(trigger(job_id, refusal_patience=0.5, may_be_unknown=0.0))

    assert (payload["job_id"], set(payload)) == (job_id, {"job_id", "refused"})
    assert f"answered {status}" in payload["refused"]
    assert "so the run is no longer waited for" in payload["refused"]
    assert len(emulator.status_checks()) > 3
    assert (emulator.statuses(), emulator.cancels()) == (["running"], [])


@pytest.mark.parametrize("status", [302, 304, 400, 401, 403, 404, 405, 407, 409, 410, 413, 418, 422, 499])
@pytest.mark.parametrize("body", [{"detail": "odd"}, "<html><title>Blocked</title></html>"], ids=["json", "html"])
def test_one_odd_answer_ends_nothing(emulator, workflow, status, body, no_pauses):
    job_id = emulator.start_run(workflow)
    emulator.fault("answer", path=".*/live_status", status=status, body=body)

    assert fire(trigger(job_id))["ended"]["status"] == "completed"


def test_a_missing_connection_is_an_event_and_the_run_keeps_running(emulator, workflow, monkeypatch, backends):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    backends(Empty())
    monkeypatch.delenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT")

    payload = fire(trigger(job_id))

    assert (payload["job_id"], set(payload)) == (job_id, {"job_id", "refused"})
    assert payload["refused"].startswith("Connection 'sixtyfour_default' is not defined")
    assert emulator.statuses() == ["running"]


@pytest.mark.parametrize(
    ("event", "error", "expected"),
    [
        ({"refused": "no access", "job_id": "j"}, SixtyfourWaitError, "no access. The run may still be in progress"),
        ({"broken": "no memory", "job_id": "j"}, SixtyfourWaitError, "no memory. The run may still be in progress"),
        ({"job_id": "j"}, SixtyfourWaitError, "Unreadable event of the trigger"),
        (None, SixtyfourWaitError, "Unreadable event of the trigger"),
        ({"ended": {"job_id": 1}}, SixtyfourWaitError, "Unreadable event of the trigger"),
        ("text", SixtyfourWaitError, "Unreadable event of the trigger"),
    ],
    ids=str,
)
def test_what_a_task_makes_of_an_event_that_is_no_end(emulator, event, error, expected):
    one = Task(lambda: SixtyfourRunWorkflowOperator(task_id="run", workflow_id="w"))

    with pytest.raises(error, match=expected) as failure:
        one.operator().execute_complete(one.context, event)

    assert not isinstance(failure.value, SixtyfourRefusedError)
    assert emulator.cancels() == []


def test_an_event_of_a_later_version_is_understood(emulator):
    one = Task(lambda: SixtyfourRunWorkflowOperator(task_id="run", workflow_id="w"))
    event = {"job_id": "j", "ended": {"job_id": "j", "status": "completed", "credits": 7}, "more": 1}

    assert one.operator().execute_complete(one.context, event) == "j"


def test_it_yields_once_and_returns_at_once(emulator, workflow):
    emulator.plan(seconds=0)
    job_id = emulator.start_run(workflow)

    async def drive():
        stream = trigger(job_id).run()
        await anext(stream)
        began = time.monotonic()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        return time.monotonic() - began

    assert asyncio.run(drive()) < 0.05


def test_no_event_in_the_first_seconds_of_a_trigger(emulator, workflow, monkeypatch):
    """Airflow's LocalExecutor loses tasks that are queued again so soon."""
    monkeypatch.setattr(trigger_module, "SETTLING", 0.6)
    emulator.plan(seconds=0)
    job_id = emulator.start_run(workflow)
    began = time.monotonic()

    fire(trigger(job_id))

    assert time.monotonic() - began >= 0.6


def test_a_trigger_that_is_stopped_leaves_the_run_alone_and_closes_its_connections(emulator, workflow):
    """A shutdown, a restart, a move to another triggerer: run() is cancelled, and that is all."""
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)

    async def stop_in_the_middle():
        running = asyncio.create_task(events_of(trigger(job_id)))
        await asyncio.to_thread(until, emulator.status_checks)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert asyncio.run(stop_in_the_middle()) == []
    assert (emulator.statuses(), emulator.cancels()) == (["running"], [])


def test_another_trigger_goes_on_with_the_same_run(emulator, workflow):
    emulator.plan(seconds=0.5)
    job_id = emulator.start_run(workflow)

    async def two_in_turn():
        first = asyncio.create_task(events_of(trigger(job_id)))
        await asyncio.sleep(0.2)
        first.cancel()
        return await events_of(stored(trigger(job_id)))

    [event] = asyncio.run(two_in_turn())
    assert event.payload["ended"]["status"] == "completed"
    assert len(emulator.runs()) == 1


def test_many_waits_never_block_the_loop(emulator, workflow):
    """Airflow warns when the loop of a triggerer stands still for 0.2 s."""
    emulator.plan(seconds=0.6, times=10)
    jobs = [emulator.start_run(workflow) for _ in range(10)]

    async def wait_for_all():
        longest = 0.0
        waits = asyncio.gather(*(events_of(trigger(job_id, poll_interval=0.2)) for job_id in jobs))
        while not waits.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        return longest, await waits

    longest, ends = asyncio.run(wait_for_all())
    assert [one.payload["ended"]["status"] for [one] in ends] == ["completed"] * 10
    assert longest < 1.0  # what the machine is busy with counts too; a blocking call would add up to far more


def test_a_hook_is_used_from_a_running_loop(emulator, workflow):
    async def ask():
        async with await SixtyfourHook().open_async_client() as client:
            from airflow_provider_sixtyfour.api import calls

            return await client.send(calls.get_workflow(workflow))

    assert asyncio.run(ask()).id == workflow


# A user's act, or the loss of the trigger to another triggerer


class Supervisor:
    """
    The channel to the triggerer's supervisor, as far as the trigger uses it.

    :param states: the task instances' states, as Airflow's API shows them.
    :param job_id: what the task's XCom holds.
    :param delay: seconds that each answer takes.
    """

    def __init__(self, states, job_id, delay=0.0, broken=0):
        self.states, self.job_id, self.delay, self.broken = states, job_id, delay, broken
        self.asked = []

    async def asend(self, message):
        from airflow.sdk.execution_time.comms import GetTaskStates, GetXCom, TaskStatesResult, XComResult

        if not isinstance(message, GetTaskStates | GetXCom):
            return None  # a secret to mask
        self.asked.append(message)
        await asyncio.sleep(self.delay)
        if self.broken:
            self.broken -= 1
            raise ConnectionError("the supervisor hung up")
        if isinstance(message, GetTaskStates):
            return TaskStatesResult(task_states=self.states)
        return XComResult(key=message.key, value=self.job_id)

    def send(self, message):
        return None


@pytest.fixture
def supervisor(monkeypatch):
    def install(*arguments, **more):
        from airflow.sdk.execution_time import task_runner

        channel = Supervisor(*arguments, **more)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", channel, raising=False)
        return channel

    return install


@pytest.fixture
def running_id(emulator, workflow):
    """A run that keeps running."""
    emulator.plan(seconds=1000)
    return emulator.start_run(workflow)


def of_a_task(one, map_index=-1):
    one.task_instance = SimpleNamespace(
        dag_id="enrich", run_id="r1", task_id="run", map_index=map_index, try_number=1, id="ti"
    )
    return one


def killed(one, cancel_after=None):
    """Call on_kill as the triggerer does, which may cancel that call soon; then keep the loop running for a while."""

    async def kill():
        call = asyncio.create_task(one.on_kill())
        if cancel_after is not None:
            for pause in cancel_after:
                await asyncio.sleep(pause)
                call.cancel()
        result = await asyncio.gather(call, return_exceptions=True)
        await asyncio.gather(*trigger_module._cancellations)
        return result

    return asyncio.run(kill())


@needs_on_kill
@pytest.mark.parametrize(("map_index", "key"), [(-1, "run"), (3, "run_3")], ids=["plain", "mapped"])
def test_a_task_that_still_waits_keeps_its_run(emulator, running_id, supervisor, map_index, key, logs):
    channel = supervisor({"r1": {key: "deferred"}}, running_id)

    killed(of_a_task(trigger(running_id), map_index))

    assert emulator.cancels() == []
    assert "its task still waits for it, in another triggerer" in logs
    states, xcom = channel.asked
    assert (states.dag_id, states.run_ids, states.task_ids) == ("enrich", ["r1"], ["run"])
    assert states.map_index == (None if map_index < 0 else map_index)
    assert (xcom.key, xcom.task_id, xcom.map_index) == ("job_id", "run", map_index)


@needs_on_kill
@pytest.mark.parametrize(
    "states",
    [
        {"r1": {"run": "failed"}},
        {"r1": {"run": "success"}},
        {"r1": {"run": None}},
        {"r1": {"run": "queued"}},
        {"r1": {"other": "deferred"}},
        {"r1": {"run_3": "deferred"}},
        {},
    ],
    ids=[
        "marked failed",
        "marked success",
        "cleared",
        "queued again",
        "not there",
        "a mapped sister",
        "Dag run deleted",
    ],
)
def test_a_task_that_no_longer_waits_has_its_run_cancelled_once(emulator, running_id, supervisor, states):
    supervisor(states, running_id)

    killed(of_a_task(trigger(running_id)))

    assert (emulator.statuses(), len(emulator.cancels())) == (["cancelled"], 1)


@needs_on_kill
@pytest.mark.parametrize("job_id", ["another-run", None], ids=str)
def test_a_task_that_waits_for_another_run_has_this_one_cancelled(emulator, running_id, supervisor, job_id):
    """Cleared, and deferred again already: the new try's run is not this one."""
    supervisor({"r1": {"run": "deferred"}}, job_id)

    killed(of_a_task(trigger(running_id)))

    assert emulator.statuses() == ["cancelled"]


@needs_on_kill
def test_a_channel_that_stays_broken_leaves_the_run_alone(emulator, running_id, supervisor, logs, monkeypatch):
    monkeypatch.setattr(task_state, "SECONDS_A_TRY", 0.2)
    supervisor({"r1": {"run": "failed"}}, running_id, broken=100)

    killed(of_a_task(trigger(running_id)))

    assert (emulator.statuses(), emulator.cancels()) == (["running"], [])
    assert "The run is not cancelled: whether its task still waits for it could not be read" in logs


@needs_on_kill
def test_a_channel_that_never_answers_leaves_the_run_alone(emulator, running_id, supervisor, monkeypatch):
    monkeypatch.setattr(task_state, "SECONDS_A_TRY", 0.05)
    monkeypatch.setattr(task_state, "TRIES", 2)
    supervisor({"r1": {"run": "failed"}}, running_id, delay=60)

    killed(of_a_task(trigger(running_id)))

    assert emulator.statuses() == ["running"]


@needs_on_kill
def test_a_request_over_a_channel_that_breaks_once_is_repeated(emulator, running_id, supervisor):
    supervisor({"r1": {"run": "failed"}}, running_id, broken=1)

    killed(of_a_task(trigger(running_id)))

    assert emulator.statuses() == ["cancelled"]


@needs_on_kill
@pytest.mark.parametrize("cancel_after", [[0.05], [0.05, 0.1], [0.0]], ids=["once", "twice", "before it begins"])
def test_the_triggerer_cutting_on_kill_short_does_not_stop_the_cancel(emulator, running_id, supervisor, cancel_after):
    """It gives on_kill about one second, while a first answer in a cold triggerer takes longer."""
    supervisor({"r1": {"run": "failed"}}, running_id, delay=0.3)

    killed(of_a_task(trigger(running_id)), cancel_after)

    if cancel_after == [0.0]:
        assert len(emulator.cancels()) <= 1
    else:
        assert (emulator.statuses(), len(emulator.cancels())) == (["cancelled"], 1)


@needs_on_kill
def test_a_trigger_that_may_not_cancel_asks_nobody(emulator, running_id, supervisor):
    channel = supervisor({"r1": {"run": "failed"}}, running_id)

    killed(of_a_task(trigger(running_id, cancel_on_kill=False)))

    assert (channel.asked, emulator.cancels()) == ([], [])


@needs_on_kill
@pytest.mark.parametrize("status", [400, 404])
def test_a_run_that_has_ended_or_no_longer_exists_is_no_error(emulator, running_id, supervisor, logs, status):
    supervisor({"r1": {"run": "failed"}}, running_id)
    emulator.fault("answer", path="/workflows/cancel", status=status, body={"detail": "it has ended"})

    killed(of_a_task(trigger(running_id)))

    assert logs.texts("error") == []


@needs_on_kill
def test_a_cancel_that_fails_is_logged_with_the_run(emulator, running_id, supervisor, logs, no_pauses):
    supervisor({"r1": {"run": "failed"}}, running_id)
    emulator.fault("answer", path="/workflows/cancel", status=403, body={"detail": "may not"}, times=10)

    killed(of_a_task(trigger(running_id)))

    [line] = logs.texts("error")
    assert line.startswith("The run could not be cancelled and may keep running: Sixtyfour answered 403")
    assert line.endswith(f"Run {running_id}.")


@needs_on_kill
def test_a_cancel_during_an_outage_is_tried_again(emulator, running_id, supervisor, no_pauses):
    supervisor({"r1": {"run": "failed"}}, running_id)
    emulator.fault("reset", path="/workflows/cancel", times=2)

    killed(of_a_task(trigger(running_id)))

    assert emulator.statuses() == ["cancelled"]


@needs_on_kill
def test_on_kill_in_the_middle_of_a_wait_as_the_triggerer_does_it(emulator, running_id, supervisor):
    """The wait is cancelled first, then on_kill is called and cut short; the run is cancelled all the same."""
    supervisor({"r1": {"run": "failed"}}, running_id, delay=0.2)
    one = of_a_task(trigger(running_id))

    async def user_acts():
        async def run_trigger():
            try:
                async for _ in one.run():
                    pass
            except asyncio.CancelledError:
                await asyncio.wait_for(one.on_kill(), 30)

        running = asyncio.create_task(run_trigger())
        await asyncio.to_thread(until, emulator.status_checks)
        running.cancel()
        await asyncio.sleep(0.05)
        running.cancel()  # the triggerer's next sync
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.to_thread(until, emulator.cancels)
        await asyncio.gather(*trigger_module._cancellations)

    asyncio.run(user_acts())
    assert (emulator.statuses(), len(emulator.cancels())) == (["cancelled"], 1)
