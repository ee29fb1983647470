"""Names and tags of the metrics, as Airflow takes them and as they leave the process."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.observing import Observed
from airflow_provider_sixtyfour.exceptions import SixtyfourRefusedError
from airflow_provider_sixtyfour.hooks import metrics
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from tests.unit.metrics import BrokenSink, Sink

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
HOSTILE = "w,x=1:2|c\n#t @é" + "9" * 300


@pytest.fixture
def sink(monkeypatch):
    found = Sink()
    monkeypatch.setattr(metrics, "_stats", lambda: found)
    return found


# The table


def test_names_are_what_every_backend_takes():
    names = [one.name for one in metrics.METRICS]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"sixtyfour\.[a-z0-9_.]+", name) for name in names)
    # OpenTelemetry: 63 characters, the prefix of Airflow included.
    assert max(len(f"airflow.{name}") for name in names) <= 63


def test_each_metric_that_is_defined_is_in_the_table():
    defined = [each for each in vars(metrics).values() if isinstance(each, metrics.Metric)]

    assert defined == list(metrics.METRICS)


def test_no_tag_names_a_run():
    assert {tag for one in metrics.METRICS for tag in one.tags} == {"workflow_id", "conn_id", "hostname"}


def test_the_page_has_the_table():
    _, found, after = PAGE.read_text().partition("\n| metric | kind | unit | tags | a value is sent when |\n")
    assert found
    rows = [
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in after.split("\n\n")[0].splitlines()[1:]
    ]

    assert rows == [
        [f"`{one.name}`", one.kind.value, one.unit, ", ".join(f"`{tag}`" for tag in one.tags), one.counted]
        for one in metrics.METRICS
    ]


# Values and tags


@pytest.mark.parametrize(
    ("given", "tag"),
    [
        ("0b5f2c1e-1111-4222-8333-444455556666", "0b5f2c1e-1111-4222-8333-444455556666"),
        ("a,b=c:d|e#f@g h\n", "a_b_c_d_e_f_g_h_"),
        ("münchen", "m_nchen"),
        ("x" * 300, "x" * metrics.LONGEST_TAG),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_tag_has_no_character_that_separates_anything(given, tag):
    assert metrics.tag_value(given) == tag


def test_a_name_with_its_tags_is_short_enough_for_influxdb():
    """Airflow drops a metric whose name, tags included, has more than 250 characters."""
    longest = "x" * 300
    for one in metrics.METRICS:
        assert len(one.name + "".join(f",{tag}={metrics.tag_value(longest)}" for tag in one.tags)) <= 250


def test_a_tag_that_is_missing_is_unknown_and_one_of_another_metric_is_left_out(sink):
    metrics.emit(metrics.API_REQUESTS, job_id="j", workflow_id="w")

    assert [one.tags for one in sink.sent] == [{"conn_id": "unknown"}]


@pytest.mark.parametrize(("amount", "sent"), [(5.0, "5"), (0.25, "0.25"), (1496, "1496"), (2.0**70, str(2**70))])
def test_a_whole_number_is_sent_as_one_and_a_fraction_is_kept(sink, amount, sent):
    metrics.emit(metrics.CREDITS, amount)

    assert [str(one.value) for one in sink.sent] == [sent]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "no number", None])
def test_no_value_raises(sink, value):
    for one in metrics.METRICS:
        metrics.emit(one, value)


def test_a_failure_is_logged_once_and_raises_nothing(monkeypatch, logs):
    monkeypatch.setattr(metrics, "_stats", BrokenSink)
    monkeypatch.setattr(metrics, "_logged", set())
    monkeypatch.setattr(metrics, "_prepared", set())

    for one in metrics.METRICS:
        metrics.emit(one, 1, conn_id="c")
    metrics.observer("c")(Observed.REQUEST)
    with metrics.waiting("c"):
        pass
    asyncio.run(metrics.prepare())

    assert logs.texts("warning", "error") == [
        "A metric could not be sent (RuntimeError: no incr here). Tasks are not affected. "
        "Metric sixtyfour.runs_started."
    ]


def test_a_wait_that_is_cancelled_is_no_longer_counted(sink):
    async def cancelled():
        with metrics.waiting("c"):
            await asyncio.sleep(100)

    async def cancel():
        waits = [asyncio.create_task(cancelled()) for _ in range(2)]
        await asyncio.sleep(0)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    asyncio.run(cancel())

    assert sink.values("sixtyfour.poller.waiting") == [1, 2, 1, 0]


def test_the_connection_is_made_once_and_off_the_event_loop(monkeypatch):
    threads = []

    class Slow(Sink):
        def timer(self, stat=None, *, tags=None):
            threads.append(threading.current_thread())
            time.sleep(0.2)

    slow = Slow()
    monkeypatch.setattr(metrics, "_stats", lambda: slow)
    monkeypatch.setattr(metrics, "_prepared", set())

    async def longest_turn():
        preparing = asyncio.create_task(metrics.prepare())
        longest = 0.0
        while not preparing.done():
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)
        await metrics.prepare()
        return longest

    assert asyncio.run(longest_turn()) < 0.15
    assert [thread is threading.main_thread() for thread in threads] == [False]


# The hook's clients


def test_all_clients_of_a_hook_count_with_its_connection(emulator, sink, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", emulator.connection_json())
    hook = SixtyfourHook("other")

    async def ask():
        async with await hook.open_async_client() as client:
            await client.send(calls.list_runs(limit=1))

    hook.client.send(calls.list_runs(limit=1))
    hook.spare_client().send(calls.list_runs(limit=1))
    asyncio.run(ask())

    assert [(one.name, one.tags) for one in sink.sent] == [("sixtyfour.api.requests", {"conn_id": "other"})] * 3


def test_a_refusal_is_a_request_and_no_outage(emulator, sink):
    emulator.fault("answer", path="/workflows/runs", status=402, body={"detail": "no credits"})

    with pytest.raises(SixtyfourRefusedError):
        SixtyfourHook().list_runs()

    assert sink.counted("sixtyfour.api.") == {"requests": 1}


def test_a_request_that_its_sender_gives_up_is_one_without_an_answer(emulator, sink):
    emulator.fault("delay", path="/workflows/runs", delay=5.0)

    async def ask():
        async with await SixtyfourHook().open_async_client() as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.send(calls.list_runs())
            client.gave_up()

    asyncio.run(ask())

    assert sink.counted("sixtyfour.api.") == {"requests": 1, "unavailable": 1}


def test_the_test_of_a_connection_counts_nothing(emulator, sink):
    """Its id is one of that test: each would be another value of the tag."""
    assert SixtyfourHook().test_connection()[0]

    assert sink.sent == []


# As it leaves the process

SENDER = """
import sys
try:
    import airflow.sdk.serde  # initialises Stats, as in the process of a task or a triggerer
except ImportError:
    pass
from airflow_provider_sixtyfour.hooks import metrics
for one in metrics.METRICS:
    metrics.emit(one, 1.5, workflow_id=sys.argv[1], conn_id="c", hostname="h")
"""


@pytest.fixture
def server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(10.0)
        yield udp


def received(server, number):
    """Return the first values of this provider that arrive; Airflow sends some of its own."""
    found = []
    while len(found) < number:
        found += [line for line in server.recv(65_536).decode().splitlines() if ".sixtyfour." in line]
    return found


@pytest.mark.parametrize("has_tags", [False, True], ids=["plain", "influxdb"])
def test_what_a_statsd_server_receives(server, has_tags, tmp_path):
    host, port = server.getsockname()
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": host,
        "AIRFLOW__METRICS__STATSD_PORT": str(port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": str(has_tags),
        "AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY": "True",
    }

    subprocess.run([sys.executable, "-c", SENDER, HOSTILE], env=env, check=True, capture_output=True)

    values = {metrics.Kind.COUNTER: "1.5|c", metrics.Kind.TIMER: "1500.000000|ms", metrics.Kind.GAUGE: "1.5|g"}
    tags = {"workflow_id": metrics.tag_value(HOSTILE), "conn_id": "c", "hostname": "h"}
    assert received(server, len(metrics.METRICS)) == [
        f"airflow.{one.name}"
        + ("".join(f",{tag}={tags[tag]}" for tag in one.tags) if has_tags else "")
        + f":{values[one.kind]}"
        for one in metrics.METRICS
    ]


def test_importing_the_metrics_loads_no_part_of_airflow():
    code = textwrap.dedent(
        """
        import sys
        before = set(sys.modules)
        from airflow_provider_sixtyfour.hooks import metrics
        loaded = {name.split(".")[0] for name in set(sys.modules) - before}
        assert not loaded & {"airflow", "statsd", "opentelemetry", "sqlalchemy"}, loaded
        """
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_sending_a_metric_loads_no_metadata_database(tmp_path):
    """Modules that a task's process has loaded before don't count."""
    code = textwrap.dedent(
        """
        import sys
        from airflow.providers.common.compat.sdk import BaseOperator, BaseHook, conf
        BaseOperator, BaseHook, conf
        try:
            import airflow.sdk.execution_time.task_runner
        except ImportError:
            import airflow.models.taskinstance
        before = set(sys.modules)
        from airflow_provider_sixtyfour.hooks import metrics
        metrics.emit(metrics.RUNS_STARTED, conn_id="c")
        loaded = {name for name in set(sys.modules) - before}
        assert not [name for name in loaded if name.startswith(("sqlalchemy", "airflow.models", "airflow.settings"))]
        assert len(loaded) < 60, sorted(loaded)
        """
    )

    subprocess.run([sys.executable, "-c", code], env={**os.environ, "AIRFLOW_HOME": str(tmp_path)}, check=True)
