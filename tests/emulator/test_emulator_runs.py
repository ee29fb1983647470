from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from tests.emulator.calls import ROWS, Calls, definition
from tests.emulator.conftest import RUN_SECONDS
from tests.emulator_process import EmulatorProcess


def test_a_run_is_queued_then_runs_then_completes(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(queue_seconds=0.3, seconds=0.3)
    answer = calls.submit(calls.deploy("find_email", "find_phone")).json()
    assert (answer["status"], answer["already_started"]) == ("queued", False)
    seen: list[str] = []
    percent = [0.0]
    while not seen or seen[-1] != "completed":
        live = calls.live(answer["job_id"])
        if live["overall_status"] not in seen:
            seen.append(live["overall_status"])
        percent.append(live["overall_progress_percentage"])
        time.sleep(0.01)
    assert seen == ["queued", "running", "completed"]
    assert percent == sorted(percent)
    assert percent[-1] == 100


def test_each_block_has_its_own_progress(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=1000, queue_seconds=0)
    emulator.plan(seconds=0.001, queue_seconds=0)
    workflow_id = calls.deploy("find_email", "find_phone")
    slow, quick = calls.start(workflow_id), calls.start(workflow_id)
    live = calls.live(slow)
    assert (live["current_block"], live["current_block_sequence"]) == ("webhook", 1)
    assert [block["status"] for block in live["blocks"]] == ["running", "pending", "pending"]
    live = calls.wait(quick)
    assert [block["status"] for block in live["blocks"]] == ["completed"] * 3
    assert [block["processed_count"] for block in live["blocks"]] == [2, 2, 2]
    assert (live["completed_blocks"], live["total_blocks"], live["current_block"]) == (3, 3, None)
    ids = [block["block_id"] for block in live["blocks"]]
    assert [block["previous_block_ids"] for block in live["blocks"]] == [[], [ids[0]], [ids[1]]]


def test_a_run_takes_as_long_as_it_should(calls: Calls) -> None:
    job_id = calls.start(calls.deploy("find_email"))
    calls.wait(job_id)
    [row] = [run for run in calls.get("/workflows/runs").json() if run["job_id"] == job_id]
    assert row["duration_ms"] == RUN_SECONDS * 1000
    times = [datetime.fromisoformat(row[name]) for name in ("queued_at", "started_at", "completed_at")]
    assert times == sorted(times)


def test_a_row_of_the_list_has_what_the_run_did(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    job_id = calls.start(workflow_id)
    calls.wait(job_id)
    [row] = calls.get("/workflows/runs", workflow_id=workflow_id).json()
    assert (row["job_id"], row["status"], row["workflow_name"]) == (job_id, "completed", "n")
    assert row["metrics"] == {"rows_in": 2, "rows_out": 2, "cost_cents": 10, "credits_used": 1}
    assert row["blocks_count"] == 2
    assert row["error_message"] is None


def test_the_list_is_newest_first_and_keeps_its_limit(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    started = [calls.start(workflow_id) for _ in range(5)]
    listed = calls.get("/workflows/runs", workflow_id=workflow_id, limit=3).json()
    assert [run["job_id"] for run in listed] == started[:1:-1]
    queued = [run["queued_at"] for run in listed]
    assert queued == sorted(queued, reverse=True)
    assert len(set(queued)) == 3
    for limit in (0, 501, "many"):
        assert calls.get("/workflows/runs", limit=limit).status_code == 422


def test_the_list_can_be_limited_to_a_status(calls: Calls, emulator: EmulatorProcess) -> None:
    workflow_id = calls.deploy("find_email")
    for plan in ({"queue_seconds": 100}, {"seconds": 100}, {"seconds": 0}, {"seconds": 100}):
        emulator.plan(**{"queue_seconds": 0, **plan})
    queued, running, completed, cancelled = [calls.start(workflow_id) for _ in range(4)]
    calls.post("/workflows/cancel", job_id=cancelled)
    for status, expected in {
        "queued": [queued],
        "running": [running],
        "completed": [completed],
        "cancelled": [cancelled],
        "active": [running, queued],
        "": [],
    }.items():
        listed = calls.get("/workflows/runs", workflow_id=workflow_id, status=status).json()
        assert [run["job_id"] for run in listed] == expected, status


def test_the_list_has_100_runs_where_no_limit_is_given(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: calls.start(workflow_id), range(101)))
    assert len(calls.get("/workflows/runs").json()) == 100


def test_a_cancelled_run_stops_where_it_is(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=100, queue_seconds=0)
    workflow_id = calls.deploy("find_email")
    job_id = calls.start(workflow_id)
    answer = calls.post("/workflows/cancel", job_id=job_id)
    assert (answer.status_code, answer.json()) == (200, {"job_id": job_id, "status": "canceled"})
    live = calls.live(job_id)
    assert live["overall_status"] == "cancelled"
    assert live["completed_at"]
    [row] = calls.get("/workflows/runs", workflow_id=workflow_id).json()
    assert (row["status"], row["status_reason"]) == ("cancelled", "cancelled_by_user")
    assert calls.files(job_id) == []


def test_a_queued_run_can_be_cancelled(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(queue_seconds=100)
    job_id = calls.start(calls.deploy("find_email"))
    assert calls.post("/workflows/cancel", {"job_id": job_id}).status_code == 200
    live = calls.live(job_id)
    assert (live["overall_status"], live["started_at"]) == ("cancelled", None)


@pytest.mark.parametrize("status", ["completed", "failed", "timeout", "cancelled", "canceled"])
def test_a_run_that_has_ended_can_not_be_cancelled(calls: Calls, emulator: EmulatorProcess, status: str) -> None:
    emulator.plan(seconds=0, queue_seconds=0, status=status)
    job_id = calls.start(calls.deploy("find_email"))
    answer = calls.post("/workflows/cancel", job_id=job_id)
    assert answer.status_code == 400
    assert status in answer.json()["detail"]
    assert calls.live(job_id)["overall_status"] == status


def test_an_unknown_run_is_a_404_and_a_malformed_id_a_422(calls: Calls) -> None:
    unknown = str(uuid.uuid4())
    assert calls.get(f"/workflows/runs/{unknown}/live_status").status_code == 404
    assert calls.get(f"/workflows/runs/{unknown}/results/download-links").status_code == 404
    assert calls.post("/workflows/cancel", job_id=unknown).status_code == 404
    assert calls.post("/workflows/cancel").status_code == 400
    assert calls.get("/workflows/runs/nonsense/live_status").status_code == 422
    assert calls.get("/workflows/runs/nonsense/results/download-links").status_code == 422


def test_a_replay_answers_with_the_first_run(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=0, queue_seconds=0, status="failed")
    workflow_id, key = calls.deploy("find_email"), str(uuid.uuid4())
    first = calls.submit(workflow_id, key=key).json()
    assert calls.live(first["job_id"])["overall_status"] == "failed"
    again = calls.submit(workflow_id, [{"other": "row"}], key=key).json()
    assert again == first | {"already_started": True}
    other = calls.submit(workflow_id, key=str(uuid.uuid4())).json()
    assert other["job_id"] != first["job_id"]
    mine = [run for run in emulator.runs() if run["idempotency_key"] == key]
    assert [run["body"] for run in mine] == [{"webhook_payload": ROWS}]


def test_replays_at_the_same_time_start_one_run(calls: Calls) -> None:
    workflow_id, key = calls.deploy("find_email"), str(uuid.uuid4())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: calls.submit(workflow_id, key=key).json(), range(16)))
    assert len({answer["job_id"] for answer in answers}) == 1
    assert sum(not answer["already_started"] for answer in answers) == 1


def test_a_refused_request_does_not_use_up_its_key(calls: Calls) -> None:
    workflow_id, key = calls.deploy("find_email"), str(uuid.uuid4())
    assert calls.submit(workflow_id, [], key=key).status_code == 400
    answer = calls.submit(workflow_id, key=key).json()
    assert answer["already_started"] is False


def test_a_webhook_workflow_takes_rows_only(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    missing = calls.post("/workflows/run", {}, workflow_id=workflow_id)
    no_body = calls.post("/workflows/run", workflow_id=workflow_id)
    for answer in (missing, no_body):
        assert answer.status_code == 400
        assert "webhook_payload" in answer.json()["detail"]
    for rows in (["text"], [1], "text", 5):
        assert calls.submit(workflow_id, rows).status_code == 422


def test_a_single_object_is_one_row(calls: Calls, emulator: EmulatorProcess) -> None:
    job_id = calls.start(calls.deploy("find_email"), {"name": "Ada"})
    [run] = [run for run in emulator.runs() if run["job_id"] == job_id]
    assert (run["rows"], run["body"]) == (1, {"webhook_payload": {"name": "Ada"}})


def test_a_read_csv_workflow_takes_a_handle_only(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email", source="read_csv")
    for override in ({}, {"resource_handle_id": None}, {"resource_handle_id": ""}):
        answer = calls.post("/workflows/run", {"specs_override": override}, workflow_id=workflow_id)
        assert answer.status_code == 400
        assert "resource_handle_id" in answer.json()["detail"]
    assert calls.submit(workflow_id).status_code == 400
    unknown = {"specs_override": {"resource_handle_id": str(uuid.uuid4())}}
    assert calls.post("/workflows/run", unknown, workflow_id=workflow_id).status_code == 404


def test_an_override_must_fit_the_schema_of_the_first_block(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email", source="read_csv")
    answer = calls.post("/workflows/run", {"specs_override": {"resource_handle_id": 5}}, workflow_id=workflow_id)
    assert answer.status_code == 400
    assert "resource_handle_id" in answer.json()["detail"]


def test_an_override_is_for_one_run_only(calls: Calls) -> None:
    workflow_id = calls.deploy("export")
    body = {"webhook_payload": ROWS, "specs_override": {"dataframe_type": "COMPANY"}}
    job_id = calls.post("/workflows/run", body, workflow_id=workflow_id).json()["job_id"]
    assert calls.live(job_id)["blocks"][0]["metrics"]["dataframe_type"] == "COMPANY"
    assert calls.get(f"/workflows/{workflow_id}").json()["workflow_definition"]["blocks"][0]["specs"] == {}


def test_an_unknown_format_is_a_422(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    assert calls.submit(workflow_id, result_formats="json").status_code == 422
    assert calls.submit(workflow_id, result_formats="parquet").status_code == 422
    job_id = calls.start(workflow_id, result_formats=["csv", "ndjson"])
    path = f"/workflows/runs/{job_id}/results/download-links"
    assert calls.get(path, format="parquet").status_code == 422


def test_a_run_keeps_the_graph_that_it_was_started_with(calls: Calls) -> None:
    workflow_id = calls.deploy("find_email")
    job_id = calls.start(workflow_id)
    other = {"workflow_definition": definition("find_email", "find_phone")}
    assert calls.post("/workflows/update_workflow", other, workflow_id=workflow_id).status_code == 200
    calls.post("/workflows/delete_workflow", workflow_id=workflow_id)
    assert calls.live(job_id)["total_blocks"] == 2


def test_many_runs_at_once_are_cheap(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(times=600, seconds=1000, queue_seconds=0)
    workflow_id = calls.deploy("lead_enrichment", "find_email")
    with ThreadPoolExecutor(4) as pool:
        jobs = list(pool.map(lambda _: calls.start(workflow_id), range(600)))
    began = time.monotonic()
    listed = calls.get("/workflows/runs", status="active", workflow_id=workflow_id, limit=500).json()
    assert len(listed) == 500
    assert {calls.live(job_id)["overall_status"] for job_id in jobs[::100]} == {"running"}
    assert time.monotonic() - began < 5
