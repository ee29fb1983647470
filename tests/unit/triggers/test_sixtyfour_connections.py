"""Connections of triggers: read at the start, read again after refusals, shared by all, and never cancelled."""

import asyncio
import contextlib
import json
import threading
import time
from types import SimpleNamespace

import airflow
import pytest

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.hooks import resolving
from airflow_provider_sixtyfour.hooks.resolved import resolved
from airflow_provider_sixtyfour.hooks.resolving import resolve
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.polling import poller as shared
from airflow_provider_sixtyfour.triggers import sixtyfour as trigger_module
from airflow_provider_sixtyfour.triggers.sixtyfour import SixtyfourRunTrigger
from tests.emulator_process import EmulatorProcess
from tests.unit.conftest import CLIENT_ID, KEY_ID, ROWS, until
from tests.unit.standins import events_of, fire

CONNECTION = "AIRFLOW_CONN_SIXTYFOUR_DEFAULT"
needs_supervisor = pytest.mark.skipif(
    airflow.__version__.startswith("2."), reason="Airflow 2 has no supervisor: a trigger reads the database itself"
)
needs_on_kill = pytest.mark.skipif(
    tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 3),
    reason="3.3 is the first that calls a trigger's on_kill",
)


def trigger(job_id, **arguments):
    given = {"sixtyfour_conn_id": "sixtyfour_default", "poll_interval": 0.02, "deadline": None, **arguments}
    return SixtyfourRunTrigger(job_id=job_id, **given)


def connection(url, key):
    return json.dumps({"conn_type": "sixtyfour", "host": url, "password": key})


async def during(triggers, act):
    """Run triggers, and something else in the middle; return their payloads."""
    waiting = [asyncio.create_task(events_of(each)) for each in triggers]
    await act()
    return [event.payload for [event] in await asyncio.wait_for(asyncio.gather(*waiting), 30)]


@pytest.fixture(scope="module")
def other_host():
    options = ("--run-seconds", "0.05", "--queue-seconds", "0", "--requests-per-minute", "0")
    with EmulatorProcess(*options) as process:
        yield process


def start_elsewhere(host):
    """Start a run at another host; return its id."""
    block = {"block_id": "a", "sequence_number": 1, "block_type": "webhook", "block_name": "webhook", "specs": {}}
    body = {"workflow_name": "n", "workflow_description": "d"}
    body["workflow_definition"] = {"blocks": [block], "edges": []}
    workflow = host.api("POST", "/workflows/create_workflow", body)["id"]
    return host.api("POST", f"/workflows/run?workflow_id={workflow}", {"webhook_payload": ROWS})["job_id"]


# A connection that changes while runs are waited for


def test_a_rotated_key_is_taken_up_while_five_wait(emulator, workflow, monkeypatch, logs, no_pauses):
    """The old key is refused for a while before the connection has the new one."""
    jobs = [emulator.start_run(workflow) for _ in range(5)]
    monkeypatch.setenv(CONNECTION, connection(emulator.url, "the-old-key"))

    async def rotate():
        await asyncio.to_thread(
            until, lambda: len([one for one in emulator.status_checks() if one["status"] == 401]) > 5
        )
        monkeypatch.setenv(CONNECTION, emulator.connection_json())

    payloads = asyncio.run(during([trigger(job_id) for job_id in jobs], rotate))

    assert [one["ended"]["status"] for one in payloads] == ["completed"] * 5
    assert len([text for text in logs.texts("info") if "has another credential" in text]) == 5
    assert "the-old-key" not in "".join(line.text for line in logs.lines)


@pytest.mark.parametrize("refusal", [401, 403, 404])
def test_a_changed_host_leaves_five_waits_where_their_runs_are(
    emulator, workflow, other_host, monkeypatch, logs, no_pauses, refusal
):
    emulator.plan(seconds=3, times=5)
    jobs = [emulator.start_run(workflow) for _ in range(5)]
    others = []

    async def move():
        await asyncio.to_thread(
            until, lambda: {one["path"].split("/")[3] for one in emulator.status_checks()} == set(jobs)
        )
        monkeypatch.setenv(CONNECTION, other_host.connection_json())
        await asyncio.sleep(resolving.READ_ONCE_IN)
        emulator.fault("answer", path="/workflows/runs.*", status=refusal, body={"detail": "odd"}, times=12)
        other_host.control("DELETE", "requests")
        others.extend(await asyncio.gather(*(events_of(trigger(start_elsewhere(other_host))) for _ in range(3))))

    payloads = asyncio.run(during([trigger(job_id) for job_id in jobs], move))

    assert [one["ended"]["status"] for one in payloads] == ["completed"] * 5
    assert [event.payload["ended"]["status"] for [event] in others] == ["completed"] * 3
    asked = {one["path"].split("/")[3] for one in other_host.requests() if one["path"].endswith("/live_status")}
    assert not asked & set(jobs)
    warnings = [text for text in logs.texts("warning") if "now points to" in text]
    assert 1 <= len(warnings) <= 5  # one for each trigger that met a refusal
    assert len(set(warnings)) == 1
    assert f"now points to {other_host.url}, while the run was started at {emulator.url}" in warnings[0]


def test_a_new_trigger_takes_the_connection_as_it_is_when_it_begins(emulator, workflow, other_host, monkeypatch):
    """Runs that were started at another host meanwhile are not polled at the first one, refusal or not."""
    emulator.plan(seconds=1000)
    running_id = emulator.start_run(workflow)

    async def two_hosts():
        old = asyncio.create_task(events_of(trigger(running_id)))
        await asyncio.to_thread(until, emulator.status_checks)
        monkeypatch.setenv(CONNECTION, other_host.connection_json())
        await asyncio.sleep(resolving.READ_ONCE_IN)
        [event] = await events_of(trigger(await asyncio.to_thread(start_elsewhere, other_host)))
        old.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await old
        return event.payload

    assert asyncio.run(two_hosts())["ended"]["status"] == "completed"
    assert {one["path"].split("/")[3] for one in emulator.status_checks()} == {running_id}


def test_after_a_restart_the_other_host_is_named(emulator, other_host, monkeypatch, logs):
    """Another triggerer has only the connection as it is now."""
    monkeypatch.setenv(CONNECTION, other_host.connection_json())
    job_id = "00000000-0000-4000-8000-000000000000"

    payload = fire(trigger(job_id, host=emulator.url, refusal_patience=0.3, may_be_unknown=0.0))

    expected = f"was started at {emulator.url}; connection 'sixtyfour_default' now points to {other_host.url}."
    assert payload["refused"].endswith(expected)
    assert f"now points to {other_host.url}, while the run was started at {emulator.url}" in logs


def test_a_connection_that_points_back_to_the_run_is_followed(emulator, workflow, other_host, monkeypatch):
    job_id = emulator.start_run(workflow)
    monkeypatch.setenv(CONNECTION, other_host.connection_json())

    async def correct():
        await asyncio.sleep(0.3)
        monkeypatch.setenv(CONNECTION, emulator.connection_json())

    [payload] = asyncio.run(during([trigger(job_id, host=emulator.url, may_be_unknown=0.0)], correct))

    assert payload["ended"]["status"] == "completed"


def test_a_connection_that_can_not_be_read_again_is_used_as_it_is(emulator, workflow, monkeypatch, logs):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)

    async def lose_then_end():
        await asyncio.to_thread(until, emulator.status_checks)
        monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "sixtyfour"}))
        await asyncio.sleep(resolving.READ_ONCE_IN)
        emulator.fault("answer", path=".*/live_status", status=403, body={"detail": "no"}, times=3)
        await asyncio.to_thread(
            until, lambda: len([one for one in emulator.status_checks() if one["status"] == 403]) == 3
        )
        emulator.set_status(job_id, "completed")

    [payload] = asyncio.run(during([trigger(job_id)], lose_then_end))

    assert payload["ended"]["status"] == "completed"
    assert "can't be read again: Connection 'sixtyfour_default' has no credential" in logs


# A user's act


def killed(one):
    async def kill():
        await one.on_kill()
        await asyncio.gather(*trigger_module._cancellations)

    one.task_instance = SimpleNamespace(
        dag_id="enrich", run_id="r1", task_id="run", map_index=-1, try_number=1, id="ti"
    )
    asyncio.run(kill())


@pytest.fixture
def no_longer_waits(monkeypatch):
    async def answer(*_):
        return "failed", False

    monkeypatch.setattr(trigger_module, "read_in_triggerer", answer)
    monkeypatch.setattr(trigger_module, "warm_up", lambda _: None)


def stopped_after_a_poll(one, emulator, act=lambda: None):
    """Run a trigger until it has polled; then stop it and call its `on_kill`, as the triggerer does."""

    async def drive():
        running = asyncio.create_task(events_of(one))
        await asyncio.to_thread(until, emulator.status_checks)
        act()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await one.on_kill()

    asyncio.run(drive())


@needs_on_kill
def test_a_run_is_cancelled_where_it_was_started(emulator, workflow, other_host, monkeypatch, no_longer_waits, logs):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    other_host.control("DELETE", "requests")

    stopped_after_a_poll(
        trigger(job_id, host=emulator.url),
        emulator,
        lambda: monkeypatch.setenv(CONNECTION, other_host.connection_json()),
    )

    assert emulator.statuses() == ["cancelled"]
    assert other_host.requests() == []
    assert f"The run is cancelled, and still shutting down. Run {job_id}." in logs


@needs_on_kill
def test_a_run_of_another_host_is_not_cancelled_at_this_one(emulator, other_host, monkeypatch, no_longer_waits, logs):
    other_host.control("DELETE", "requests")
    monkeypatch.setenv(CONNECTION, other_host.connection_json())

    killed(trigger("a-run", host=emulator.url))

    assert other_host.requests() == emulator.cancels() == []
    [line] = logs.texts("error")
    assert line.startswith("The run could not be cancelled and may keep running. The run was started at")
    assert not [text for text in logs.texts() if text.startswith("The run is cancelled")]


@needs_on_kill
def test_a_run_that_the_host_does_not_know_is_not_logged_as_cancelled(emulator, no_longer_waits, logs):
    job_id = "00000000-0000-4000-8000-000000000000"

    killed(trigger(job_id))

    assert f"Not cancelled: there is no such run at {emulator.url} for this credential. Run {job_id}." in logs
    assert not [text for text in logs.texts() if text.startswith("The run is cancelled")]


@needs_on_kill
def test_a_cancellation_with_a_key_that_was_rotated_uses_the_new_one(emulator, workflow, monkeypatch, no_longer_waits):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    emulator.fault("answer", path="/workflows/cancel", status=401, body={"detail": "Invalid API key"})
    one = trigger(job_id)

    def rotate():
        changed = {**json.loads(emulator.connection_json()), "extra": {"timeout": 31}}  # as good as another key
        monkeypatch.setenv(CONNECTION, json.dumps(changed))
        resolving._reads.clear()

    stopped_after_a_poll(one, emulator, rotate)

    assert emulator.statuses() == ["cancelled"]


# What is shared


def settings_of(**fields):
    from airflow_provider_sixtyfour.api.credentials import ApiKey
    from airflow_provider_sixtyfour.api.settings import Settings

    return Settings(**{"credential": ApiKey("key"), "base_url": "https://a.example.com", **fields})


def test_what_two_connections_resolve_to_distinguishes_them_and_shows_no_secret(keys):
    from airflow_provider_sixtyfour.api.credentials import ApiKey, OAuthClient

    one = resolved(settings_of())
    assert resolved(settings_of())[1:] == one[1:]
    others = [
        settings_of(base_url="https://b.example.com"),
        settings_of(credential=ApiKey("key2")),
        settings_of(credential=OAuthClient("client", "kid", keys.private)),
        settings_of(credential=OAuthClient("client", "kid-2", keys.private)),
        settings_of(timeout=61.0),
        settings_of(verify=False),
        settings_of(verify="/ca.pem"),
        settings_of(requests_per_minute=10.0),
    ]
    digests = [resolved(each) for each in others]
    assert len({one.key, *(each.key for each in digests)}) == 1 + len(others)
    assert len({one.account, *(each.account for each in digests)}) == 5  # the last four share the rate limit
    again = resolved(settings_of(credential=OAuthClient("client", "kid", keys.private)))
    assert again.key == digests[2].key
    for each in (one, *digests):
        assert len(each.key) == len(each.account) == 64
        assert each.key.isalnum()


def test_two_names_of_the_same_connection_share_a_poller(emulator, workflow, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", emulator.connection_json())
    emulator.plan(seconds=1000, times=2)
    jobs = [emulator.start_run(workflow) for _ in range(2)]

    async def both():
        names = ["sixtyfour_default", "other"]
        waits = [
            asyncio.create_task(events_of(trigger(job_id, sixtyfour_conn_id=name)))
            for job_id, name in zip(jobs, names, strict=True)
        ]
        await asyncio.to_thread(
            until, lambda: {one["path"].split("/")[3] for one in emulator.status_checks()} == set(jobs)
        )
        pollers = list(shared._pollers[asyncio.get_running_loop()].values())
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        return pollers

    [poller] = asyncio.run(both())
    assert poller.users == 0


async def test_pollers_of_one_key_share_its_rate_limit():
    def client(per_minute):
        async def opened():
            return SimpleNamespace(requests_per_minute=per_minute, close=lambda: asyncio.sleep(0))

        return opened

    async with (
        shared.shared_poller("k1", client(60.0), account="a") as one,
        shared.shared_poller("k2", client(120.0), account="a") as two,
        shared.shared_poller("k3", client(60.0), account="b") as three,
    ):
        for each in (one, two, three):
            await each._open()
        assert one._rate_limiter is two._rate_limiter
        assert one._rate_limiter is not three._rate_limiter
        assert one._rate_limiter.spacing(0.0) == pytest.approx(0.5)  # what the connection has now


def test_a_thousand_triggers_that_begin_together_read_their_connection_once(emulator, monkeypatch):
    reads = []
    read = SixtyfourHook.read_async

    async def counted(hook):
        reads.append(hook.sixtyfour_conn_id)
        return await read(hook)

    monkeypatch.setattr(SixtyfourHook, "read_async", counted)

    async def begin():
        began = time.monotonic()
        found = await asyncio.gather(*(resolve("sixtyfour_default") for _ in range(1000)))
        took = time.monotonic() - began
        assert len({each.key for each in found}) == 1
        again = await resolve("sixtyfour_default")
        assert len(reads) == 1
        await asyncio.sleep(resolving.READ_ONCE_IN + 0.1)
        assert (await resolve("sixtyfour_default")).key == again.key
        assert len(reads) == 2
        return took

    assert asyncio.run(begin()) < 2.0


def test_a_read_that_fails_is_not_kept(emulator, monkeypatch):
    monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "sixtyfour"}))

    async def twice():
        with pytest.raises(SixtyfourInputError, match="has no credential"):
            await resolve("sixtyfour_default")
        monkeypatch.setenv(CONNECTION, emulator.connection_json())
        return (await resolve("sixtyfour_default")).base_url

    assert asyncio.run(twice()) == emulator.url


# The channel to the supervisor: on Airflow 3.0 and 3.1, who cancels what waits in it ends the triggerer


class Channel:
    """
    The triggerer's channel to its supervisor, which holds back its answers.

    Like Airflow's own, it may be used from a thread too, which then waits for the triggerer's event loop.
    """

    def __init__(self, connection):
        self.connection = json.loads(connection)
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.cancelled = 0
        self.answered = 0
        self.was_answered = asyncio.Event()

    async def asend(self, message):
        from airflow.sdk.execution_time.comms import ConnectionResult, GetConnection

        if not isinstance(message, GetConnection):
            return None  # a secret to mask
        self.asked.set()
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.answered += 1
        self.was_answered.set()
        fields = dict.fromkeys(("host", "schema", "login", "password", "port", "extra"))
        return ConnectionResult(conn_id=message.conn_id, **{**fields, **self.connection})

    def send(self, message):
        from asgiref.sync import async_to_sync

        return async_to_sync(self.asend)(message)


@pytest.fixture
def channel(emulator, monkeypatch):
    from airflow.sdk.execution_time import task_runner

    monkeypatch.delenv(CONNECTION)
    monkeypatch.setattr(trigger_module, "warm_up", lambda _: None)

    def install():
        found = Channel(emulator.connection_json())
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", found, raising=False)
        return found

    return install


@needs_supervisor
def test_a_trigger_that_is_stopped_while_it_reads_its_connection_cancels_nothing(emulator, workflow, channel):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)

    async def stop_again_and_again():
        supervisor = channel()
        running = asyncio.create_task(events_of(trigger(job_id)))
        await asyncio.wait_for(supervisor.asked.wait(), 20)
        for _ in range(3):
            running.cancel()
            await asyncio.sleep(0.02)
        assert running.done()
        supervisor.answer.set()
        await asyncio.wait_for(supervisor.was_answered.wait(), 20)
        return supervisor

    supervisor = asyncio.run(stop_again_and_again())
    assert (supervisor.cancelled, supervisor.answered) == (0, 1)


@needs_supervisor
def test_a_deadline_that_passes_while_a_connection_is_read_again_cancels_nothing(emulator, workflow, channel):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    emulator.fault("answer", path=".*/live_status", status=403, body={"detail": "no"}, times=1000)

    async def read_again_at_the_deadline():
        supervisor = channel()
        supervisor.answer.set()
        running = asyncio.create_task(events_of(trigger(job_id, deadline=time.time() + 1.5, may_be_unknown=0.0)))
        await asyncio.wait_for(supervisor.was_answered.wait(), 20)
        supervisor.answer.clear()
        supervisor.was_answered.clear()
        [event] = await asyncio.wait_for(running, 20)
        supervisor.answer.set()
        await asyncio.wait_for(supervisor.was_answered.wait(), 20)
        return supervisor, event.payload

    supervisor, payload = asyncio.run(read_again_at_the_deadline())
    assert "deadline" in payload
    assert (supervisor.cancelled, supervisor.answered) == (0, 2)


@needs_supervisor
def test_a_token_that_is_minted_in_a_triggerer_leaves_the_channel_in_order(emulator, workflow, keys, monkeypatch):
    """With Airflow's own channel. Masking from any thread reads it in another loop, which ends the triggerer on 3.1."""
    import socket

    from airflow.jobs.triggerer_job_runner import TriggerCommsDecoder
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetVariable, VariableResult, _ResponseFrame

    extra = {"key_id": KEY_ID, "private_key": keys.private}
    fields = {"conn_type": "sixtyfour", "host": emulator.url, "login": CLIENT_ID, "extra": extra}
    monkeypatch.setenv(CONNECTION, json.dumps(fields))
    monkeypatch.setattr(trigger_module, "warm_up", lambda _: None)
    job_id = emulator.start_run(workflow)
    ours, theirs = socket.socketpair()
    seen = []

    def supervise():
        import msgspec

        with theirs, theirs.makefile("rb") as stream:
            while length := stream.read(4):
                number, body, *_ = msgspec.msgpack.decode(stream.read(int.from_bytes(length, "big")))
                seen.append(body["type"])
                answer = VariableResult(key="k", value="v").model_dump() if body["type"] == "GetVariable" else None
                theirs.sendall(bytes(_ResponseFrame(id=number, body=answer).as_bytes()))

    threading.Thread(target=supervise, daemon=True).start()

    async def wait_then_ask():
        reader, writer = await asyncio.open_connection(sock=ours)
        comms = TriggerCommsDecoder(socket=ours, async_reader=reader, async_writer=writer)
        if hasattr(comms, "start_reader"):  # Airflow 3.2 and later
            await comms.start_reader()
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
        [event] = await asyncio.wait_for(events_of(trigger(job_id)), 30)
        variable = await asyncio.wait_for(comms.asend(GetVariable(key="k")), 10)
        writer.close()
        return event.payload, variable

    payload, variable = asyncio.run(wait_then_ask())
    assert payload["ended"]["status"] == "completed"
    assert variable.value == "v"
    assert "MaskSecret" in seen
