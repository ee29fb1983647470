from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.emulator.calls import ROWS, Calls
from tests.emulator_process import EmulatorProcess

SECRET = "a secret for signatures"


class Receiver(HTTPServer):
    """Takes deliveries; answers `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 204
        self.location = ""
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.got.append((dict(self.headers), b""))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def sender() -> Iterator[Calls]:
    options = ("--run-seconds", "0.2", "--queue-seconds", "0", "--webhook-secret", SECRET)
    with EmulatorProcess(*options) as process:
        made = Calls(process)
        yield made
        made.close()


def attempts(calls: Calls, job_id: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait for the attempts to deliver a run's rows, and return them."""
    deadline = time.monotonic() + 5
    while True:
        found = [each for each in calls.emulator.deliveries() if each["job_id"] == job_id]
        if len(found) == count and all(each["status"] or each["error"] for each in found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def hook(url: str, **specs: Any) -> tuple[str, dict[str, Any]]:
    return "outgoing_webhook", {"url": url, **specs}


def test_a_completed_run_is_delivered_and_signed(sender: Calls, receiver: Receiver) -> None:
    workflow_id = sender.deploy("find_email", hook(receiver.url))
    sender.emulator.plan(seconds=0.5, queue_seconds=0)
    job_id = sender.start(workflow_id)
    assert receiver.got == []
    [attempt] = attempts(sender, job_id)
    assert (attempt["url"], attempt["status"], attempt["error"]) == (receiver.url, 204, None)
    [(headers, body)] = receiver.got
    stamp, signature = (part.split("=")[1] for part in headers["Sixtyfour-Signature"].split(","))
    assert abs(time.time() - int(stamp)) < 5
    assert signature == hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["Sixtyfour-Event-Type"] == "outgoing_webhook.completed"
    event = json.loads(body)
    assert headers["Sixtyfour-Event-Id"] == event["event_id"] == attempt["event_id"]
    assert (event["job_id"], event["workflow_id"], event["row_count"]) == (job_id, workflow_id, 2)
    assert [row["name"] for row in event["results"]] == [row["name"] for row in ROWS]
    assert all(row["email"] for row in event["results"])


def test_two_deliveries_have_two_ids(sender: Calls, receiver: Receiver) -> None:
    job_id = sender.start(sender.deploy(hook(receiver.url), hook(receiver.url)))
    assert len({attempt["event_id"] for attempt in attempts(sender, job_id, 2)}) == 2


@pytest.mark.parametrize("status", ["failed", "cancelled", "timeout"])
def test_a_run_that_did_not_complete_is_not_delivered(sender: Calls, receiver: Receiver, status: str) -> None:
    workflow_id = sender.deploy(hook(receiver.url))
    sender.emulator.plan(seconds=0.05, queue_seconds=0, status=status)
    sender.wait(sender.start(workflow_id), status)
    attempts(sender, sender.start(workflow_id))
    assert len(receiver.got) == 1


def test_a_cancelled_run_is_not_delivered(sender: Calls, receiver: Receiver) -> None:
    workflow_id = sender.deploy(hook(receiver.url))
    sender.emulator.plan(seconds=0.5, queue_seconds=0)
    job_id = sender.start(workflow_id)
    assert sender.post("/workflows/cancel", job_id=job_id).status_code == 200
    time.sleep(0.5)
    attempts(sender, sender.start(workflow_id))
    assert [json.loads(body)["job_id"] == job_id for _, body in receiver.got] == [False]


def test_a_run_that_is_forced_to_complete_is_delivered_then(sender: Calls, receiver: Receiver) -> None:
    sender.emulator.plan(seconds=100, queue_seconds=0)
    job_id = sender.start(sender.deploy(hook(receiver.url)))
    sender.emulator.set_status(job_id, "completed")
    assert attempts(sender, job_id)[0]["status"] == 204


def test_a_receiver_that_refuses_is_recorded_and_the_run_stays_complete(sender: Calls, receiver: Receiver) -> None:
    receiver.status = 500
    job_id = sender.start(sender.deploy("find_email", hook(receiver.url)))
    assert attempts(sender, job_id)[0]["status"] == 500
    assert sender.live(job_id)["overall_status"] == "completed"


def test_a_receiver_that_is_not_there_is_recorded(sender: Calls, receiver: Receiver) -> None:
    job_id = sender.start(sender.deploy(hook("http://127.0.0.1:9/hook")))
    assert "refused" in attempts(sender, job_id)[0]["error"]
    job_id = sender.start(sender.deploy(hook(receiver.url)))
    assert attempts(sender, job_id)[0]["status"] == 204, "later deliveries continue"


def test_a_redirect_is_not_followed(sender: Calls, receiver: Receiver) -> None:
    receiver.status, receiver.location = 302, f"{receiver.url}/elsewhere"
    job_id = sender.start(sender.deploy(hook(receiver.url)))
    assert attempts(sender, job_id)[0]["status"] == 302
    assert len(receiver.got) == 1


def test_a_host_that_is_not_this_machine_needs_leave(sender: Calls) -> None:
    job_id = sender.start(sender.deploy(hook("http://192.0.2.1/hook")))
    assert "--allow-webhook-hosts 192.0.2.1" in attempts(sender, job_id)[0]["error"]


def test_the_file_of_the_delivery_has_a_column_more(sender: Calls, receiver: Receiver) -> None:
    job_id = sender.start(sender.deploy("find_email", hook(receiver.url)))
    attempts(sender, job_id)
    enriched, delivered = sender.files(job_id)
    assert [enriched["block_number"], delivered["block_number"]] == [2, 3]
    assert [set(b) - set(a) for a, b in zip(enriched["results"], delivered["results"], strict=True)] == [
        {"webhook_status"},
        {"webhook_status"},
    ]
    assert event(receiver)["results"] == enriched["results"]


def event(receiver: Receiver) -> dict[str, Any]:
    """Return the body of the last delivery."""
    found: dict[str, Any] = json.loads(receiver.got[-1][1])
    return found


def signatures(receiver: Receiver) -> list[str]:
    """Return the ``v1`` values of the last delivery, each checked to be of a secret given."""
    return [part.removeprefix("v1=") for part in receiver.got[-1][0]["Sixtyfour-Signature"].split(",")[1:]]


def expected(receiver: Receiver, secret: str) -> str:
    headers, body = receiver.got[-1]
    stamp = headers["Sixtyfour-Signature"].split(",")[0].removeprefix("t=")
    return hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def test_the_envelope_has_the_run_and_a_link_to_its_rows(sender: Calls, receiver: Receiver) -> None:
    rows = [{"n": number} for number in range(101)]
    job_id = sender.start(sender.deploy("find_email", hook(receiver.url)), rows)
    attempts(sender, job_id)
    payload = event(receiver)
    assert (payload["run_id"], payload["results"], payload["row_count"]) == (job_id, None, 101)
    lines = sender.download(payload["results_download_url"]).raise_for_status().text.splitlines()
    assert (lines[0], len(lines)) == ("n,email,email_status", 102)
    assert sender.download(payload["results_download_url"].rpartition("&")[0]).status_code == 403


def test_a_delivery_is_repeated_until_it_is_taken(receiver: Receiver) -> None:
    options = ("--run-seconds", "0", "--queue-seconds", "0", "--webhook-secret", SECRET)
    with EmulatorProcess(*options, "--webhook-pauses", "0.1", "0.3", "0.4", "0.1") as process:
        calls = Calls(process)
        receiver.status = 500
        job_id = calls.start(calls.deploy(hook(receiver.url)))
        deadline = time.monotonic() + 10
        while len(receiver.got) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        receiver.status = 202
        made = attempts(calls, job_id, 3)
        assert [one["status"] for one in made] == [500, 500, 202]
        assert [headers["Sixtyfour-Delivery-Attempt"] for headers, _ in receiver.got] == ["1", "2", "3"]
        assert len({headers["Sixtyfour-Event-Id"] for headers, _ in receiver.got}) == 1
        assert signatures(receiver) == [expected(receiver, SECRET)]
        assert made[2]["at"] - made[1]["at"] >= 0.3
        time.sleep(0.6)
        assert len(receiver.got) == 3
        calls.close()


def test_deliveries_end_with_their_schedule(receiver: Receiver) -> None:
    with EmulatorProcess("--run-seconds", "0", "--queue-seconds", "0", "--webhook-pauses", "0.05") as process:
        calls = Calls(process)
        receiver.status = 404
        job_id = calls.start(calls.deploy(hook(receiver.url)))
        assert [one["attempt"] for one in attempts(calls, job_id, 2)] == [1, 2]
        time.sleep(0.3)
        assert len(calls.emulator.deliveries()) == 2
        calls.close()


def test_the_secret_is_made_rolled_and_revoked(receiver: Receiver) -> None:
    with EmulatorProcess("--run-seconds", "0", "--queue-seconds", "0") as process:
        calls = Calls(process)
        workflow_id = calls.deploy(hook(receiver.url))

        def deliver() -> dict[str, str]:
            attempts(calls, calls.start(workflow_id))
            return receiver.got[-1][0]

        path = "/webhooks/signing-secret"
        assert calls.get(path).json() == {"plaintext": None, "meta": None}
        assert not [name for name in deliver() if name.startswith("Sixtyfour-")]
        assert calls.post(f"{path}/roll").status_code == 404
        first = calls.post(path).json()
        secret = first["plaintext"]
        assert secret.startswith("sk_whsec_")
        assert len(secret) == len("sk_whsec_") + 64
        assert set(first["meta"]) == {"id", "org_id", "preview", "status", "created_at", "revoked_at"}
        assert calls.get(path).json() == {"plaintext": None, "meta": first["meta"]}
        assert secret not in calls.get(path).text
        deliver()
        assert signatures(receiver) == [expected(receiver, secret)]
        second = calls.post(f"{path}/roll", {"expire_overlap_hours": 1}).json()["plaintext"]
        deliver()
        assert signatures(receiver) == [expected(receiver, second), expected(receiver, secret)]
        third = calls.post(f"{path}/roll", {"expire_overlap_hours": 0}).json()["plaintext"]
        deliver()
        assert signatures(receiver) == [expected(receiver, third)]
        assert calls.post(f"{path}/roll", {"expire_overlap_hours": 73}).status_code == 422
        fourth = calls.post(path).json()["plaintext"]
        deliver()
        assert signatures(receiver) == [expected(receiver, fourth)]
        assert calls.http.delete(path).json()["meta"]["status"] == "revoked"
        assert calls.http.delete(path).status_code == 404
        assert "Sixtyfour-Signature" not in deliver()
        calls.close()


def test_a_bulk_job_is_delivered_too(sender: Calls, receiver: Receiver) -> None:
    config = json.dumps({"struct": {"title": "t"}, "webhook_url": receiver.url})
    files = {"file": ("a.csv", b"name\nAda\n")}
    task_id = sender.http.post("/bulk-intelligence/people", data={"config": config}, files=files).json()["task_id"]
    attempts(sender, task_id)
    payload = event(receiver)
    assert (payload["task_id"], payload["status"], payload["task_type"]) == (
        task_id,
        "completed",
        "bulk_people_intelligence",
    )
    assert receiver.got[-1][0]["Sixtyfour-Event-Type"] == "bulk_people_intelligence"
    assert [row["name"] for row in payload["results"]] == ["Ada"]
