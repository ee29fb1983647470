"""One real Airflow and one emulator for all end-to-end tests of a process."""

import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version

from demo.airflow_rest import FINISHED
from demo.local_airflow import LocalAirflow, start_airflow
from demo.processes import Processes
from tests.emulator_process import EmulatorProcess

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DAG_IDS = (
    *("pipeline", "run_sync", "run_deferred", "mapped", "batches", "dated", "bulk", "approved", "limited"),
    *("left", "housekeeping"),
)
RUN_LIMIT = 120.0  # seconds for a Dag run


@pytest.fixture(scope="session")
def _process() -> Iterator[EmulatorProcess]:
    with EmulatorProcess("--run-seconds", "3", "--queue-seconds", "0.5") as process:
        yield process


@pytest.fixture
def emulator(_process: EmulatorProcess) -> EmulatorProcess:
    """The emulator that Airflow's default connection leads to, without the faults and records of earlier tests."""
    _process.clear()
    return _process


class StatsdServer:
    """What Airflow's processes send to a StatsD server, in InfluxDB's format: a metric with its tags, and a value."""

    def __init__(self) -> None:
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self._lines: list[str] = []
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        while True:
            self._lines += self._udp.recv(65_536).decode().splitlines()

    @property
    def settings(self) -> dict[str, str]:
        """The environment of an Airflow that sends its metrics here."""
        host, port = self._udp.getsockname()
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": host,
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def values(self, name: str, tag: str) -> list[str]:
        """Return the values of one of this provider's metrics with a tag, in the order of their arrival."""
        found = [line.rpartition(":")[::2] for line in list(self._lines) if f",{tag}" in line]
        # The last `:` of a line parts the value from the rest; the kind follows a `|`.
        return [value.partition("|")[0] for metric, value in found if metric.startswith(f"airflow.sixtyfour.{name},")]


@pytest.fixture(scope="session")
def statsd() -> StatsdServer:
    return StatsdServer()


@pytest.fixture(scope="session")
def airflow(_process: EmulatorProcess, statsd: StatsdServer) -> Iterator[LocalAirflow]:
    home = ROOT / ".airflow" / f"e2e-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    env = {"AIRFLOW_CONN_SIXTYFOUR_DEFAULT": _process.connection_json(), **statsd.settings}
    with Processes(log_dir=home / "processes") as processes:
        running = start_airflow(processes, home / "airflow", HERE / "dags", env)
        for dag_id in DAG_IDS:
            running.wait_for(f"Dag {dag_id} read", lambda dag_id=dag_id: running.rest.has_dag(dag_id), limit=60)
            running.rest.unpause(dag_id)
        yield running


class DagRun:
    """A run of a Dag in the real Airflow."""

    def __init__(self, airflow: LocalAirflow, dag_id: str, conf: dict[str, Any]) -> None:
        self._airflow = airflow
        self.dag_id = dag_id
        self.run_id = airflow.rest.trigger(dag_id, conf)

    def ended(self) -> str:
        """Wait for the run's end and return its state."""
        state = ""

        def is_finished() -> bool:
            nonlocal state
            state = self._airflow.rest.run_state(self.dag_id, self.run_id)
            return state in FINISHED

        self._airflow.wait_for(f"{self.dag_id} finished", is_finished, RUN_LIMIT)
        return state

    def clear_failed(self) -> None:
        """Clear the tasks that have failed, and let the run continue."""
        self._airflow.rest.clear_failed(self.dag_id, self.run_id)
        self._airflow.wait_for(
            "cleared", lambda: self._airflow.rest.run_state(self.dag_id, self.run_id) not in FINISHED, RUN_LIMIT
        )

    def states(self, task_id: str) -> list[str]:
        """Return the states of a task's instances, in their order."""
        instances = self._airflow.rest.task_instances(self.dag_id, self.run_id)
        mine = [each for each in instances if each["task_id"] == task_id]
        return [each["state"] for each in sorted(mine, key=lambda each: each["map_index"])]

    def wait_for_question(self, task_id: str) -> None:
        """Wait until a task waits for somebody's answer."""
        self.wait_until("deferred" if airflow_version.startswith("3.1.") else "awaiting_input", task_id)

    def wait_until(self, state: str, task_id: str = "run") -> None:
        """Wait until all instances of a task are in ``state``."""

        def is_there() -> bool:
            instances = self._airflow.rest.task_instances(self.dag_id, self.run_id)
            return {each["state"] for each in instances if each["task_id"] == task_id} == {state}

        self._airflow.wait_for(f"{self.dag_id}.{task_id} {state}", is_there, RUN_LIMIT)

    def clear_with_downstream(self, task_id: str) -> None:
        """Clear a task and all that come after it, and let the run continue."""
        self._airflow.rest.clear_with_downstream(self.dag_id, self.run_id, task_id)
        self._airflow.wait_for(
            "cleared", lambda: self._airflow.rest.run_state(self.dag_id, self.run_id) not in FINISHED, RUN_LIMIT
        )

    def answer(self, option: str, task_id: str, *, token: str | None = None) -> int:
        """Answer what a task asks for, as an admin or with the token of somebody else; return the HTTP status."""
        return self._airflow.rest.answer(self.dag_id, self.run_id, task_id, option, token=token)

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        return self._airflow.rest.xcom(self.dag_id, self.run_id, task_id, key, map_index)

    def log(self, map_index: int = -1, task_id: str = "run") -> str:
        """Return the log of a task's first try."""
        return self._airflow.rest.log_text(self.dag_id, self.run_id, task_id, map_index=map_index)

    def provider_lines(self) -> list[str]:
        """Return what this provider wrote to the log of task ``run``."""
        entries = self._airflow.rest.log(self.dag_id, self.run_id, "run")
        return [entry["event"] for entry in entries if "airflow_provider_sixtyfour" in str(entry.get("logger"))]


@pytest.fixture
def start_run(airflow: LocalAirflow) -> Callable[..., DagRun]:
    """Trigger a Dag."""
    return lambda dag_id, **conf: DagRun(airflow, dag_id, conf)


def definition(*block_names: str) -> dict[str, Any]:
    """A workflow of these blocks, one after the other, as the editor copies it out."""
    blocks = [
        {"block_id": str(uuid.uuid4()), "sequence_number": number, "block_type": "", "block_name": name, "specs": {}}
        for number, name in enumerate(block_names, start=1)
    ]
    edges = [
        {"from_block_id": block["block_id"], "to_block_id": following["block_id"]}
        for block, following in pairwise(blocks)
    ]
    return {
        "workflow_name": "end to end",
        "workflow_description": "",
        "workflow_definition": {"blocks": blocks, "edges": edges},
    }


@pytest.fixture
def editor_json() -> dict[str, Any]:
    """A workflow that isn't stored."""
    return definition("webhook", "company_enrichment")


@pytest.fixture
def workflow(emulator: EmulatorProcess, editor_json: dict[str, Any]) -> str:
    """The id of a stored workflow."""
    return str(emulator.api("POST", "/workflows/create_workflow", editor_json)["id"])
