"""Webhooks that several API servers receive at the same time: each event is recorded once and reaches a Dag run."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx
import psutil
import pytest

from demo.processes import Processes, free_ports
from tests.cluster.cluster import AIRFLOW, START_LIMIT, Cluster
from tests.cluster.dag_ids import TASK_ID, WATCHED, WATCHED_ASSET, WATCHED_WORKFLOW
from tests.cluster.waiting import eventually

CONNECTION = "sixtyfour_hooks"
SECRET = "sk_whsec_" + "ab" * 32
COPIES = 10
DAG_RUN_LIMIT = 120.0  # seconds


class Receivers:
    """The cluster's API server, and another one of two processes; deliveries are spread over both."""

    def __init__(self, *urls: str) -> None:
        self._clients = [httpx.Client(base_url=url, timeout=60.0) for url in urls for _ in range(COPIES // len(urls))]

    def deliver(self, bodies: list[bytes]) -> list[int]:
        """Deliver `COPIES` bodies at the same moment, each over a connection of its own; return the statuses."""
        barrier = Barrier(COPIES)

        def send(number: int) -> int:
            body, at = bodies[number], int(time.time())
            mac = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
            headers = {"Sixtyfour-Signature": f"t={at},v1={mac}"}
            barrier.wait()
            answer = self._clients[number].post(f"/sixtyfour/webhooks/{CONNECTION}", content=body, headers=headers)
            return answer.status_code

        with ThreadPoolExecutor(COPIES) as executor:
            return sorted(executor.map(send, range(COPIES)))


def delivery() -> tuple[str, bytes]:
    """Return an event id, and a body with it."""
    event_id, job_id = str(uuid.uuid4()), str(uuid.uuid4())
    body = {"event_id": event_id, "run_id": job_id, "workflow_id": WATCHED_WORKFLOW, "results": [{"name": "A"}]}
    return event_id, json.dumps(body).encode()


@pytest.fixture
def receivers(cluster: Cluster, tmp_path: Path) -> Iterator[Receivers]:
    """Both, with a connection in the database that has the secret."""
    extra = json.dumps({"webhook_secret": SECRET})
    cluster.rest.save_connection(CONNECTION, {"conn_type": "sixtyfour", "password": "key", "extra": extra})
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with Processes(tmp_path) as processes:
        command = [*AIRFLOW, "api-server", "--workers", "2", "--port", str(port)]
        pid = processes.start("api-server", command, cluster.environment)

        def answers() -> bool:
            return httpx.get(f"{url}/api/v2/version").is_success

        eventually("the other API server answers", answers, START_LIMIT, processes.require_alive)
        workers = [each for each in psutil.Process(pid).children(recursive=True) if each.children() == []]
        assert len(workers) >= 2
        yield Receivers(cluster.environment["AIRFLOW__API__BASE_URL"], url)


def recorded(cluster: Cluster) -> Counter[str]:
    """Return how often each event was recorded."""
    extras = [event["extra"] for event in cluster.rest.events_of(WATCHED_ASSET)]
    return Counter(str(extra["event_id"]) for extra in extras if extra.get("from_webhook"))


def test_copies_that_arrive_at_once_at_several_api_servers_are_one_event(
    cluster: Cluster, receivers: Receivers
) -> None:
    for _ in range(5):
        event_id, body = delivery()
        assert receivers.deliver([body] * COPIES) == [200] * (COPIES - 1) + [202]
        assert recorded(cluster)[event_id] == 1


def test_events_that_arrive_at_once_all_reach_a_dag_run(cluster: Cluster, receivers: Receivers) -> None:
    bodies = [body for _, body in (delivery() for _ in range(COPIES))]
    jobs = {json.loads(body)["run_id"] for body in bodies}

    assert receivers.deliver(bodies) == [202] * COPIES

    def received() -> set[str]:
        ended = [run["dag_run_id"] for run in cluster.rest.dag_runs(WATCHED) if run["state"] == "success"]
        return {job_id for run_id in ended for job_id in cluster.rest.xcom(WATCHED, run_id, TASK_ID)}

    eventually(
        "Dag runs have received all", lambda: jobs <= received(), DAG_RUN_LIMIT, explain=lambda: str(jobs - received())
    )
