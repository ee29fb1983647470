"""
What it takes to enrich an input in batches on a real Airflow, compared with lower bounds.

Scheduler, API server, Dag processor and triggerer run on PostgreSQL, with the LocalExecutor: as few processes as a real
Airflow has, so that the tasks get what the machine can give. (SQLite has one writer, and all of them write.) Settings
are Airflow's own.

First the floor of Airflow: the same Dag with empty tasks, which do nothing but defer, for as long as a run takes; and
before it a bare one, whose tasks get nothing but a number, so that Airflow has no template to render either. Then
the Dag that splits a file and enriches each batch, with the emulator at its limit of 500 requests a minute. One at a
time, after runs of a few batches, which are not measured. A Dag run's time is Airflow's own: from its start to its end.
The floor of the limit is the time in which it allows the requests that the emulator has let through.

The emulator, which a user has not, shares the machine, and its work is a part of what is measured. So that it has
little, the result files of the measured runs are made up, of as many rows; each upload is read through as ever.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_provider_sixtyfour.emulator.engine.synthetic_file import size_of
from benchmarks.batches.input import PLAIN, write_leads
from benchmarks.batches.ran import PER_MINUTE, Ran
from benchmarks.batches.watch import Watch
from demo.airflow_rest import FINISHED
from demo.local_airflow import LocalAirflow, start_airflow
from demo.processes import Processes
from tests.cluster.postgres import start_postgres
from tests.emulator_process import EmulatorProcess

ROOT = Path(__file__).resolve().parents[2]
DAGS = Path(__file__).parent / "dags"
BARE, FLOOR, OURS = "bare", "waiting", "enriching"  # Dags
PARALLELISM = 32  # Airflow's own, of which one Dag may have 16
WARM = 4  # batches of the Dag runs before
WARM_SECONDS = 10.0  # of their runs
PAUSE = 2.0  # seconds between two polls of a Dag run: the API server is the tasks', too
READ_LIMIT = 120.0  # seconds for Airflow to read the Dags


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    What is to be measured.

    :param seconds: how long a run takes.
    :param poll_interval: of the tasks, in seconds.
    :param patience: seconds that a Dag run may take.
    """

    rows: int
    batches: int
    seconds: float
    poll_interval: float
    patience: float

    @property
    def batch_rows(self) -> int:
        """How many rows a batch has."""
        return self.rows // self.batches


def log(line: str) -> None:
    """Log to stderr; stdout is for the tables."""
    print(line, file=sys.stderr, flush=True)


def measure_airflow(plan: Plan) -> tuple[Ran, Ran, Ran]:
    """Start all of it, run the Dags, stop all of it; return what bare and empty tasks and what this provider took."""
    # Outside the clone: PostgreSQL runs as a user that may not enter it.
    folder = Path(tempfile.mkdtemp(prefix="sixtyfour-batches-", dir="/tmp"))
    try:
        emulator = EmulatorProcess(
            *("--run-seconds", str(plan.seconds), "--queue-seconds", "0"),
            *("--requests-per-minute", str(PER_MINUTE)),
        )
        with emulator, Processes(folder / "processes") as processes:
            postgres = start_postgres(processes, folder, ["airflow"])
            environment = {
                "PYTHONPATH": str(ROOT),
                # An installed package has its bytecode next to it, so this one may write its own.
                "PYTHONDONTWRITEBYTECODE": "",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.database("airflow"),
                "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
                "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
                "AIRFLOW_CONN_SIXTYFOUR_DEFAULT": emulator.connection_json(),
                "BENCHMARK_POLL_INTERVAL": str(plan.poll_interval),
            }
            airflow = start_airflow(processes, folder / "airflow", DAGS, environment, log)
            return _Bench(airflow, emulator, folder, plan).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Bench:
    """A running Airflow with the Dags."""

    def __init__(self, airflow: LocalAirflow, emulator: EmulatorProcess, folder: Path, plan: Plan) -> None:
        self._airflow = airflow
        self._rest = airflow.rest
        self._emulator = emulator
        self._folder = folder
        self._plan = plan

    def run(self) -> tuple[Ran, Ran, Ran]:
        """Run the Dags with a few batches, then with all."""
        plan = self._plan
        dags = (BARE, FLOOR, OURS)
        self._airflow.wait_for("the Dags are read", lambda: all(map(self._rest.has_dag, dags)), READ_LIMIT)
        for dag_id in dags:
            self._rest.unpause(dag_id)
        workflow_id = str(self._emulator.api("POST", "/workflows/create_workflow", _workflow())["id"])
        few = self._input("few", workflow_id, WARM * 10, 10)
        self._ran(FLOOR, {**few, "batches": WARM, "seconds": WARM_SECONDS})
        self._emulator.plan(seconds=WARM_SECONDS, times=WARM)
        self._ran(OURS, few)
        given = self._input("all", workflow_id, plan.rows, plan.batch_rows)
        waiting = {**given, "batches": plan.batches, "seconds": plan.seconds}
        bare = self._ran(BARE, waiting)
        floor = self._ran(FLOOR, waiting)
        self._emulator.plan(synthetic_bytes=size_of(plan.batch_rows), times=plan.batches)
        ours = self._ran(OURS, given)
        return bare, floor, ours

    def _input(self, name: str, workflow_id: str, rows: int, batch_rows: int) -> dict[str, Any]:
        """Write an input, and return the ``conf`` of a Dag run for it."""
        folder = self._folder / name
        folder.mkdir()
        write_leads(folder / PLAIN, rows)
        return {
            "workflow_id": workflow_id,
            "source": f"file://{folder / PLAIN}",
            "destination": f"file://{folder}",
            "batch_rows": batch_rows,
        }

    def _ran(self, dag_id: str, conf: dict[str, Any]) -> Ran:
        """Run a Dag to its end; return what it took."""
        runs_before = self._runs()
        with Watch() as watch:
            run_id = self._rest.trigger(dag_id, conf)
            self._wait(dag_id, run_id)
        stats = self._emulator.stats()
        self._emulator.clear()
        found = self._rest.dag_run(dag_id, run_id)
        began, ended = (datetime.fromisoformat(found[name]) for name in ("start_date", "end_date"))
        tasks = self._rest.task_instances(dag_id, run_id)
        ran = Ran(
            seconds=(ended - began).total_seconds(),
            states=Counter(str(task["state"]) for task in tasks if task["task_id"] == "batch"),
            rows=_landed(self._folder / "all") if dag_id == OURS else 0,
            requests=_by_route(stats["requests"]),
            refused=stats["statuses"].get("429", 0),
            runs=self._runs() - runs_before,
            memory=watch.memory,
            cpu=watch.cpu,
        )
        log(f"{dag_id}: {ran}")
        return ran

    def _wait(self, dag_id: str, run_id: str) -> None:
        """Return at the end of a Dag run; raise if it takes too long, or a process of Airflow ends."""
        deadline = time.monotonic() + self._plan.patience
        while self._rest.run_state(dag_id, run_id) not in FINISHED:
            self._airflow.processes.require_alive()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{dag_id} has not ended within {self._plan.patience:.0f} s")
            time.sleep(PAUSE)

    def _runs(self) -> int:
        return len(self._emulator.control("GET", "runs?bodies=false"))


def _workflow() -> dict[str, Any]:
    """Return a workflow that enriches the rows of a file."""
    blocks = [
        {"block_id": str(uuid.uuid4()), "sequence_number": number, "block_type": "", "block_name": name, "specs": {}}
        for number, name in enumerate(("read_csv", "find_email"), start=1)
    ]
    edge = {"from_block_id": blocks[0]["block_id"], "to_block_id": blocks[1]["block_id"]}
    return {
        "workflow_name": "leads",
        "workflow_description": "",
        "workflow_definition": {"blocks": blocks, "edges": [edge]},
    }


def _by_route(requests: Mapping[str, int]) -> Counter[str]:
    """Return the counts with any id taken for any other: a request that was refused has met no route yet."""
    counts: Counter[str] = Counter()
    for route, count in requests.items():
        counts[re.sub(r"\{\w+\}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "{id}", route)] += count
    return counts


def _landed(folder: Path) -> int:
    """Return how many rows lie at the destination, by the manifests."""
    manifests = [json.loads(path.read_text()) for path in folder.glob("enriched/*/_manifest.json")]
    return sum(file["rows"] for manifest in manifests for file in manifest["files"])
