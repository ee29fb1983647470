"""
A backfill of days: for each a file goes in, and a folder comes out.

All that a test asserts has three sources: Airflow for its Dag runs, the local Sixtyfour API for what it was
asked and has run, and the folders.
"""

from __future__ import annotations

import csv
import json
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil

from demo.airflow_rest import FINISHED
from tests.cluster.case import SUBMISSION, deploy
from tests.cluster.cluster import Cluster
from tests.cluster.dag_ids import DAYS_CONNECTION
from tests.cluster.waiting import eventually

FIRST = date(2025, 1, 1)
LIMIT = 400.0  # seconds for a backfill
CLOSED_LIMIT = 90.0  # seconds; the scheduler looks every 30 s which backfills are over
STARTED_LIMIT = 120.0  # seconds until a run is started
ANSWER_DELAY = 50.0  # seconds; less than the client waits for an answer, more than a test takes to kill it

Json = dict[str, Any]


class Days:
    """Days to backfill, from `FIRST` on, with a workflow, files and folders of their own."""

    def __init__(self, cluster: Cluster, dag_id: str, count: int) -> None:
        self.cluster = cluster
        self.dag_id = dag_id
        self.emulator = cluster.emulators[DAYS_CONNECTION]
        self.workflow_id = deploy(self.emulator, "read_csv")
        self.all = [(FIRST + timedelta(days=number)).isoformat() for number in range(count)]
        self._folder = Path(tempfile.mkdtemp(prefix="days-", dir=cluster.task_logs.parent))
        (self._folder / "in").mkdir()
        for day in self.all:
            (self._folder / "in" / f"{day}.csv").write_text(f"day\n{day}\n")

    # What a user does.

    def fail(self, count: int) -> None:
        """Let the next runs fail."""
        self.emulator.plan(workflow_id=self.workflow_id, times=count, error_message="the source is empty")

    def backfill(self, at_once: int, reprocess: str = "none") -> None:
        """Give Airflow's own command for all days."""
        open_backfill = self.cluster.rest.has_open_backfill
        eventually("no other backfill is open", lambda: not open_backfill(self.dag_id), CLOSED_LIMIT)
        conf = {"workflow_id": self.workflow_id, "folder": f"file://{self._folder}"}
        self.cluster.command(
            *("backfill", "create", "--dag-id", self.dag_id, "--from-date", self.all[0], "--to-date", self.all[-1]),
            *("--max-active-runs", str(at_once), "--reprocess-behavior", reprocess),
            *("--dag-run-conf", json.dumps(conf)),
        )

    def lose_a_worker_to_which_an_answer_is_on_its_way(self) -> str:
        """
        Kill the worker of the next task that has asked for a run and doesn't know it yet; start another worker.

        :returns: the ``Idempotency-Key`` of that run; that of an earlier loss if its next try is the next to ask.
        """
        order = self.emulator.fault(
            "delay", method="POST", path=SUBMISSION, query=self.workflow_id, when="after", delay=ANSWER_DELAY
        )
        held: list[Json] = []

        def is_held() -> bool:
            keys = {run["idempotency_key"] for run in self.runs()}
            held[:] = [each for each in self.requests() if each["fault"] == order["id"]]
            return bool(held) and held[0]["idempotency_key"] in keys

        eventually("a run is started whose answer is held back", is_held, STARTED_LIMIT, explain=self.explain)
        self.cluster.lose_worker(_process_of(held[0]["client"], self.emulator.url))
        return str(held[0]["idempotency_key"])

    # What the sources show.

    def runs(self) -> list[Json]:
        """Return the runs of the workflow, oldest first."""
        return [run for run in self.emulator.runs() if run["workflow_id"] == self.workflow_id]

    def statuses(self) -> list[str]:
        """Return how its runs are, oldest first."""
        return [run["status"] for run in self.runs()]

    def requests(self) -> list[Json]:
        """Return all requests for the API of these Dags, oldest first."""
        return self.emulator.requests()

    def submissions(self, key: str) -> int:
        """Return how often a run was asked for under a key."""
        return sum(each["path"] == SUBMISSION and each["idempotency_key"] == key for each in self.requests())

    def states(self) -> dict[str, list[str]]:
        """Return the states of each day's Dag runs, oldest first."""
        return states(self.cluster, self.dag_id)

    def landed(self) -> dict[str, str]:
        """Return, by day, the id of the run that a manifest and its files are of; each file has to be that day's."""
        found = {}
        for manifest in self._folder.glob("out/*/_manifest.json"):
            content = json.loads(manifest.read_text())
            for file in content["files"]:
                with (manifest.parent / file["path"].rpartition("/")[2]).open(newline="") as lines:
                    assert [row["day"] for row in csv.DictReader(lines)] == [manifest.parent.name]
            found[manifest.parent.name] = content["job_id"]
        return found

    # What is waited for.

    def wait_for_runs(self, count: int) -> None:
        """Wait until so many runs are started."""
        eventually(f"{count} runs", lambda: len(self.runs()) >= count, STARTED_LIMIT, explain=self.explain)

    def wait_for_end(self) -> None:
        """Wait until all Dag runs have ended."""

        def ended() -> bool:
            found = self.states()
            return len(found) == len(self.all) and all(set(each) <= FINISHED for each in found.values())

        eventually("all days have ended", ended, LIMIT, explain=self.explain)

    def explain(self) -> str:
        """Return all that is known."""
        return f"Dag {self.dag_id}: Dag runs {self.states()}; runs {self.statuses()}; landed {sorted(self.landed())}"


def states(cluster: Cluster, dag_id: str) -> dict[str, list[str]]:
    """Return the states of a Dag's runs, oldest first, by their partition or day."""
    found: dict[str, list[str]] = {}
    for run in cluster.rest.dag_runs(dag_id):
        found.setdefault(run["partition_key"] or run["logical_date"][:10], []).append(run["state"])
    return found


def _process_of(client: str, server: str) -> int:
    """Return the process that asks a server, by its port; a connection to another server may have the same port."""
    ports = tuple(int(address.rpartition(":")[2]) for address in (client, server))
    connections = [each for each in psutil.net_connections("tcp") if each.laddr and each.raddr]
    found = {each.pid for each in connections if (each.laddr.port, each.raddr.port) == ports and each.pid}
    assert len(found) == 1, f"port {ports[0]} is that of the processes {found}"
    return found.pop()
