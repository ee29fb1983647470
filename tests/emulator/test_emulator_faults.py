from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.emulator.calls import TLS, Calls
from tests.emulator_process import EmulatorProcess


def test_an_answer_is_given_as_often_as_was_ordered(calls: Calls, emulator: EmulatorProcess) -> None:
    html = "<html>Bad Gateway</html>"
    order = emulator.fault("answer", path="/workflows", status=502, body=html, times=2, headers={"X-Proxy": "p"})
    assert (order["id"], order["fired"]) == (emulator.faults()[0]["id"], 0)
    answers = [calls.get("/workflows") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 502, 200]
    assert answers[0].text == html
    assert answers[0].headers["content-type"] == "text/html"
    assert answers[0].headers["x-proxy"] == "p"
    assert emulator.faults()[0]["fired"] == 2


def test_a_fault_acts_only_on_what_it_describes(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.fault("answer", method="get", path="/workflows/.*/live_status", query="", times=None, seconds=30)
    assert calls.get("/workflows").status_code == 200
    assert calls.get("/workflows/blocks").status_code == 200
    assert calls.post("/workflows/runs/x/live_status").status_code == 405
    assert calls.get("/workflows/runs/x/live_status").status_code == 503
    emulator.control("DELETE", "faults")
    assert calls.get("/workflows/runs/x/live_status").status_code == 422
    assert emulator.faults() == []


def test_a_fault_can_look_at_the_query(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.fault("answer", path="/workflows/runs", query="limit=1$")
    assert calls.get("/workflows/runs", limit=2).status_code == 200
    assert calls.get("/workflows/runs", limit=1).status_code == 503


def test_the_first_requests_can_be_let_through(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.fault("answer", path="/workflows", skip=2, status=500, body={"detail": "sorry"})
    answers = [calls.get("/workflows") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 500, 200]
    assert answers[2].json() == {"detail": "sorry"}


def test_a_fault_can_last_for_a_time(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.fault("answer", seconds=0.3)
    began = time.monotonic()
    statuses = [calls.get("/workflows").status_code]
    while statuses[-1] == 503:
        assert time.monotonic() - began < 5
        statuses.append(calls.get("/workflows").status_code)
        time.sleep(0.01)
    assert time.monotonic() - began >= 0.3
    assert emulator.faults()[0]["fired"] == len(statuses) - 1 > 1


def test_a_fault_can_last_until_it_is_cancelled(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.fault("answer", times=None)
    assert {calls.get("/workflows").status_code for _ in range(5)} == {503}
    emulator.control("DELETE", "faults")
    assert calls.get("/workflows").status_code == 200


def test_faults_act_in_the_order_of_their_arrival(calls: Calls, emulator: EmulatorProcess) -> None:
    for status in (500, 502):
        emulator.fault("answer", status=status)
    assert [calls.get("/workflows").status_code for _ in range(3)] == [500, 502, 200]


@pytest.mark.parametrize(("action", "error"), [("drop", httpx.RemoteProtocolError), ("reset", httpx.ReadError)])
def test_a_connection_breaks_before_the_request_is_processed(
    calls: Calls, emulator: EmulatorProcess, action: str, error: type[Exception]
) -> None:
    workflow_id = calls.deploy("find_email")
    count = len(emulator.runs())
    emulator.fault(action, path="/workflows/run")
    with pytest.raises(error):
        calls.submit(workflow_id)
    assert len(emulator.runs()) == count
    assert calls.submit(workflow_id).status_code == 200


@pytest.mark.parametrize(("action", "error"), [("drop", httpx.RemoteProtocolError), ("reset", httpx.ReadError)])
def test_an_accepted_request_can_lose_its_answer(
    calls: Calls, emulator: EmulatorProcess, action: str, error: type[Exception]
) -> None:
    workflow_id = calls.deploy("find_email")
    emulator.fault(action, path="/workflows/run", when="after")
    with pytest.raises(error):
        calls.submit(workflow_id, key="lost-" + action)
    [run] = [run for run in emulator.runs() if run["idempotency_key"] == "lost-" + action]
    answer = calls.submit(workflow_id, key="lost-" + action).json()
    assert (answer["job_id"], answer["already_started"]) == (run["job_id"], True)


def test_an_accepted_request_can_get_another_answer(calls: Calls, emulator: EmulatorProcess) -> None:
    workflow_id = calls.deploy("find_email")
    count = len(emulator.runs())
    emulator.fault("answer", path="/workflows/run", when="after", status=502)
    assert calls.submit(workflow_id).status_code == 502
    assert len(emulator.runs()) == count + 1


@pytest.mark.parametrize(
    ("action", "error"), [("drop", httpx.RemoteProtocolError), ("reset", (httpx.ReadError, httpx.WriteError))]
)
def test_a_connection_breaks_after_a_large_upload(
    calls: Calls, emulator: EmulatorProcess, action: str, error: type[Exception]
) -> None:
    emulator.fault(action, path="/storage/csv/upload")
    with pytest.raises(error):
        calls.upload("leads.csv", b"a\n" + b"x\n" * 1_000_000)
    assert calls.upload("leads.csv", b"a\nx\n").status_code == 200


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_can_be_late(calls: Calls, emulator: EmulatorProcess, when: str) -> None:
    emulator.fault("delay", path="/workflows", delay=0.3, when=when)
    began = time.monotonic()
    assert calls.get("/workflows").status_code == 200
    assert 0.3 <= time.monotonic() - began < 5


def test_a_late_answer_does_not_hold_up_the_others(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.fault("delay", path="/workflows", delay=30)
    with pytest.raises(httpx.ReadTimeout):
        calls.http.get("/workflows", timeout=0.2)
    began = time.monotonic()
    assert calls.get("/workflows").status_code == 200
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("cut_after", [0, 1, 5_000, 100_000])
def test_a_download_is_cut_off_where_it_was_ordered(calls: Calls, emulator: EmulatorProcess, cut_after: int) -> None:
    size = 300_000
    emulator.plan(seconds=0, queue_seconds=0, synthetic_bytes=size)
    [file] = calls.files(calls.start(calls.deploy("find_email")))
    whole = calls.download(file["download_url"]).content
    emulator.fault("cut", where="storage", cut_after=cut_after)
    got = b""
    with httpx.stream("GET", file["download_url"], trust_env=False, verify=TLS) as answer:
        assert answer.headers["content-length"] == str(size)
        chunks = answer.iter_raw()
        with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012 - what came before the end is wanted too
            for chunk in chunks:
                got += chunk
    assert got == whole[:cut_after]
    rest = calls.download(file["download_url"], Range=f"bytes={len(got)}-").content
    assert got + rest == whole


def test_a_cut_behind_the_end_lets_the_whole_answer_through(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.fault("cut", path="/workflows/blocks", cut_after=10_000_000)
    assert calls.get("/workflows/blocks").status_code == 200
    assert calls.get("/workflows/blocks").status_code == 200


def test_faults_of_the_storage_and_of_the_api_are_apart(calls: Calls, emulator: EmulatorProcess) -> None:
    job_id = calls.start(calls.deploy("find_email"))
    calls.wait(job_id)
    headers = {"Location": "http://127.0.0.1:9/elsewhere"}
    emulator.fault("answer", where="storage", status=302, headers=headers)
    [file] = calls.files(job_id)
    answer = calls.download(file["download_url"])
    assert (answer.status_code, answer.headers["location"]) == (302, headers["Location"])
    assert calls.download(file["download_url"]).status_code == 200


def test_the_record_shows_what_a_fault_swallowed(calls: Calls, emulator: EmulatorProcess) -> None:
    fault = emulator.fault("reset", path="/workflows")
    with pytest.raises(httpx.TransportError):
        calls.get("/workflows")
    calls.get("/workflows")
    assert [(each["status"], each["fault"]) for each in emulator.requests()] == [(None, fault["id"]), (200, None)]


def test_the_record_shows_what_was_sent(calls: Calls, emulator: EmulatorProcess) -> None:
    workflow_id = calls.deploy("find_email")
    emulator.control("DELETE", "requests")
    began = time.time()
    calls.submit(workflow_id, key="k-1", save_json="true")
    [request] = emulator.requests()
    assert (request["method"], request["path"], request["status"]) == ("POST", "/workflows/run", 200)
    assert request["query"] == f"workflow_id={workflow_id}&save_json=true"
    assert request["idempotency_key"] == "k-1"
    assert request["headers"]["x-api-key"] == emulator.api_key
    assert request["headers"]["content-type"] == "application/json"
    assert began - 1 < request["at"] < time.time() + 1


def test_the_record_can_be_had_from_its_end(calls: Calls, emulator: EmulatorProcess) -> None:
    for limit in range(1, 6):
        calls.get("/workflows/runs", limit=limit)
    assert [each["query"] for each in emulator.control("GET", "requests?last=2")] == ["limit=4", "limit=5"]
    emulator.control("DELETE", "requests")
    assert emulator.requests() == []


def test_the_stats_count_by_route_and_status(calls: Calls, emulator: EmulatorProcess) -> None:
    job_id = calls.start(calls.deploy("find_email"))
    emulator.clear()
    for _ in range(3):
        calls.live(job_id)
    calls.get("/workflows/runs/nonsense/live_status")
    calls.get("/nowhere")
    emulator.fault("answer", path="/workflows", status=502)
    calls.get("/workflows")
    stats = emulator.stats()
    assert stats["requests"] == {
        "GET /workflows/runs/{run_id}/live_status": 4,
        "GET /nowhere": 1,
        "GET /workflows": 1,
    }
    assert stats["statuses"] == {"200": 3, "422": 1, "404": 1, "502": 1}
    assert sum(stats["runs"].values()) == len(emulator.runs())


def test_the_stats_count_connections_that_carry_calls() -> None:
    with EmulatorProcess() as emulator:
        for _ in range(2):
            calls = Calls(emulator)
            for _ in range(5):
                calls.get("/workflows")
            assert emulator.stats()["connections"]["open"] == 1
            calls.close()
        time.sleep(0.1)
        expected: dict[str, Any] = {"open": 0, "total": 2}
        assert emulator.stats()["connections"] == expected | {"by_peer": {"127.0.0.1": expected}}


def test_a_malformed_order_is_refused(emulator: EmulatorProcess) -> None:
    for order in ({"action": "explode"}, {"action": "drop", "path": "("}, {"action": "drop", "tmies": 2}):
        with pytest.raises(Exception, match="422"):
            emulator.control("POST", "faults", order)
    assert emulator.faults() == []


def test_an_outage_refuses_connections_and_ends_by_itself() -> None:
    with EmulatorProcess("--run-seconds", "0", "--queue-seconds", "0") as emulator:
        calls = Calls(emulator)
        job_id = calls.start(calls.deploy("find_email"))
        emulator.outage(2)
        with pytest.raises(httpx.TransportError):
            calls.live(job_id)
        with pytest.raises(httpx.ConnectError):
            calls.live(job_id)
        [file_origin] = {emulator.storage_url}
        assert calls.download(f"{file_origin}/x").status_code == 403, "the storage stays up"
        deadline = time.monotonic() + 10
        while True:
            try:
                live = calls.live(job_id)
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert live["overall_status"] == "completed"
        assert emulator.stop() == 0
        calls.close()


def test_a_paused_emulator_answers_when_it_goes_on(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.pause()
    try:
        with pytest.raises(httpx.ReadTimeout):
            calls.http.get("/workflows", timeout=0.2)
    finally:
        emulator.resume()
    assert calls.get("/workflows").status_code == 200
