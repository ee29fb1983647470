"""
An Airflow as a company runs it: PostgreSQL, Celery on Redis, two workers, two triggerers, and local Sixtyfour APIs.

What holds: its processes listen on free ports of 127.0.0.1 and end with the processes they are started through. The
settings differ from the stock ones in how soon Airflow notices something, not in what it does about it.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.processes import free_ports
from tests.cluster.dag_ids import DAG_IDS
from tests.cluster.fleet import Fleet, Replaceable, Single
from tests.cluster.rest import UserRest
from tests.cluster.services import Services
from tests.cluster.waiting import eventually
from tests.emulator_process import EmulatorProcess

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "tests" / "cluster" / "dags"
START_LIMIT = 240.0  # seconds; two cores that others use too
FLEET = 2  # workers, and triggerers
SLOTS = 10  # tasks at once on one worker
DEAD_AFTER = 45  # seconds without a heartbeat after which a task counts as dead; Airflow's one API process may stall
COMMAND_LIMIT = 120.0  # seconds
STALE_AFTER = 20  # seconds without a heartbeat after which a triggerer's triggers move
AIRFLOW = (sys.executable, str(Path(sys.executable).parent / "airflow"))

SETTINGS = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
    "AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG": "64",
    "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
    "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(DEAD_AFTER),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    # What a dead worker had taken from the queue is queued again.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "20",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(STALE_AFTER),
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
}


@dataclass
class Cluster:
    """A running cluster."""

    rest: UserRest
    emulators: Mapping[str, EmulatorProcess]  # by the id of their connection
    workers: Fleet
    triggerers: Fleet
    api_server: Single
    task_logs: Path
    environment: Mapping[str, str]

    def command(self, *arguments: str) -> None:
        """Run a command of Airflow, as an operator does in a shell."""
        done = subprocess.run(
            [*AIRFLOW, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_LIMIT,
        )
        assert done.returncode == 0, f"airflow {' '.join(arguments)}:\n{done.stdout}"

    def connect(self, conn_id: str, emulator: EmulatorProcess) -> None:
        """Let a connection in Airflow's database lead to an emulator, with the key that this accepts now."""
        self.rest.save_connection(conn_id, json.loads(emulator.connection_json()))

    def lose_api_server(self, seconds: float) -> None:
        """Kill Airflow's API server, and start it again after so long; return once it answers."""
        self.api_server.kill()
        time.sleep(seconds)
        self.api_server.start()
        eventually("the API server answers again", self.rest.answers, START_LIMIT)
        eventually("Airflow is healthy again", self.rest.is_healthy, START_LIMIT)

    def lose_worker(self, pid: int) -> None:
        """Kill the worker that a process runs on, and start another."""
        self.workers.kill(self.workers.running(pid))
        self.workers.start_one()

    def start_triggerer(self) -> str:
        """Start a triggerer and return its name, once it takes triggers."""
        name = self.triggerers.start_one()
        known = set(self.triggerers.labels.values())
        eventually("a new triggerer is alive", lambda: self.rest.triggerers() - known, START_LIMIT)
        [self.triggerers.labels[name]] = self.rest.triggerers() - known
        return name

    def lose_everything(self) -> None:
        """Kill all workers and triggerers, and start as many new ones."""
        for fleet in (self.workers, self.triggerers):
            for name in list(fleet.names):
                fleet.kill(name)
        for _ in range(FLEET):
            self.workers.start_one()
        for _ in range(FLEET):
            self.start_triggerer()


def start_cluster(
    processes: Replaceable, services: Services, home: Path, emulators: Mapping[str, EmulatorProcess]
) -> Cluster:
    """Start all of it and return once it is healthy."""
    [port] = free_ports(1)
    environment = _environment(services, home, port, emulators)
    processes.start("migration", [*AIRFLOW, "db", "migrate"], environment)
    processes.finish("migration", START_LIMIT)
    api_server = Single("api-server", [*AIRFLOW, "api-server"], environment, processes)
    api_server.start()
    processes.start("dag-processor", [*AIRFLOW, "dag-processor"], environment)
    processes.start("scheduler", [*AIRFLOW, "scheduler", "--skip-serve-logs"], environment)
    worker = [*AIRFLOW, "celery", "worker", "--skip-serve-logs", "--without-gossip", "--without-mingle"]
    triggerer = [*AIRFLOW, "triggerer", "--skip-serve-logs"]
    cluster = Cluster(
        rest=UserRest(f"http://127.0.0.1:{port}"),
        emulators=emulators,
        workers=Fleet("worker", [*worker, "--celery-hostname", "{name}@%h"], environment, processes),
        triggerers=Fleet("triggerer", triggerer, environment, processes),
        api_server=api_server,
        task_logs=home / "logs",
        environment=environment,
    )
    for _ in range(FLEET):
        cluster.workers.start_one()
    eventually("the API server answers", cluster.rest.answers, START_LIMIT, processes.require_alive)
    for _ in range(FLEET):
        cluster.start_triggerer()
    eventually("Airflow is healthy", cluster.rest.is_healthy, START_LIMIT, processes.require_alive)
    for dag_id in DAG_IDS:
        eventually(f"Dag {dag_id} is read", lambda dag_id=dag_id: cluster.rest.has_dag(dag_id), START_LIMIT)
        cluster.rest.unpause(dag_id)
    return cluster


def _environment(services: Services, home: Path, port: int, emulators: Mapping[str, EmulatorProcess]) -> dict[str, str]:
    url = f"http://127.0.0.1:{port}"
    database = services.database("airflow")
    outside = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return {
        **outside,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(ROOT),
        **SETTINGS,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__CELERY__BROKER_URL": services.broker,
        "AIRFLOW__CELERY__RESULT_BACKEND": "db+" + database.replace("+psycopg2", ""),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        # The components must share these, and each would make up its own.
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        **{f"AIRFLOW_CONN_{name.upper()}": each.connection_json() for name, each in emulators.items()},
    }
