"""Bulk jobs, their status and the balance, over a socket."""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any

import httpx
import pytest

from tests.emulator.calls import Calls
from tests.emulator_process import EmulatorProcess

CSV = b"name,company\nAda,Acme\nGrace,Bolt\n"
STRUCT = {"title": "Their title", "age": {"description": "Age", "type": "int"}}


def bulk(calls: Calls, kind: str = "people", *, file: Any = ("leads.csv", CSV), **more: Any) -> httpx.Response:
    config = more.pop("config", {"struct": STRUCT})
    params = {name: value for name, value in more.items() if name == "cost_units"}
    headers = {"Idempotency-Key": more["key"]} if "key" in more else {}
    data = {"config": config if isinstance(config, str) else json.dumps(config), **more.get("parts", {})}
    return calls.http.post(
        f"/bulk-intelligence/{kind}", params=params, data=data, files={"file": file}, headers=headers
    )


def status(calls: Calls, task_id: str, wanted: str = "completed", **params: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while True:
        shown: dict[str, Any] = calls.get(f"/job-status/{task_id}", **params).raise_for_status().json()
        if shown["status"] == wanted:
            return shown
        assert time.monotonic() < deadline, f"still {shown['status']}"
        time.sleep(0.02)


@pytest.mark.parametrize(("tier", "cents"), [(None, 10), ("micro", 4), ("low", 10), ("medium", 30)])
def test_a_job_goes_from_its_file_to_files_and_a_charge(calls: Calls, tier: str | None, cents: int) -> None:
    config = {"struct": STRUCT, "tier": tier, "result_formats": ["csv", "ndjson"], "columns": ["name"]}
    started = bulk(calls, config=config).json()
    assert started == {
        "task_id": started["task_id"],
        "status": "RUNNING",
        "row_count": 2,
        "estimated_cost_cents": cents,
        "already_started": False,
    }
    shown = status(calls, started["task_id"])
    assert set(shown) == {"status", "id", "run_id", "start_time", "close_time", "results", "charge_amount"}
    assert (shown["id"], shown["charge_amount"]) == (started["task_id"], cents)
    assert [file["filename"].rpartition(".")[2] for file in shown["results"]] == ["csv", "ndjson"]
    lines = calls.download(shown["results"][1]["download_url"]).text.splitlines()
    assert [list(json.loads(line)) for line in lines] == [["name", "company", "title", "age"]] * 2
    assert isinstance(json.loads(lines[0])["age"], int)


def test_costs_in_credits(calls: Calls) -> None:
    started = bulk(calls, cost_units="credits").json()
    assert started["estimated_cost_credits"] == 1.0
    assert "estimated_cost_cents" not in started
    shown = status(calls, started["task_id"], cost_units="credits")
    assert shown["charge_credits"] == 1.0
    assert "charge_amount" not in shown


def test_the_estimate_is_a_floor(calls: Calls) -> None:
    started = bulk(calls, "company", config={"struct": STRUCT, "find_people": True}).json()
    assert status(calls, started["task_id"])["charge_amount"] > started["estimated_cost_cents"]


def test_a_key_starts_one_job(calls: Calls, emulator: EmulatorProcess) -> None:
    count, key = len(emulator.runs()), str(uuid.uuid4())
    answers: list[dict[str, Any]] = []
    file = ("leads.csv", b"name\n" + b"Ada\n" * 90_000)  # is read long enough for the others to arrive

    def submit() -> None:
        answers.append(bulk(calls, key=key, file=file).json())

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = bulk(calls, key=key).json()
    assert again == {"task_id": again["task_id"], "status": "RUNNING", "already_started": True}
    assert {answer["task_id"] for answer in answers} == {again["task_id"]}
    assert sorted(answer["already_started"] for answer in answers) == [False, True, True, True]
    assert len(emulator.runs()) == count + 1


@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        ({"status": "failed"}, "failed"),
        ({"status": "timeout"}, "timed_out"),
        ({"status": "TERMINATED"}, "TERMINATED"),
        ({"queue_seconds": 9}, "running"),
        ({"status": "continued_as_new"}, "continued_as_new"),
    ],
)
def test_a_job_that_has_no_results(calls: Calls, emulator: EmulatorProcess, plan: dict[str, Any], wanted: str) -> None:
    emulator.plan(**{"seconds": 0, "queue_seconds": 0, **plan})
    shown = status(calls, bulk(calls).json()["task_id"], wanted)
    assert set(shown) == {"status", "id", "run_id", "start_time"}


def test_a_job_is_a_run_of_the_engine(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=60)
    task_id = bulk(calls).json()["task_id"]
    assert calls.live(task_id)["overall_status"] == "running"
    assert calls.get("/workflows/runs", limit=1).json()[0]["job_id"] == task_id
    assert calls.post("/workflows/cancel", job_id=task_id).json()["status"] == "canceled"
    assert status(calls, task_id, "cancelled")


def test_an_unknown_job(calls: Calls) -> None:
    for unknown in ("nonsense", str(uuid.uuid4())):
        answer = calls.get(f"/job-status/{unknown}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Job not found"})


@pytest.mark.parametrize(
    ("kind", "config", "code", "text"),
    [
        ("people", "{", 400, "not JSON"),
        ("people", " " * 300_001, 400, "300000"),
        ("people", {"struct": STRUCT, "more": 1}, 422, "more"),
        ("people", {"tier": "best"}, 422, "tier"),
        ("people", {"tier": "xhigh"}, 403, "not enabled for this org"),
        ("people", {"find_people": True}, 422, "find_people"),
        ("people", {"struct": {"a": {"type": "money"}}}, 400, "money"),
        ("people", {"columns": ["age"]}, 400, "age"),
        ("people", {"webhook_url": "ftp://x"}, 422, "webhook_url"),
        ("people", [], 422, "config"),
        ("company", {}, 422, "struct"),
        ("company", {"struct": {}}, 422, "struct"),
        ("company", {"struct": STRUCT, "tier": "scout"}, 422, "tier"),
        ("animals", {"struct": STRUCT}, 422, "kind"),
    ],
)
def test_a_configuration_that_is_none_is_refused(
    calls: Calls, emulator: EmulatorProcess, kind: str, config: Any, code: int, text: str
) -> None:
    count = len(emulator.runs())
    answer = bulk(calls, kind, config=config)
    assert answer.status_code == code
    assert text in answer.text
    assert len(emulator.runs()) == count


def test_a_file_that_is_none_is_refused(calls: Calls, emulator: EmulatorProcess) -> None:
    many = b"name\n" + b"x\n" * 100_001
    count = len(emulator.runs())
    for file in (("a.txt", CSV), ("a.csv", b""), ("a.csv", b"name\n"), ("a.json", b"{"), ("a.csv", many)):
        assert bulk(calls, file=file).status_code == 400
    assert bulk(calls, parts={"more": "1"}).status_code == 400
    assert calls.http.post("/bulk-intelligence/people", data={"config": "{}"}).status_code == 422
    assert len(emulator.runs()) == count


def test_the_balance_must_cover_the_estimate() -> None:
    with EmulatorProcess("--credits", "2.5", "--run-seconds", "0", "--queue-seconds", "0") as process:
        calls = Calls(process)
        assert calls.get("/check-balance").json() == {"credits": 2.5}
        assert bulk(calls).status_code == 200
        assert calls.get("/check-balance").json() == {"credits": 1.5}
        answer = bulk(calls, config={"tier": "medium"})
        assert (answer.status_code, "Insufficient API credits" in answer.text) == (402, True)
        assert calls.get("/check-balance").json() == {"credits": 1.5}
        assert len(process.runs()) == 1
        calls.close()


def test_ten_submissions_a_minute() -> None:
    with EmulatorProcess() as process:
        calls = Calls(process)
        key = str(uuid.uuid4())
        assert [bulk(calls, key=key).status_code for _ in range(3)] == [200] * 3
        assert [bulk(calls).status_code for _ in range(9)] == [200] * 9
        answer = bulk(calls)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert bulk(calls, key=key).json()["already_started"] is True
        process.control("DELETE", "rate-limit")
        assert bulk(calls).status_code == 200
        calls.close()


def test_the_balance_needs_a_credential_and_is_large_without_a_limit(calls: Calls) -> None:
    assert calls.get("/check-balance").json()["credits"] > 1_000
    for path in ("/check-balance", "/job-status/x"):
        assert calls.anonymous("GET", path).status_code == 401


@pytest.mark.parametrize(("status_text", "ends"), [("archived", True), ("Completed", None), ("timed_out", None)])
def test_a_status_of_any_spelling_can_be_an_end(
    calls: Calls, emulator: EmulatorProcess, status_text: str, ends: bool | None
) -> None:
    emulator.plan(seconds=0, queue_seconds=0, status=status_text, ends=ends)
    live = calls.live(calls.start(calls.deploy("find_email")))
    assert live["overall_status"] == status_text
    assert live["completed_at"]
    emulator.plan(seconds=0, queue_seconds=0, status="finalizing")
    live = calls.live(calls.start(calls.deploy("find_email")))
    assert (live["overall_status"], live["completed_at"]) == ("finalizing", None)
