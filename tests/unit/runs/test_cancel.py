from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourRefusedError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.runs.cancel import (
    CONFIRMATIONS,
    TRIES_IF_UNKNOWN,
    Answer,
    Cancellation,
    cancel,
    cancel_async,
)
from tests.emulator_process import EmulatorProcess
from tests.unit.api.conftest import plain_settings
from tests.unit.api.servers import closed_port

CANCEL = "/workflows/cancel"


class Canceller:
    """Cancels with either client; none of its pauses is really slept."""

    def __init__(self, kind: str, settings: Settings) -> None:
        self.slept: list[float] = []
        self.settings = settings
        self.is_async = kind == "async"

    def __call__(self, job_id: str) -> Cancellation:
        if not self.is_async:
            return cancel(SixtyfourClient(self.settings, sleep=lambda _: None), job_id, sleep=self.slept.append)
        return asyncio.run(self._cancel(job_id))

    async def _cancel(self, job_id: str) -> Cancellation:
        async with AsyncSixtyfourClient(self.settings, sleep=lambda _: asyncio.sleep(0)) as client:
            return await cancel_async(client, job_id)


@pytest.fixture(params=["sync", "async"])
def canceller(request: pytest.FixtureRequest, key_settings: Settings) -> Canceller:
    return Canceller(request.param, key_settings)


@pytest.fixture
def run(emulator: EmulatorProcess, key_settings: Settings, submission: Callable[..., calls.Call[Any]]):
    """Start a run as planned and return its id."""

    def start(**plan: Any) -> str:
        emulator.plan(**plan)
        job_id = SixtyfourClient(key_settings).send(submission()).job_id
        emulator.control("DELETE", "requests")
        return str(job_id)

    return start


def status(emulator: EmulatorProcess, job_id: str) -> str:
    [found] = [run["status"] for run in emulator.runs() if run["job_id"] == job_id]
    return str(found)


def asked(emulator: EmulatorProcess) -> list[str]:
    return [request["path"].rpartition("/")[2] for request in emulator.requests()]


def test_a_run_is_cancelled(canceller: Canceller, emulator: EmulatorProcess, run: Callable[..., str]):
    job_id = run(seconds=600)
    outcome = canceller(job_id)
    assert status(emulator, job_id) == "cancelled"
    assert asked(emulator) == (["cancel"] if canceller.is_async else ["cancel", "live_status"])
    assert (outcome.answer, outcome.is_stopped) == (Answer.ACCEPTED, True)
    if not canceller.is_async:
        assert outcome.ended is not None
        assert (outcome.ended.job_id, outcome.ended.status) == (job_id, "cancelled")


@pytest.mark.parametrize("ended_as", ["completed", "failed"])
def test_a_run_that_has_just_ended_is_no_error(
    canceller: Canceller, emulator: EmulatorProcess, run: Callable[..., str], ended_as: str
):
    job_id = run(seconds=0, queue_seconds=0, status=ended_as)
    outcome = canceller(job_id)
    assert emulator.requests()[0]["status"] == 400
    assert status(emulator, job_id) == ended_as
    assert outcome.answer is Answer.ENDED_ALREADY
    if not canceller.is_async:
        assert outcome.ended is not None
        assert outcome.ended.status == ended_as
        assert outcome.describe("h") == f"The run has already ended ({ended_as}). Run {job_id}."


def test_a_run_that_the_host_does_not_know_is_never_reported_as_cancelled(
    canceller: Canceller, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("asyncio.sleep", _at_once)
    outcome = canceller("0b6f7c58-59a4-4b8e-8f43-0b7c7e7d2c11")
    assert (outcome.answer, outcome.is_stopped) == (Answer.UNKNOWN, False)
    message = outcome.describe("https://api.example.com")
    assert message.startswith("Not cancelled: there is no such run at https://api.example.com for this credential.")
    assert asked(emulator) == ["cancel"] * TRIES_IF_UNKNOWN


def test_a_run_that_becomes_known_a_moment_later_is_cancelled(
    canceller: Canceller,
    emulator: EmulatorProcess,
    run: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("asyncio.sleep", _at_once)
    job_id = run(seconds=600)
    emulator.fault("answer", path=CANCEL, status=404, body={"detail": "Not found"}, times=2)
    assert canceller(job_id).answer is Answer.ACCEPTED
    assert status(emulator, job_id) == "cancelled"


async def _at_once(_: float) -> None:
    """Sleep no longer than the event loop needs to do something else."""


@pytest.mark.parametrize("code", [401, 403, 422])
def test_a_refusal_to_cancel_is_raised(
    canceller: Canceller, emulator: EmulatorProcess, run: Callable[..., str], code: int
):
    job_id = run(seconds=600)
    emulator.fault("answer", path=CANCEL, status=code, body={"detail": "No"}, times=10)
    with pytest.raises(SixtyfourRefusedError, match=f"answered {code}: No.* While cancelling run {job_id}"):
        canceller(job_id)
    assert asked(emulator) == ["cancel"]


@pytest.mark.parametrize("code", [400, 409])
def test_a_refusal_to_cancel_a_run_that_is_still_running_is_raised(
    key_settings: Settings, emulator: EmulatorProcess, run: Callable[..., str], code: int
):
    canceller = Canceller("sync", key_settings)
    job_id = run(seconds=600)
    emulator.fault("answer", path=CANCEL, status=code, body={"detail": "Not now"})
    with pytest.raises(SixtyfourRefusedError, match=rf"answered {code}: Not now\. While .* It is still in prog"):
        canceller(job_id)
    assert status(emulator, job_id) == "running"


def test_what_the_api_said_is_in_the_report_of_a_cancellation_that_was_refused(
    key_settings: Settings, emulator: EmulatorProcess, run: Callable[..., str]
):
    job_id = run(seconds=600)
    emulator.fault("answer", path=CANCEL, status=409, body={"detail": "Not now"})
    outcome = Canceller("async", key_settings)(job_id)
    assert "Sixtyfour answered 409: Not now." in outcome.describe("h")


@pytest.mark.parametrize(("code", "body"), [(204, ""), (202, ""), (200, "<html>OK")])
def test_an_answer_that_can_not_be_read_is_no_failure_where_the_run_ends(
    key_settings: Settings, emulator: EmulatorProcess, run: Callable[..., str], code: int, body: str
):
    job_id = run(seconds=600)
    emulator.fault("answer", path=CANCEL, when="after", status=code, body=body, times=10)
    outcome = Canceller("sync", key_settings)(job_id)
    assert (outcome.is_cancelled, status(emulator, job_id)) == (True, "cancelled")


def test_an_answer_that_can_not_be_read_is_a_failure_where_the_run_keeps_running(
    key_settings: Settings, emulator: EmulatorProcess, run: Callable[..., str]
):
    job_id = run(seconds=600)
    emulator.fault("answer", path=CANCEL, status=200, body="<html>Log in", times=10)
    with pytest.raises(SixtyfourUnavailableError, match="It is still in progress: running"):
        Canceller("sync", key_settings)(job_id)


def test_an_outage_is_waited_out(canceller: Canceller, emulator: EmulatorProcess, run: Callable[..., str]):
    job_id = run(seconds=600)
    emulator.fault("answer", path=CANCEL, status=502, body="<html>")
    emulator.fault("reset", path=CANCEL)
    emulator.fault("drop", path=CANCEL, when="after")
    canceller(job_id)
    # The third had worked: the fourth is answered by 400, which is as good.
    assert asked(emulator)[:4] == ["cancel"] * 4
    assert status(emulator, job_id) == "cancelled"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_api_that_can_not_be_reached(kind: str):
    canceller = Canceller(kind, plain_settings(f"http://127.0.0.1:{closed_port()}", ApiKey("k")))
    with pytest.raises(SixtyfourUnavailableError, match=r"connection refused\. While cancelling run j"):
        canceller("j")


def test_the_tries_are_few(canceller: Canceller, emulator: EmulatorProcess):
    emulator.fault("answer", status=503, times=100)
    with pytest.raises(SixtyfourUnavailableError):
        canceller("j")
    assert asked(emulator) == ["cancel"] * 4  # who is being stopped has seconds, not minutes


def test_a_run_that_winds_down_is_asked_after_for_some_seconds(
    key_settings: Settings, emulator: EmulatorProcess, run: Callable[..., str]
):
    canceller = Canceller("sync", key_settings)
    job_id = run(seconds=600, cancel_seconds=300)
    outcome = canceller(job_id)
    assert (outcome.is_stopped, outcome.ended) == (True, None)
    assert outcome.describe("h") == f"The run is cancelled, and still shutting down. Run {job_id}."
    assert asked(emulator) == ["cancel", *["live_status"] * CONFIRMATIONS]
    assert canceller.slept == [1.0] * (CONFIRMATIONS - 1)


def test_what_is_no_id_is_refused_before_anything_is_sent(canceller: Canceller, emulator: EmulatorProcess):
    with pytest.raises(SixtyfourInputError):
        canceller("None")
    assert emulator.requests() == []


def test_a_cancellation_that_was_accepted_is_no_failure_when_its_end_can_not_be_asked_for(
    key_settings: Settings, emulator: EmulatorProcess, run: Callable[..., str]
):
    job_id = run(seconds=600)
    emulator.fault("answer", path=".*/live_status", status=503, times=100)
    assert Canceller("sync", key_settings)(job_id).is_stopped
    assert [each["status"] for each in emulator.runs() if each["job_id"] == job_id] == ["cancelled"]
