"""
What the tab costs: its endpoint for a thousand batches, the import of its plugin, and the publishing of progress.

The endpoint is asked through Airflow's own app, in one process, on SQLite and on PostgreSQL; the floor is one query for
the XComs that it shows. Two hundred publishers send to a stand-in for the triggerer's channel, for a minute.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from demo.processes import Processes
from tests.cluster.postgres import start_postgres

GOAL = 100.0  # ms
BATCHES = 1000
ROUNDS = 11
WAITING = 200  # runs
RUN = "manual__1"
START = datetime(2026, 11, 1, tzinfo=UTC)


def main() -> None:
    """Measure each database in a process of its own, since Airflow reads its settings once."""
    print(f"{BATCHES:,} batches, medians of {ROUNDS} rounds (quartiles); goal: {GOAL:.0f} ms at most", flush=True)
    with tempfile.TemporaryDirectory(dir="/tmp") as name, Processes(log_dir=Path(name) / "logs") as processes:
        folder = Path(name)  # outside the clone: PostgreSQL runs as a user that may not enter it
        databases = {
            "SQLite": f"sqlite:///{folder / 'airflow.db'}",
            "PostgreSQL": start_postgres(processes, folder, ["airflow"]).database("airflow"),
        }
        for title, address in databases.items():
            environment = {
                **os.environ,
                "AIRFLOW_HOME": str(folder / title),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address,
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            }
            subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=environment, check=True, stdout=-3)
            subprocess.run([sys.executable, "-m", "benchmarks.tab", title], env=environment, check=True)
    measure_import()
    asyncio.run(measure_publishing())


PLUGIN = """
import time
import airflow.plugins_manager
from airflow.providers.common.compat.sdk import conf
conf.get("core", "dags_folder")
began = time.perf_counter()
import airflow_provider_sixtyfour.ui.plugin
print(1000 * (time.perf_counter() - began))
"""


def measure_import() -> None:
    """Measure what the plugin adds to a process that has loaded Airflow's plugins manager, as every one has."""
    command = [sys.executable, "-c", PLUGIN]
    taken = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
        for _ in range(ROUNDS)
    ]
    low, median, high = statistics.quantiles(taken, n=4)
    print(f"the plugin's import: {median:.1f} ms ({low:.1f} to {high:.1f}); goal: 2 ms at most", flush=True)


class _Channel:
    """Stands for the triggerer's channel to its supervisor: encodes what is sent, and answers 20 ms later."""

    def __init__(self) -> None:
        self.sent = 0

    async def asend(self, message: Any) -> None:
        import msgspec

        msgspec.msgpack.encode(message.model_dump())
        self.sent += 1
        await asyncio.sleep(0.02)


async def measure_publishing() -> None:
    """Measure a minute of a triggerer that waits for many runs of ten blocks, each of which is 5 % further by then."""
    from airflow.sdk.execution_time import task_runner

    from airflow_provider_sixtyfour.api.models import BlockProgress, LiveStatus
    from airflow_provider_sixtyfour.tasks.progress_xcom import TriggererPublisher

    channel = _Channel()
    vars(task_runner)["SUPERVISOR_COMMS"] = channel
    publishers = [
        TriggererPublisher(SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=index))
        for index in range(WAITING)
    ]
    blocks = tuple(BlockProgress(f"block_{number}", number, "running", 5, 100, None) for number in range(10))
    began = time.process_time()
    for publisher in publishers:
        publisher.offer(LiveStatus("w", "running", 10.0, "block_1", blocks))
    await asyncio.sleep(60)
    used = 1000 * (time.process_time() - began) / WAITING
    for publisher in publishers:
        publisher.close()
    print(
        f"publishing, {WAITING} runs: {used:.2f} ms of CPU a run-minute, {channel.sent} writes; goal: 1 ms, 60",
        flush=True,
    )


def measure(title: str) -> None:
    """Measure one database, the one that Airflow is set to."""
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from fastapi.testclient import TestClient
    from sqlalchemy import select

    _fill()
    client = TestClient(create_app(apps="core"))
    user: Any = SimpleAuthManagerUser(username="reader", role="viewer")
    client.headers["Authorization"] = f"Bearer {get_auth_manager().generate_jwt(user)}"

    def ours() -> None:
        shown = client.get("/sixtyfour/dags/enrich/runs", params={"run_id": RUN}).raise_for_status().json()
        assert len(shown["runs"]) == BATCHES

    def floor() -> None:
        with create_session() as session:
            found = session.execute(
                select(XComModel.task_id, XComModel.map_index, XComModel.key, XComModel.value)
            ).all()
        assert len(found) == 3 * BATCHES

    print(f"{title}: the tab's endpoint {_times(ours)}, its XComs from the database {_times(floor)}", flush=True)


def _times(ask: Callable[[], None]) -> str:
    ask()
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ask()
        taken.append(1000 * (time.perf_counter() - began))
    low, median, high = statistics.quantiles(taken, n=4)
    return f"{median:.0f} ms ({low:.0f} to {high:.0f})"


def _fill() -> None:
    """Store a Dag run as its tasks leave it: half of them done, half of them under way."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select, text

    quality = {f"column_{number}": {"filled": 4000, "empty": 1000, "distinct": 900} for number in range(20)}
    file = {"path": "s3://bucket/enriched/leads.csv", "rows": 5000, "bytes": 1_000_000, "sha256": "ab" * 32}
    result = {"rows": 5000, "bytes": 1, "metrics": {"credits_used": 5000}, "files": [file], "quality": quality}
    progress = {"status": "running", "percent": 40.0, "block": "enrich", "processed": 1, "total": 2, "blocks": []}
    of_run = {"dag_id": "enrich", "run_id": RUN}
    with create_session() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("SET session_replication_role = replica"))  # no Dag has to be there
        run = {**of_run, "run_type": "manual", "state": "running", "start_date": START, "run_after": START}
        session.execute(DagRun.__table__.insert(), [run])
        [number] = session.scalars(select(DagRun.id).where(DagRun.run_id == RUN))
        instances, xcoms = list[dict[str, Any]](), list[dict[str, Any]]()
        for index in range(BATCHES):
            which = {**of_run, "task_id": "enrich", "map_index": index}
            is_done = index % 2 == 0
            instances.append(
                {
                    **which,
                    "id": uuid.uuid4(),
                    "state": "success" if is_done else "deferred",
                    "operator": "SixtyfourEnrichOperator",
                    "pool": "default_pool",
                    "start_date": START,
                    "queue": "default",
                    "executor_config": {},
                }
            )
            values: dict[str, Any] = {"job_id": str(uuid.uuid4()), "sixtyfour_run_link": "https://app.example.com/run"}
            values |= {"return_value": result} if is_done else {"sixtyfour_progress": progress}
            xcoms += [{**which, "dag_run_id": number, "key": key, "value": value} for key, value in values.items()]
        session.execute(TaskInstance.__table__.insert(), instances)
        session.execute(XComModel.__table__.insert(), xcoms)


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else measure(sys.argv[1])
