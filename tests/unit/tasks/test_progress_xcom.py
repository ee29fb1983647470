"""How far a run is reaches the tab: not too often, never at the cost of the wait, and without a cancelled request."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_sixtyfour.api.models import BlockProgress, LiveStatus
from airflow_provider_sixtyfour.exceptions import SixtyfourRunFailedError
from airflow_provider_sixtyfour.runs import progress
from airflow_provider_sixtyfour.runs.progress import ProgressNews, WriteRate, snapshot
from airflow_provider_sixtyfour.tasks import progress_xcom
from airflow_provider_sixtyfour.tasks.progress_xcom import TriggererPublisher, published_error, worker_publisher
from tests.unit.standins import TaskInstance


def live(percent: float, block: str = "read_csv", status: str = "running", error: str | None = None) -> LiveStatus:
    return LiveStatus("w", status, percent, block, (BlockProgress(block, 1, status, 2, 5, error),))


def test_a_snapshot_is_small_and_plain():
    assert snapshot(live(12.345), 0.0) == {
        "status": "running",
        "percent": 12.3,
        "block": "read_csv",
        "processed": 2,
        "total": 5,
        "blocks": [
            {"number": 1, "name": "read_csv", "status": "running", "processed": 2, "total": 5, "error": None},
        ],
        "at": "1970-01-01T00:00:00+00:00",
    }


def test_another_step_block_or_status_is_news():
    news = ProgressNews()
    assert news.is_news(snapshot(live(1), 0))
    news.published(snapshot(live(1), 0), 0)

    assert not news.is_news(snapshot(live(4.9), 0))
    assert news.is_news(snapshot(live(5), 0))
    assert news.is_news(snapshot(live(1, "company_enrichment"), 0))
    assert news.is_news(snapshot(live(1, status="queued"), 0))


def test_a_run_is_published_once_a_minute_and_a_process_writes_once_a_second():
    news, rate = ProgressNews(), WriteRate()
    news.published(snapshot(live(1), 0), 1000.0)

    assert (news.wait(1000.0), news.wait(1059.0), news.wait(1060.0)) == (60.0, 1.0, 0.0)
    assert [rate.wait(1000.0) for _ in range(200)] == [float(number) for number in range(200)]
    assert (rate.wait(1100.5), rate.wait(2000.0)) == (99.5, 0.0)


@pytest.fixture(autouse=True)
def tabs(monkeypatch):
    """Whatever this Airflow has: publishing itself needs none."""
    monkeypatch.setattr(progress_xcom, "HAS_TABS", True)


def test_an_airflow_without_tabs_publishes_nothing(context, monkeypatch):
    monkeypatch.setattr(progress_xcom, "HAS_TABS", False)

    assert worker_publisher(context) is None
    with pytest.raises(SixtyfourRunFailedError), published_error(context):
        raise SixtyfourRunFailedError("x", job_id="1", status="failed")
    assert context["ti"].xcoms == {}


@pytest.fixture(autouse=True)
def fresh_rate(monkeypatch):
    monkeypatch.setattr(progress_xcom, "_rate", WriteRate())


@pytest.fixture
def context():
    return {"ti": TaskInstance()}


def test_a_task_on_a_worker_publishes_the_first_and_then_each_minute(context, monkeypatch):
    at = [1000.0]
    monkeypatch.setattr(progress_xcom.time, "time", lambda: at[0])
    publish = worker_publisher(context)
    assert publish is not None

    publish(live(1))
    publish(live(50))
    assert context["ti"].xcoms["sixtyfour_progress"]["percent"] == 1
    at[0] += 60
    publish(live(60))
    assert context["ti"].xcoms["sixtyfour_progress"]["percent"] == 60
    publish(live(61, status="failed", error="no source"))  # at once: it names the block
    assert context["ti"].xcoms["sixtyfour_progress"]["blocks"][0]["error"] == "no source"


def test_a_worker_that_cannot_publish_goes_on(context, monkeypatch):
    def fail(key: str, value: Any) -> None:
        raise ConnectionError("the API server is away")

    monkeypatch.setattr(context["ti"], "xcom_push", fail)
    publish = worker_publisher(context)
    assert publish is not None

    publish(live(1))
    with pytest.raises(SixtyfourRunFailedError, match="no source"), published_error(context):
        raise SixtyfourRunFailedError("no source", job_id="1", status="failed")


def test_the_error_that_ends_a_task_is_published_as_it_is_logged(context):
    with pytest.raises(SixtyfourRunFailedError), published_error(context):
        raise SixtyfourRunFailedError("Failed in block 'x'. Run 1.", job_id="1", status="failed")
    with pytest.raises(KeyError), published_error(context):
        raise KeyError("secret")

    assert context["ti"].xcoms == {"sixtyfour_error": "Failed in block 'x'. Run 1."}


@pytest.mark.parametrize("places", ["", "nowhere"])
def test_where_there_is_no_tab_nothing_is_published(context, monkeypatch, places):
    monkeypatch.setenv("AIRFLOW__SIXTYFOUR__UI_TABS", places)

    assert worker_publisher(context) is None
    with pytest.raises(SixtyfourRunFailedError), published_error(context):
        raise SixtyfourRunFailedError("x", job_id="1", status="failed")
    assert context["ti"].xcoms == {}


class Comms:
    """The triggerer's channel to its supervisor, which answers when the test lets it."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.cancelled = 0
        self.answers = asyncio.Event()
        self.error: Exception | None = None

    async def asend(self, message: Any) -> None:
        self.sent.append(message)
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error


@pytest.fixture
def comms(monkeypatch):
    task_runner = pytest.importorskip("airflow.sdk.execution_time.task_runner")

    def install() -> Comms:
        made = Comms()
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", made, raising=False)
        return made

    return install


TI = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=3)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_trigger_publishes_the_newest_and_drops_what_it_cannot_send(comms, monkeypatch):
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    monkeypatch.setattr(progress, "WRITES", 1e9)
    channel, publisher = comms(), TriggererPublisher(TI)

    for percent in (1, 20, 40):
        publisher.offer(live(percent))
        await settle()
    assert [message.value["percent"] for message in channel.sent] == [1]
    channel.answers.set()
    await asyncio.sleep(0.05)
    assert [message.value["percent"] for message in channel.sent] == [1, 40]
    [first, _] = channel.sent
    assert (first.dag_id, first.run_id, first.task_id, first.map_index) == ("d", "r", "t", 3)
    assert first.key == "sixtyfour_progress"
    publisher.close()
    await asyncio.sleep(0.05)
    assert not progress_xcom._publishing


async def test_many_runs_that_begin_at_once_take_turns(comms, monkeypatch):
    monkeypatch.setattr(progress, "WRITES", 20.0)
    channel = comms()
    channel.answers.set()
    publishers = [TriggererPublisher(TI) for _ in range(200)]
    for publisher in publishers:
        publisher.offer(live(1))

    await asyncio.sleep(0.3)
    for publisher in publishers:
        publisher.close()
    await asyncio.sleep(0.02)

    assert 2 <= len(channel.sent) <= 8
    assert not progress_xcom._publishing


async def test_a_request_that_is_under_way_is_never_cancelled(comms):
    """On Airflow 3.1 the late answer would be read by the next one who asks, and end the triggerer."""
    channel = comms()

    async def trigger() -> None:
        publisher = TriggererPublisher(TI)
        try:
            publisher.offer(live(1))
            await asyncio.sleep(60)
        finally:
            publisher.close()

    task = asyncio.create_task(trigger())
    await settle()
    assert len(channel.sent) == 1
    task.cancel()
    await settle()
    assert channel.cancelled == 0
    assert len(progress_xcom._publishing) == 1
    channel.answers.set()
    await asyncio.sleep(0.05)
    assert not progress_xcom._publishing


async def test_the_block_that_failed_is_published_at_the_end_and_nothing_else_is(comms, monkeypatch):
    monkeypatch.setattr(progress, "WRITES", 1e9)
    channel = comms()
    channel.answers.set()

    ended, failed = TriggererPublisher(TI), TriggererPublisher(TI)
    for publisher in (ended, failed):
        publisher.offer(live(1))
    await asyncio.sleep(0.02)
    ended.offer(live(99))
    failed.offer(live(99, status="failed", error="no source"))
    for publisher in (ended, failed):
        publisher.close()
    await asyncio.sleep(0.05)

    assert [message.value["status"] for message in channel.sent] == ["running", "running", "failed"]
    assert not progress_xcom._publishing


async def test_a_supervisor_that_is_away_ends_no_wait(comms):
    channel = comms()
    channel.error = RuntimeError("closed")
    channel.answers.set()
    publisher = TriggererPublisher(TI)

    publisher.offer(live(1))
    await asyncio.sleep(0.02)
    assert (len(channel.sent), len(progress_xcom._publishing)) == (1, 1)  # it has failed, and the publisher continues
    publisher.close()
    await asyncio.sleep(0.02)

    assert not progress_xcom._publishing


async def test_a_trigger_without_a_task_instance_publishes_nothing():
    publisher = TriggererPublisher(None)
    publisher.offer(live(1))
    publisher.close()

    assert not progress_xcom._publishing
