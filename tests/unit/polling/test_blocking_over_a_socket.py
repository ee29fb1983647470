"""The blocking wait with the real client, against the emulator: what the decisions need is really sent and read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import SixtyfourTimeoutError, SixtyfourWaitError
from airflow_provider_sixtyfour.polling.blocking import wait
from airflow_provider_sixtyfour.polling.run_watch import RunWatch
from airflow_provider_sixtyfour.runs.status import RunOutcome
from tests.emulator_process import EmulatorProcess
from tests.unit.polling.conftest import Lines

GRAPH = {
    "blocks": [
        {"block_id": "a", "sequence_number": 1, "block_type": "i", "block_name": "webhook", "specs": {}},
        {"block_id": "b", "sequence_number": 2, "block_type": "e", "block_name": "find_email", "specs": {}},
    ],
    "edges": [{"from_block_id": "a", "to_block_id": "b"}],
}


@pytest.fixture
def start(emulator: EmulatorProcess) -> Callable[..., str]:
    """Start a run as planned and return its id."""

    def build(**plan: Any) -> str:
        body = {"workflow_name": "w", "workflow_description": "", "workflow_definition": GRAPH}
        workflow_id = emulator.api("POST", "/workflows/create_workflow", body)["id"]
        emulator.plan(**plan)
        rows = {"webhook_payload": [{"name": "Ada"}]}
        job_id = emulator.api("POST", f"/workflows/run?workflow_id={workflow_id}", rows)["job_id"]
        emulator.control("DELETE", "requests")
        return str(job_id)

    return build


class Waiter:
    """A pause lasts a hundredth of what it should, and the clock runs as if it had not."""

    def __init__(self, emulator: EmulatorProcess) -> None:
        self.log = Lines()
        self.slept = 0.0
        self._settings = Settings(
            credential=ApiKey(emulator.api_key), base_url=emulator.url, timeout=10.0, verify=False
        )

    def clock(self) -> float:
        return 1000.0 + self.slept

    def __call__(self, job_id: str, **options: Any) -> RunOutcome:
        watch = RunWatch(job_id, log=self.log, clock=self.clock, **{"poll_interval": 10.0, "deadline": None, **options})
        return wait(SixtyfourClient(self._settings), job_id, watch, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        time.sleep(seconds / 100)


@pytest.fixture
def waiter(emulator: EmulatorProcess) -> Waiter:
    return Waiter(emulator)


def test_a_run_is_waited_for_through_all_outages(waiter: Waiter, emulator: EmulatorProcess, start: Callable[..., str]):
    job_id = start(seconds=0.3, hide_for_seconds=0.05)
    path = r"/workflows/runs/.*/live_status"
    emulator.fault("answer", path=path, status=502, body="<html><title>502 Bad Gateway</title></html>", skip=1)
    emulator.fault("reset", path=path, skip=1)
    emulator.fault("answer", path=path, status=429, headers={"Retry-After": "3"}, skip=1)
    emulator.fault("answer", path=path, status=200, body="<html>Hello</html>", skip=1)
    ended = waiter(job_id, may_be_unknown=30.0)
    assert (ended.job_id, ended.status) == (job_id, "completed")
    assert waiter.log.lines[-1] == f"Completed 100 %. Run {job_id}."
    assert sum("Polling continues" in line for line in waiter.log.lines) == sum(
        "answers again" in line for line in waiter.log.lines
    )
    assert {request["path"] for request in emulator.requests()} == {f"/workflows/runs/{job_id}/live_status"}


def test_a_failed_run_is_reported_with_its_block(waiter: Waiter, start: Callable[..., str]):
    ended = waiter(start(seconds=0, fail_block=2, error_message="no mailbox"))
    assert (ended.status, ended.block, ended.message) == ("failed", "'find_email' (2)", "no mailbox")


@pytest.mark.parametrize("status", ["cancelled", "canceled", "timeout"])
def test_an_end_that_no_block_explains_is_looked_up(
    waiter: Waiter, emulator: EmulatorProcess, start: Callable[..., str], status: str
):
    job_id = start(seconds=600, queue_seconds=600)
    emulator.set_status(job_id, status, "stopped by hand")
    ended = waiter(job_id)
    assert ended.status == status.replace("canceled", "cancelled")
    assert ended.message is not None
    assert "stopped by hand" in ended.message
    assert [request["path"].rpartition("/")[2] for request in emulator.requests()] == ["live_status", "runs"]


def test_a_refusal_that_is_repeated_for_minutes_ends_the_wait(
    waiter: Waiter, emulator: EmulatorProcess, start: Callable[..., str]
):
    job_id = start(seconds=600)
    emulator.fault("answer", status=403, body={"detail": "Not yours"}, times=100)
    with pytest.raises(SixtyfourWaitError, match=r"answered 403: Not yours.* While checking the status of run"):
        waiter(job_id)
    assert waiter.slept == pytest.approx(300.0)
    assert len(emulator.requests()) == 31


@pytest.mark.parametrize("status", [302, 304, 400, 401, 403, 404, 405, 407, 409, 410, 413, 418, 422, 499])
@pytest.mark.parametrize("body", [{"detail": "odd"}, "<html><title>Blocked</title></html>", None], ids=str)
def test_one_odd_answer_ends_nothing(
    waiter: Waiter, emulator: EmulatorProcess, start: Callable[..., str], status: int, body: Any
):
    job_id = start(seconds=0.3)
    emulator.fault("answer", path=r"/workflows/runs/.*/live_status", status=status, body=body)
    assert waiter(job_id).status == "completed"


def test_the_deadline(waiter: Waiter, emulator: EmulatorProcess, start: Callable[..., str]):
    job_id = start(seconds=600)
    with pytest.raises(SixtyfourTimeoutError, match=r"^Not completed by the task's deadline .*: running 0 %"):
        waiter(job_id, deadline=1025.0)
    assert waiter.slept == 25.0
    assert len(emulator.requests()) == 4
    assert [run["status"] for run in emulator.runs() if run["job_id"] == job_id] == ["running"]
