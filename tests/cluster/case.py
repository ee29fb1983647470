"""
One Dag run with a workflow of its own, so that cases don't meet although they run at the same time.

All that a case asserts has two sources: Airflow for its task's state, the local Sixtyfour API for its runs.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.cluster.cluster import Cluster
from tests.cluster.dag_ids import TASK_ID
from tests.cluster.rest import triggerer_of
from tests.cluster.waiting import eventually
from tests.emulator_process import EmulatorProcess

START_LIMIT = 120.0  # seconds until a task has started its run; all cases of a module start at once
END_LIMIT = 180.0  # seconds until a task has ended
LOG_LINES = 25
TERMINAL_STATES = frozenset({"success", "failed", "skipped", "upstream_failed"})
DEFAULT_CONNECTION = "sixtyfour_default"
SUBMISSION = "/workflows/run"

Json = dict[str, Any]


class Case:
    """
    A Dag run that has been triggered.

    :param plans: how the runs of its workflow go, in their order: seconds, or a whole plan. Later ones take a second.
    :param conn: the id of its connection.
    :param emulator: where that leads to now, if it is none of the cluster's own connections.
    :param conf: goes to the Dag run.
    """

    def __init__(
        self,
        cluster: Cluster,
        dag_id: str,
        *plans: float | Json,
        conn: str = DEFAULT_CONNECTION,
        emulator: EmulatorProcess | None = None,
        **conf: Any,
    ) -> None:
        self.cluster = cluster
        self.dag_id = dag_id
        self.emulator: EmulatorProcess = emulator or cluster.emulators[conn]
        self.workflow_id = deploy(self.emulator)
        for plan in plans:
            how = plan if isinstance(plan, dict) else {"seconds": plan}
            self.emulator.plan(workflow_id=self.workflow_id, **how)
        self._conf = {"workflow_id": self.workflow_id, "conn": conn, **conf}
        self.run_id = ""

    def start(self) -> Case:
        """Trigger the Dag run."""
        self.run_id = self.cluster.rest.trigger(self.dag_id, self._conf)
        return self

    # What Sixtyfour knows.

    def runs(self) -> list[Json]:
        """Return the runs of the case's workflow, oldest first."""
        return [run for run in self.emulator.runs() if run["workflow_id"] == self.workflow_id]

    def statuses(self) -> list[str]:
        """Return how its runs are, oldest first."""
        return [run["status"] for run in self.runs()]

    def delay_answers(self, delay: float, times: int | None = 1) -> None:
        """Let so many submissions (``None``: all) be carried out, and answered so many seconds later."""
        self.emulator.fault(
            "delay", method="POST", path=SUBMISSION, query=self.workflow_id, when="after", delay=delay, times=times
        )

    def requests(self, method: str, path: str) -> list[Json]:
        """Return the requests for a path that name the case's workflow or one of its runs."""
        names = [self.workflow_id, *(run["job_id"] for run in self.runs())]
        return [
            request
            for request in self.emulator.requests()
            if request["method"] == method and path in request["path"] and any(n in json.dumps(request) for n in names)
        ]

    def keys(self) -> set[str]:
        """Return the idempotency keys of all its submissions: a run each is paid for, at most."""
        return {request["headers"]["idempotency-key"] for request in self.requests("POST", SUBMISSION)}

    def run_of(self, map_index: int) -> Json:
        """Return the first run that a mapped task instance has started."""
        return next(run for run in self.runs() if run["body"]["webhook_payload"] == [{"number": map_index}])

    # What Airflow knows.

    def task(self, map_index: int = -1) -> Json:
        """Return the task instance."""
        return self.cluster.rest.task_instance(self.dag_id, self.run_id, TASK_ID, map_index)

    def state(self, map_index: int = -1) -> Any:
        """Return the task instance's state."""
        return self.task(map_index)["state"]

    def states(self) -> dict[int, Any]:
        """Return all states by map index."""
        tasks = self.cluster.rest.task_instances(self.dag_id, self.run_id)
        return {task["map_index"]: task["state"] for task in tasks}

    def job_id(self, map_index: int = -1) -> Any:
        """Return the run that the task instance has given as its result."""
        return self.cluster.rest.xcom(self.dag_id, self.run_id, TASK_ID, map_index=map_index)

    # What a user does.

    def mark(self, state: str, map_index: int = -1) -> float:
        """Mark the task and return when."""
        self.cluster.rest.mark(self.dag_id, self.run_id, TASK_ID, state, map_index)
        return time.time()

    def clear(self, map_index: int = -1) -> float:
        """Clear the task and return when."""
        self.cluster.rest.clear(self.dag_id, self.run_id, TASK_ID, map_index)
        return time.time()

    def kill_task(self) -> None:
        """Kill the task's process and its supervisor, as if their machine had lost its power."""
        supervisor, process = self.task_processes()
        supervisor.kill()
        process.kill()

    def task_processes(self) -> tuple[psutil.Process, psutil.Process]:
        """Return the supervisor of the task's process, and that process."""
        process = psutil.Process(self.task()["pid"])
        supervisor = process.parent()
        assert supervisor is not None, "the task's process has no supervisor"
        return supervisor, process

    # What is waited for.

    def wait_for(self, what: str, check: Callable[[], object], limit: float = START_LIMIT) -> float:
        """Return the seconds until ``check()`` was true; fail with all that is known of the case."""
        return eventually(what, check, limit, explain=self.explain)

    def wait_for_runs(self, count: int, limit: float = START_LIMIT) -> None:
        """Wait until Sixtyfour has so many runs of this case."""
        self.wait_for(f"{count} runs are started", lambda: len(self.runs()) >= count, limit)

    def wait_until_watched(self, count: int = 1, limit: float = START_LIMIT) -> None:
        """Wait until the task waits for its run: somebody has asked how it is, and deferred tasks are deferred."""
        self.wait_for_runs(count, limit)
        waits = "running" if "sync" in self.dag_id else "deferred"

        def watched() -> bool:
            asked = {request["path"] for request in self.requests("GET", "/live_status")}
            return len(asked) >= count and all(state == waits for state in self.states().values())

        self.wait_for(f"{count} runs are watched by tasks that are {waits}", watched, limit)

    def wait_for_end(self, map_index: int = -1, limit: float = END_LIMIT) -> str:
        """Wait until the task instance has ended, and return its state."""
        self.wait_for("the task has ended", lambda: self.state(map_index) in TERMINAL_STATES, limit)
        return str(self.state(map_index))

    def assert_each_paid_once(self, limit: float = END_LIMIT) -> None:
        """Wait until all tasks have ended; assert that each has got a run of its own, completed, in its first try."""
        self.wait_for("the tasks have ended", lambda: set(self.states().values()) <= TERMINAL_STATES, limit)
        assert set(self.states().values()) == {"success"}, self.explain()
        runs = {run["body"]["webhook_payload"][0]["number"]: run for run in self.runs()}
        assert len(runs) == len(self.runs()) == len(self.keys()) == len(self.states()), self.explain()
        assert set(self.statuses()) == {"completed"}, self.explain()
        assert self.requests("POST", "/workflows/cancel") == [], self.explain()
        for index in self.states():
            assert self.job_id(index) == runs[max(index, 0)]["job_id"], self.explain()
            assert self.task(index)["try_number"] == 1, self.explain()

    def seconds_until_ended(self, job_id: str, since: float, limit: float = 60.0) -> float:
        """Wait until a run has ended, and return the seconds from ``since`` to that."""

        def ended_at() -> float | None:
            return next(run["ended_at"] for run in self.runs() if run["job_id"] == job_id)

        self.wait_for(f"run {job_id} has ended", ended_at, limit)
        return (ended_at() or 0.0) - since

    def triggerer(self, map_index: int = -1) -> Any:
        """Return the job id of the triggerer that the task waits in."""
        return triggerer_of(self.task(map_index))

    def log(self, triggerer: int) -> str:
        """Return what a triggerer wrote to the log of the task."""
        return "".join(path.read_text() for path in self._log_folder().rglob(f"*.trigger.{triggerer}.log"))

    def logs(self) -> str:
        """Return all that was written to the task's log, by workers and triggerers."""
        return "".join(path.read_text() for path in self._log_folder().rglob("*.log"))

    def explain(self) -> str:
        """Return all that is known, the ends of the task's logs included."""
        lines = [f"Dag {self.dag_id}, run {self.run_id}: tasks {self.states()}"]
        lines += [f"  run {run['job_id']}: {run['status']}" for run in self.runs()]
        folder = self._log_folder()
        for path in sorted(folder.rglob("*.log")):
            lines.append(f"  {path.relative_to(folder)}:")
            lines += [f"    {line}" for line in log_tail(path)]
        return "\n".join(lines)

    def _log_folder(self) -> Path:
        return self.cluster.task_logs / f"dag_id={self.dag_id}" / f"run_id={self.run_id}"


def log_tail(path: Path, count: int = LOG_LINES) -> list[str]:
    """Return the last lines of a task's log, each its time and its event."""
    lines = []
    for line in path.read_text(errors="replace").splitlines()[-count:]:
        try:
            entry = json.loads(line)
        except ValueError:
            lines.append(line[:300])
            continue
        error = "".join(f" {each['exc_type']}: {each['exc_value']}" for each in entry.get("error_detail") or ())
        lines.append(f"{entry.get('timestamp', '')[11:19]} {str(entry.get('event'))[:300]}{error[:300]}")
    return lines


def deploy(emulator: EmulatorProcess, source: str = "webhook") -> str:
    """Store a workflow that takes rows, or the ``source`` ``read_csv`` a file, and gives them back; return its id."""
    block = {"block_id": str(uuid.uuid4()), "sequence_number": 1, "block_type": "any", "block_name": source}
    body = {
        "workflow_name": "rows",
        "workflow_description": "",
        "workflow_definition": {"blocks": [{**block, "specs": {}}], "edges": []},
    }
    return str(emulator.api("POST", "/workflows/create_workflow", body)["id"])
