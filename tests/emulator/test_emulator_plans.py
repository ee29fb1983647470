from __future__ import annotations

import time

import pytest

from tests.emulator.calls import Calls
from tests.emulator.conftest import RUN_SECONDS
from tests.emulator_process import EmulatorProcess


def test_a_plan_is_for_as_many_runs_as_it_sets(calls: Calls, emulator: EmulatorProcess) -> None:
    workflow_id = calls.deploy("find_email")
    emulator.plan(times=2, seconds=0, queue_seconds=0, status="failed")
    emulator.plan(seconds=0, queue_seconds=0, status="timeout")
    assert [plan["times_left"] for plan in emulator.control("GET", "plans")] == [2, 1]
    ends = [calls.live(calls.start(workflow_id))["overall_status"] for _ in range(4)]
    assert ends[:3] == ["failed", "failed", "timeout"]
    assert ends[3] in ("running", "completed")


def test_a_plan_can_be_for_one_workflow(calls: Calls, emulator: EmulatorProcess) -> None:
    this, other = calls.deploy("find_email"), calls.deploy("find_email")
    emulator.plan(workflow_id=this, seconds=0, queue_seconds=0, status="failed")
    assert calls.live(calls.start(other))["overall_status"] != "failed"
    assert calls.live(calls.start(this))["overall_status"] == "failed"


def test_a_replay_uses_up_no_plan(calls: Calls, emulator: EmulatorProcess) -> None:
    workflow_id = calls.deploy("find_email")
    calls.submit(workflow_id, key="plan-1")
    emulator.plan(status="failed")
    calls.submit(workflow_id, key="plan-1")
    assert len(emulator.control("GET", "plans")) == 1


def test_a_failed_run_names_the_failed_block_and_the_reason(calls: Calls, emulator: EmulatorProcess) -> None:
    workflow_id = calls.deploy("find_email", "find_phone", "export")
    emulator.plan(seconds=0.1, queue_seconds=0, fail_block=3, error_message="the carrier is on strike")
    job_id = calls.start(workflow_id)
    live = calls.wait(job_id)
    assert live["overall_status"] == "failed"
    assert [block["status"] for block in live["blocks"]] == ["completed", "completed", "failed", "pending"]
    assert [block["error_message"] for block in live["blocks"]] == [None, None, "the carrier is on strike", None]
    assert live["overall_progress_percentage"] < 100
    [row] = calls.get("/workflows/runs", workflow_id=workflow_id).json()
    assert (row["status"], row["error_message"]) == ("failed", "the carrier is on strike")
    assert (row["status_reason"], row["duration_ms"]) == ("block_failed", 100)


def test_without_a_message_the_failure_names_the_block(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=0, queue_seconds=0, status="failed")
    live = calls.live(calls.start(calls.deploy("find_email")))
    assert "Block 2 (find_email)" in live["blocks"][1]["error_message"]


@pytest.mark.parametrize("status", ["cancelled", "canceled", "timeout", "completed"])
def test_a_run_can_end_in_any_way(calls: Calls, emulator: EmulatorProcess, status: str) -> None:
    emulator.plan(seconds=0, queue_seconds=0, status=status)
    live = calls.live(calls.start(calls.deploy("find_email")))
    assert live["overall_status"] == status
    assert live["completed_at"]
    assert live["current_block"] is None


def test_a_status_that_nobody_knows_goes_on(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=0, queue_seconds=0, status="hibernating")
    workflow_id = calls.deploy("find_email")
    job_id = calls.start(workflow_id)
    live = calls.live(job_id)
    assert (live["overall_status"], live["completed_at"]) == ("hibernating", None)
    assert calls.get("/workflows/runs", workflow_id=workflow_id).json()[0]["status"] == "hibernating"
    emulator.set_status(job_id, "completed")
    assert calls.live(job_id)["overall_status"] == "completed"
    assert len(calls.final_rows(job_id)) == 2


def test_a_run_can_be_hidden_for_a_while(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(hide_for_seconds=0.8, seconds=0, queue_seconds=0)
    workflow_id = calls.deploy("find_email")
    job_id = calls.start(workflow_id)
    assert calls.get(f"/workflows/runs/{job_id}/live_status").status_code == 404
    assert calls.get("/workflows/runs", workflow_id=workflow_id).json() == []
    assert job_id in [run["job_id"] for run in emulator.runs()]
    time.sleep(0.8)
    assert calls.live(job_id)["overall_status"] == "completed"
    assert len(calls.get("/workflows/runs", workflow_id=workflow_id).json()) == 1


def test_a_cancel_can_take_its_time(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=100, queue_seconds=0, cancel_seconds=0.5)
    job_id = calls.start(calls.deploy("find_email"))
    assert calls.post("/workflows/cancel", job_id=job_id).status_code == 200
    assert calls.live(job_id)["overall_status"] == "running"
    time.sleep(0.5)
    assert calls.live(job_id)["overall_status"] == "cancelled"


def test_a_cancel_can_come_too_late(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=0.5, queue_seconds=0, cancel_seconds=0.8)
    job_id = calls.start(calls.deploy("find_email"))
    assert calls.post("/workflows/cancel", job_id=job_id).status_code == 200
    assert calls.wait(job_id)["overall_status"] == "completed"
    time.sleep(0.5)
    assert calls.live(job_id)["overall_status"] == "completed"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "canceled", "timeout", "running", "odd"])
def test_a_status_can_be_forced(calls: Calls, emulator: EmulatorProcess, status: str) -> None:
    emulator.plan(seconds=100, queue_seconds=0)
    job_id = calls.start(calls.deploy("find_email"))
    shown = emulator.set_status(job_id, status, "because")
    assert shown["status"] == status
    live = calls.live(job_id)
    assert live["overall_status"] == status
    assert bool(live["completed_at"]) == (status not in ("running", "odd"))
    errors = [block["error_message"] for block in live["blocks"] if block["error_message"]]
    assert errors == (["because"] if status in ("failed", "cancelled", "canceled", "timeout") else [])


def test_a_forced_status_can_bring_a_run_back(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=0, queue_seconds=0)
    job_id = calls.start(calls.deploy("find_email"))
    emulator.set_status(job_id, "running")
    live = calls.live(job_id)
    assert (live["overall_status"], live["completed_at"]) == ("running", None)


def test_result_files_can_be_misdescribed(calls: Calls, emulator: EmulatorProcess) -> None:
    results = [
        {"filename": "../../etc/passwd", "block_number": 9, "rows": [{"a": 1}]},
        {"filename": "a/b\\c\x00.csv", "row_count": 77, "file_size": 1},
        {"filename": "null.csv", "file_size": None, "download_url": None, "omit": ["row_count", "results"]},
    ]
    emulator.plan(seconds=0, queue_seconds=0, results=results)
    job_id = calls.start(calls.deploy("find_email"))
    first, second, third = calls.files(job_id)
    assert (first["filename"], first["block_number"], first["row_count"]) == ("../../etc/passwd", 9, 1)
    assert calls.download(first["download_url"]).text == "a\r\n1\r\n"
    assert (second["filename"], second["row_count"], second["file_size"]) == ("a/b\\c\x00.csv", 77, 1)
    assert second["block_number"] == 2
    assert len(calls.download(second["download_url"]).text.splitlines()) == 3
    assert (third["file_size"], third["download_url"]) == (None, None)
    assert not {"row_count", "results"} & set(third)


def test_every_nth_run_fails_at_a_fail_rate() -> None:
    with EmulatorProcess("--fail-rate", "0.4", "--run-seconds", "0", "--queue-seconds", "0") as process:
        calls = Calls(process)
        workflow_id = calls.deploy("find_email")
        ends = [calls.live(calls.start(workflow_id))["overall_status"] for _ in range(10)]
        failed = [number for number, end in enumerate(ends, start=1) if end == "failed"]
        assert failed == [3, 5, 8, 10]
        calls.close()


def test_times_are_those_of_the_options() -> None:
    options = ("--run-seconds", "7", "--queue-seconds", "100", "--latency", "0.1")
    with EmulatorProcess(*options) as process:
        calls = Calls(process)
        began = time.monotonic()
        job_id = calls.start(calls.deploy("find_email"))
        assert time.monotonic() - began >= 0.2
        assert calls.live(job_id)["overall_status"] == "queued"
        calls.close()
    assert RUN_SECONDS < 7


def test_a_malformed_plan_is_refused(emulator: EmulatorProcess) -> None:
    for plan in ({"sceonds": 5}, {"seconds": -1}, {"times": 0}, {"synthetic_bytes": 0}):
        with pytest.raises(Exception, match="422"):
            emulator.plan(**plan)
