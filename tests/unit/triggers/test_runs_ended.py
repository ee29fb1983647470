"""The trigger of an asset watcher, over a socket: every run that ends is announced, and none of it is lost."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.hooks import resolving
from airflow_provider_sixtyfour.runs import ended
from airflow_provider_sixtyfour.tasks import asset_memory
from airflow_provider_sixtyfour.triggers import runs_ended
from airflow_provider_sixtyfour.triggers.runs_ended import SixtyfourRunsEndedTrigger
from tests.emulator_process import EmulatorProcess
from tests.unit.conftest import until
from tests.unit.standins import stored, through_serde

CONNECTION = "AIRFLOW_CONN_SIXTYFOUR_DEFAULT"
LIST = "/workflows/runs"


@pytest.fixture(autouse=True)
def _often(monkeypatch, no_pauses):
    """Poll every 0.05 s, and read a connection again each time."""
    monkeypatch.setattr(runs_ended, "SHORTEST_POLL", 0.01)
    monkeypatch.setattr(runs_ended, "SCHEDULED_WITHIN", 0.0)
    monkeypatch.setattr("airflow_provider_sixtyfour.api.retry.pause", lambda *_: 0.02)
    monkeypatch.setattr(resolving, "READ_ONCE_IN", 0.0)


class Store:
    """The ``asset_state_store`` of one asset, kept as JSON text; it outlives a triggerer."""

    def __init__(self):
        self.texts = {}
        self.writes = 0
        self.broken = None
        self.hold_before = self.hold_after = None

    async def aget(self, key, default=None):
        if self.broken:
            raise self.broken
        return json.loads(self.texts[key]) if key in self.texts else default

    async def aset(self, key, value):
        if self.broken:
            raise self.broken
        if self.hold_before and value["seen"]:
            self.hold_before.set()
            await asyncio.sleep(3600)
        self.texts[key] = json.dumps(value, allow_nan=False)
        self.writes += 1
        if self.hold_after and value["seen"]:
            self.hold_after.set()
            await asyncio.sleep(3600)

    def values(self):
        return [json.loads(text) for text in self.texts.values()]


class Watcher:
    """
    A watcher in a triggerer of its own; the events that it has fired.

    :param dies: whether the triggerer dies of the first event.
    """

    def __init__(self, trigger, store=None, dies=False):
        self.trigger = stored(trigger)
        if store is not None:
            self.trigger.asset_state_store = store
        self.payloads = []
        self._dies = dies
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        async for event in self.trigger.run():
            self.payloads.append(through_serde(event.payload))
            if self._dies:
                raise asyncio.CancelledError

    def ids(self):
        return [payload["job_id"] for payload in self.payloads]

    async def kill(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.trigger.cleanup()

    def is_alive(self):
        return not self._task.done()


def watching(workflow, **arguments):
    return SixtyfourRunsEndedTrigger(workflow, **{"poll_interval": 0.05, **arguments})


@asynccontextmanager
async def watcher(trigger, store=None):
    one = Watcher(trigger, store)
    try:
        yield one
    finally:
        await one.kill()


async def soon(condition):
    return await asyncio.to_thread(until, condition)


def polls(emulator):
    return [one for one in emulator.asked("GET", LIST) if one["status"] == 200]


async def polled(emulator, times=2):
    """Wait until as many polls more have begun: all but the last of them have been worked off."""
    before = len(polls(emulator))
    await soon(lambda: len(polls(emulator)) >= before + times)


async def completed(emulator, workflow, count=1):
    """Let somebody else start runs, and wait until they have completed."""
    jobs = [await asyncio.to_thread(emulator.start_run, workflow) for _ in range(count)]
    await soon(lambda: {run["status"] for run in emulator.runs() if run["job_id"] in jobs} == {"completed"})
    return jobs


# What it is made of


def test_its_arguments_are_its_identity_plain_and_in_one_form():
    one = SixtyfourRunsEndedTrigger("w-1", ("FAILED", "completed", "canceled"), 60, "c")
    same = SixtyfourRunsEndedTrigger("w-1", ["cancelled", "completed", "failed", "failed"], 60.0, "c")

    path, kwargs = one.serialize()

    assert kwargs == {
        "workflow_id": "w-1",
        "statuses": ["completed", "cancelled", "failed"],
        "poll_interval": 60.0,
        "sixtyfour_conn_id": "c",
    }
    assert kwargs == through_serde(kwargs) == json.loads(json.dumps(kwargs))
    assert list(kwargs) == list(same.serialize()[1])
    assert BaseEventTrigger.hash(path, kwargs) == BaseEventTrigger.hash(*same.serialize())
    assert stored(one).serialize() == (path, kwargs)
    assert path == f"{SixtyfourRunsEndedTrigger.__module__}.{SixtyfourRunsEndedTrigger.__qualname__}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workflow_id": "{{ params.workflow_id }}"}, "workflow_id should be an id"),
        ({"workflow_id": ""}, "workflow_id should be an id"),
        ({"statuses": ("done",)}, "no run ends with"),
        ({"poll_interval": 4}, "5 seconds or more"),
        ({"poll_interval": "60"}, "5 seconds or more"),
        ({"poll_interval": float("nan")}, "5 seconds or more"),
        ({"sixtyfour_conn_id": ""}, "sixtyfour_conn_id"),
    ],
)
def test_what_can_not_be_right_is_refused_where_the_dag_is_read(monkeypatch, arguments, message):
    monkeypatch.setattr(runs_ended, "SHORTEST_POLL", 5.0)

    with pytest.raises(SixtyfourInputError, match=message):
        SixtyfourRunsEndedTrigger(**{"workflow_id": "w", **arguments})


# What it announces


async def test_three_runs_of_somebody_else_are_three_events_and_nothing_older_is(emulator, workflow, logs):
    await completed(emulator, workflow, 2)
    async with watcher(watching(workflow), Store()) as one:
        await polled(emulator)
        jobs = await completed(emulator, workflow, 3)
        await soon(lambda: len(one.payloads) >= 3)
        await polled(emulator, 3)

    assert one.ids() == jobs
    metrics = one.payloads[0].pop("metrics")
    assert one.payloads[0] == {"job_id": jobs[0], "workflow_id": workflow, "status": "completed"}
    assert (metrics["rows_in"], metrics["rows_out"]) == (2, 2)
    assert "Begins: 2 runs are over already" in logs
    assert emulator.submissions() == []


async def test_only_runs_of_its_workflow_and_of_its_statuses_are_announced(emulator, workflow):
    other = emulator.store_workflow()
    async with watcher(watching(workflow, statuses=("failed",)), Store()) as one:
        await polled(emulator)
        emulator.plan(seconds=0, fail_block=1, times=1)
        failed = await asyncio.to_thread(emulator.start_run, workflow)
        await completed(emulator, workflow)
        await completed(emulator, other)
        await soon(lambda: one.payloads)
        await polled(emulator, 3)

    assert [(each["job_id"], each["status"]) for each in one.payloads] == [(failed, "failed")]


@pytest.mark.parametrize("spelling", ["canceled", "Cancelled", "timed_out", "TIMEOUT"])
async def test_a_status_in_another_spelling_is_announced_in_one(emulator, workflow, spelling):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    async with watcher(watching(workflow, statuses=("cancelled", "timeout")), Store()) as one:
        await polled(emulator)
        emulator.set_status(job_id, spelling)
        await soon(lambda: one.payloads)

    assert [each["status"] for each in one.payloads] == ["cancelled" if spelling.lower().startswith("c") else "timeout"]


async def test_without_a_workflow_all_runs_of_the_organisation_are_watched_bulk_jobs_too(emulator, workflow):
    other = emulator.store_workflow()
    async with watcher(watching(None), Store()) as one:
        await polled(emulator)
        jobs = [*await completed(emulator, workflow), *await completed(emulator, other)]
        await soon(lambda: set(jobs) <= set(one.ids()))

    assert {each["workflow_id"] for each in one.payloads if each["job_id"] in jobs} == {workflow, other}


async def test_two_watchers_of_one_asset_each_have_their_own_memory(emulator, workflow):
    """Also of the same workflow: what one has announced, the other may not have."""
    other, store = emulator.store_workflow(), Store()
    triggers = [watching(workflow), watching(other), watching(workflow, statuses=("failed", "completed"))]
    async with watcher(triggers[0], store) as a, watcher(triggers[1], store) as b, watcher(triggers[2], store) as c:
        await polled(emulator, 6)
        [mine], [its] = await completed(emulator, workflow), await completed(emulator, other)
        await soon(lambda: a.payloads and b.payloads and c.payloads)
        await soon(lambda: sum(its in value["seen"] or mine in value["seen"] for value in store.values()) == 3)

    assert (a.ids(), b.ids(), c.ids()) == ([mine], [its], [mine])
    assert len(store.texts) == 3


# Restarts


async def test_what_ended_while_no_triggerer_ran_is_announced_after_the_restart(emulator, workflow):
    store = Store()
    async with watcher(watching(workflow), store) as first:
        await polled(emulator)
        before = await completed(emulator, workflow)
        await soon(lambda: first.ids() == before)
        await soon(lambda: store.values()[0]["seen"] == before)
    meanwhile = await completed(emulator, workflow, 2)
    async with watcher(watching(workflow), store) as second:
        await soon(lambda: len(second.payloads) >= 2)
        await polled(emulator, 3)

    assert second.ids() == meanwhile


async def test_the_last_of_several_is_held_back_until_the_scheduler_has_seen_the_first(emulator, workflow, monkeypatch):
    store, trigger = Store(), watching(workflow)
    async with watcher(trigger, store):
        await soon(lambda: store.writes)
    jobs = await completed(emulator, workflow, 3)
    monkeypatch.setattr(runs_ended, "SCHEDULED_WITHIN", 1000.0)
    async with watcher(trigger, store) as held:
        await soon(lambda: len(held.payloads) == 2)
        await asyncio.sleep(0.3)
        assert held.ids() == jobs[:2]
    monkeypatch.setattr(runs_ended, "SCHEDULED_WITHIN", 0.0)
    async with watcher(trigger, store) as one:
        await soon(lambda: len(one.payloads) == 3)
        monkeypatch.setattr(runs_ended, "SCHEDULED_WITHIN", 1000.0)
        jobs += await completed(emulator, workflow)
        await asyncio.sleep(0.3)

    assert one.ids() == jobs[:3]  # the next one, too, is held back until so long after the one before it


@pytest.mark.parametrize("point", ["at the event", "in the next poll", "before the store", "after the store"])
async def test_a_triggerer_that_is_killed_may_repeat_and_never_loses(emulator, workflow, point):
    """What it has announced is stored once it has polled again, when Airflow has stored the events."""
    store, held, trigger = Store(), asyncio.Event(), watching(workflow)
    one = Watcher(trigger, store, dies=point == "at the event")
    await soon(lambda: store.writes == 1)
    if point == "before the store":
        store.hold_before = held
    if point == "after the store":
        store.hold_after = held
    jobs = await completed(emulator, workflow)
    await soon(lambda: one.ids() == jobs)
    if point == "at the event":
        await soon(lambda: not one.is_alive())
    if point == "in the next poll":
        store.broken = RuntimeError("it is too early")
        emulator.fault("hang", path=LIST, times=None)
        await soon(lambda: any(each["fired"] for each in emulator.faults()))
    if point.endswith("the store"):
        await asyncio.wait_for(held.wait(), 10)
    await one.kill()
    assert store.values()[0]["seen"] == (jobs if point == "after the store" else [])
    store.hold_before = store.hold_after = store.broken = None
    emulator.clear()

    jobs += await completed(emulator, workflow)
    async with watcher(trigger, store) as two:
        await soon(lambda: jobs[1] in two.ids())
        await polled(emulator, 3)

    assert two.ids() == (jobs[1:] if point == "after the store" else jobs)


async def test_a_watcher_that_is_stopped_never_cancels_what_airflow_s_channel_is_waited_on_for(emulator, workflow):
    cancelled = []

    class Slow(Store):
        async def aget(self, key, default=None):
            try:
                await asyncio.sleep(0.3)
            except asyncio.CancelledError:
                cancelled.append(key)
                raise
            return default

    one = Watcher(watching(workflow), Slow())
    await asyncio.sleep(0.1)
    await one.kill()
    await asyncio.gather(*asset_memory._under_way)

    assert cancelled == []


@pytest.mark.parametrize("value", [7, "x", ["j"], {"host": 1}, {"host": "h", "seen": [7], "active": []}], ids=str)
async def test_a_memory_of_another_form_is_warned_of_and_announces_nothing_old(emulator, workflow, logs, value):
    store, [old] = Store(), await completed(emulator, workflow)
    async with watcher(watching(workflow), store):
        await soon(lambda: store.writes)
    [key] = store.texts
    store.texts[key] = json.dumps(value)

    async with watcher(watching(workflow), store) as one:
        await soon(lambda: store.texts[key] != json.dumps(value))
        [new] = await completed(emulator, workflow)
        await soon(lambda: one.payloads)

    assert one.ids() == [new]
    assert [text for text in logs.texts("warning") if "has another form" in text]
    assert len([text for text in logs.texts("info") if "Begins: 1 runs are over already" in text]) == 2
    assert old in store.values()[0]["seen"]


async def test_a_store_that_can_not_be_read_is_waited_for(emulator, workflow, logs):
    store, _ = Store(), await completed(emulator, workflow)
    async with watcher(watching(workflow), store) as first:
        await polled(emulator)
        jobs = await completed(emulator, workflow)
        await soon(lambda: first.ids() == jobs)
    store.broken = RuntimeError("the API server is away")
    async with watcher(watching(workflow), store) as one:
        await soon(lambda: "the API server is away" in logs)
        await asyncio.sleep(0.3)
        meanwhile = await completed(emulator, workflow)
        assert one.payloads == []
        store.broken = None
        await soon(lambda: meanwhile[0] in one.ids())

    assert len([text for text in logs.texts("warning") if "the API server is away" in text]) == 1


async def test_a_store_that_can_not_be_written_stops_no_event(emulator, workflow, logs):
    store = Store()
    async with watcher(watching(workflow), store) as one:
        await soon(lambda: store.writes)
        store.broken = RuntimeError("the API server is away")
        jobs = await completed(emulator, workflow, 2)
        await soon(lambda: one.ids() == jobs)
        await polled(emulator, 5)
        store.broken = None
        await soon(lambda: store.values()[0]["seen"] == jobs)

    assert one.ids() == jobs
    assert len([text for text in logs.texts("warning") if "the API server is away" in text]) == 1


async def test_without_a_store_it_begins_with_what_ends_from_now_on_and_logs_that(emulator, workflow, logs):
    await completed(emulator, workflow)
    async with watcher(watching(workflow)) as first:
        await polled(emulator)
    missed = await completed(emulator, workflow)
    async with watcher(watching(workflow)) as second:
        await polled(emulator)
        jobs = await completed(emulator, workflow)
        await soon(lambda: second.payloads)

    assert (first.ids(), second.ids()) == ([], jobs)
    assert missed[0] not in second.ids()
    assert len([text for text in logs.texts("warning") if "this Airflow has no state store" in text]) == 2


async def test_assets_that_share_a_watcher_each_keep_the_memory(emulator, workflow):
    """Airflow gives a watcher the stores of all of its assets, and takes no request that doesn't name one."""

    class Several:
        def __init__(self, **by_name):
            self._by_name = by_name

        async def aget(self, key, default=None):
            raise ValueError("Task has 2 concrete inlets and outlets")

        aset = aget

    a, b = Store(), Store()
    async with watcher(watching(workflow), Several(b=b)):
        pass
    async with watcher(watching(workflow), b) as first:
        await soon(lambda: b.writes)
        jobs = await completed(emulator, workflow)
        await soon(lambda: first.ids() == jobs)
        await soon(lambda: b.values()[0]["seen"] == jobs)
    async with watcher(watching(workflow), Several(a=a, b=b)) as second:  # an asset has come along
        jobs = await completed(emulator, workflow)
        await soon(lambda: second.ids() == jobs)
        await soon(lambda: a.values() == b.values())


# Failures


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "reset"},
        {"action": "answer", "status": 502, "body": "<html>"},
        {"action": "answer", "status": 429, "body": {"detail": "Rate limit exceeded"}},
        {"action": "answer", "status": 401, "body": {"detail": "Invalid API key"}},
        {"action": "answer", "status": 404, "body": {"detail": "Workflow not found"}},
        {"action": "answer", "status": 200, "body": "no JSON"},
        {"action": "answer", "status": 200, "body": {"no": "list"}},
    ],
    ids=lambda fault: str(fault.get("body", "reset")),
)
async def test_no_failure_ends_it_and_each_cause_is_logged_once(emulator, workflow, logs, fault):
    async with watcher(watching(workflow), Store()) as one:
        await polled(emulator)
        emulator.fault(fault.pop("action"), path=LIST, times=8, **fault)
        jobs = await completed(emulator, workflow)
        await soon(lambda: one.payloads)
        assert one.is_alive()

    assert one.ids() == jobs
    warnings = [text for text in logs.texts("warning") if "The watcher continues to poll" in text]
    assert len(warnings) == 1, warnings
    assert [text for text in logs.texts("info") if "works again, after 8 failed attempts" in text]


async def test_an_outage_is_survived(emulator, workflow, logs):
    async with watcher(watching(workflow), Store()) as one:
        await polled(emulator)
        emulator.outage(1.0)
        await soon(lambda: "The watcher continues to poll" in logs)
        await asyncio.sleep(1.2)
        jobs = await completed(emulator, workflow, 2)
        await soon(lambda: len(one.payloads) == 2)

    assert one.ids() == jobs


async def test_a_rotated_key_is_taken_up(workflow_of_its_own, monkeypatch, logs):
    emulator, workflow = workflow_of_its_own
    old = emulator.api_key
    async with watcher(watching(workflow), Store()) as one:
        await soon(lambda: len(emulator.requests()) > 2)
        emulator.rotate_key()
        await soon(lambda: "The watcher continues to poll" in logs)
        monkeypatch.setenv(CONNECTION, emulator.connection_json())
        await soon(lambda: "has another credential" in logs)
        job_id = emulator.api("POST", f"/workflows/run?workflow_id={workflow}", {"webhook_payload": [{"a": 1}]})[
            "job_id"
        ]
        await soon(lambda: one.payloads)

    assert one.ids() == [job_id]
    text = "".join(line.text for line in logs.lines if "airflow_provider_sixtyfour" in line.logger)
    assert old not in text
    assert emulator.api_key not in text
    assert emulator.api_key not in json.dumps(one.payloads)


async def test_a_connection_that_is_removed_and_comes_back(emulator, workflow, monkeypatch, logs):
    monkeypatch.delenv(CONNECTION)
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", emulator.connection_json())
    async with watcher(watching(workflow), Store()) as one:
        await soon(lambda: "The watcher continues to poll" in logs)
        monkeypatch.setenv(CONNECTION, emulator.connection_json())
        await polled(emulator)
        jobs = await completed(emulator, workflow)
        await soon(lambda: one.payloads)

    assert one.ids() == jobs


async def test_a_connection_to_another_api_starts_again_there(
    emulator, workflow, workflow_of_its_own, monkeypatch, logs
):
    other, _ = workflow_of_its_own
    emulator_jobs = await completed(emulator, workflow)
    monkeypatch.setenv(CONNECTION, emulator.connection_json())
    elsewhere = other.store_workflow(DEFINITION)
    old = other.api("POST", f"/workflows/run?workflow_id={elsewhere}", {"webhook_payload": [{"a": 1}]})["job_id"]
    async with watcher(watching(None), Store()) as one:
        await polled(emulator)
        monkeypatch.setenv(CONNECTION, other.connection_json())
        emulator.fault("answer", path=LIST, status=401, body={"detail": "Invalid API key"}, times=1)
        await soon(lambda: len([text for text in logs.texts("info") if "Begins:" in text]) == 2)
        new = other.api("POST", f"/workflows/run?workflow_id={elsewhere}", {"webhook_payload": [{"a": 1}]})["job_id"]
        await soon(lambda: one.payloads)

    assert one.ids() == [new]
    assert old not in one.ids()
    assert emulator_jobs[0] not in one.ids()


async def test_watchers_of_one_connection_share_its_clients_and_its_rate_limit(emulator, workflow):
    from airflow_provider_sixtyfour.polling import poller

    async with watcher(watching(workflow), Store()) as one, watcher(watching(None), Store()) as two:
        await polled(emulator, 6)
        pollers = poller._pollers[asyncio.get_running_loop()]
        assert [each.users for each in pollers.values()] == [2]
    assert one.trigger is not two.trigger
    assert not poller._pollers[asyncio.get_running_loop()]


# A list that is too short


@pytest.fixture
def short_lists(monkeypatch):
    """Lists of 5 rows at most."""
    for module in (calls, ended):
        monkeypatch.setattr(module, "MAX_LISTED_RUNS", 5)


async def test_a_run_that_left_the_list_while_running_is_announced_when_it_ends(emulator, workflow, short_lists):
    emulator.plan(seconds=1000)
    old = emulator.start_run(workflow)
    async with watcher(watching(workflow), Store()) as one:
        await polled(emulator)
        young = await completed(emulator, workflow, 4)
        await soon(lambda: len(one.payloads) == 4)
        young += await completed(emulator, workflow, 4)
        await soon(lambda: len(one.payloads) == 8)
        emulator.set_status(old, "completed")
        await soon(lambda: old in one.ids())
        await polled(emulator, 3)

    assert one.ids() == [*young, old]
    assert one.payloads[-1] == {"job_id": old, "workflow_id": workflow, "status": "completed", "metrics": {}}


async def test_one_that_had_left_the_list_before_the_watcher_began_too(emulator, workflow, short_lists):
    emulator.plan(seconds=1000)
    old = emulator.start_run(workflow)
    await completed(emulator, workflow, 6)
    async with watcher(watching(workflow), Store()) as one:
        await polled(emulator)
        emulator.set_status(old, "completed")
        await soon(lambda: one.payloads)

    assert one.ids() == [old]


async def test_it_is_remembered_over_a_restart(emulator, workflow, short_lists):
    emulator.plan(seconds=1000)
    old, store = emulator.start_run(workflow), Store()
    async with watcher(watching(workflow), store):
        await soon(lambda: store.writes)
    young = await completed(emulator, workflow, 4)
    await asyncio.to_thread(emulator.set_status, old, "completed")
    young += await completed(emulator, workflow, 2)
    async with watcher(watching(workflow), store) as one:
        await soon(lambda: old in one.ids())

    assert one.ids() == [*young[-5:], old]


async def test_more_runs_between_two_polls_than_a_list_has_are_warned_of(emulator, workflow, short_lists, logs):
    store, _ = Store(), await completed(emulator, workflow, 1)
    async with watcher(watching(workflow), store):
        await soon(lambda: store.writes)
    jobs = await completed(emulator, workflow, 8)
    async with watcher(watching(workflow), store) as one:
        await soon(lambda: len(one.payloads) == 5)

    assert one.ids() == jobs[-5:]
    assert [text for text in logs.texts("warning") if text.startswith("Some runs may not be announced")]


DEFINITION = {
    "blocks": [{"block_id": "a", "sequence_number": 1, "block_type": "webhook", "block_name": "webhook", "specs": {}}],
    "edges": [],
}


@pytest.fixture
def workflow_of_its_own(monkeypatch):
    """An emulator whose key a test may rotate, with a workflow."""
    with EmulatorProcess("--run-seconds", "0", "--queue-seconds", "0", "--requests-per-minute", "0") as process:
        monkeypatch.setenv(CONNECTION, process.connection_json())
        yield process, process.store_workflow(DEFINITION)


async def test_five_hundred_younger_runs_hide_none(workflow_of_its_own):
    emulator, workflow = workflow_of_its_own
    path, body, lock = f"/workflows/run?workflow_id={workflow}", {"webhook_payload": [{"a": 1}]}, threading.Lock()
    emulator.plan(seconds=1000)
    old, jobs = emulator.api("POST", path, body)["job_id"], []

    def start(_):
        job_id = emulator.api("POST", path, body)["job_id"]
        with lock:
            jobs.append(job_id)

    async with watcher(watching(workflow), Store()) as one:
        await soon(lambda: any(each["path"] == LIST for each in emulator.requests()))
        for _ in range(3):
            with ThreadPoolExecutor(8) as executor:
                await asyncio.to_thread(lambda executor=executor: list(executor.map(start, range(180))))
            await soon(lambda: set(jobs) <= set(one.ids()))
        emulator.set_status(old, "completed")
        await soon(lambda: old in one.ids())

    assert len(one.ids()) == len(set(one.ids())) == 541
