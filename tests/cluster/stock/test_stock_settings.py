"""
Stock settings: sixty short deferred runs, of which none may be lost to Airflow's own "state mismatch".

Airflow's LocalExecutor (3.3.2) fails a task that is queued again while the supervisor of its first slice still lingers,
up to 5 s after that slice has ended. The trigger's remedy is to fire nothing in its first seconds.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from demo.local_airflow import start_airflow
from demo.processes import Processes
from tests.cluster.case import deploy
from tests.cluster.dag_ids import SHORT_MAPPED, SHORT_RUNS, once
from tests.cluster.services import Services
from tests.cluster.waiting import eventually
from tests.emulator_process import EmulatorProcess

ROOT = Path(__file__).resolve().parents[3]
DAGS = ROOT / "tests" / "cluster" / "dags"
SINGLES = 12  # Dag runs of one task
MAPPED = 6  # Dag runs of `SHORT_RUNS` tasks
TASKS = SINGLES + MAPPED * SHORT_RUNS
READ_LIMIT = 120.0  # seconds
END_LIMIT = 420.0  # seconds


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_short_run_is_lost_to_a_state_mismatch(services: Services, folder: Path, database: str) -> None:
    home = folder / f"stock-{database}"
    with EmulatorProcess("--queue-seconds", "0") as emulator, Processes(home / "processes") as processes:
        environment = {
            "PYTHONPATH": str(ROOT),
            "AIRFLOW_CONN_SIXTYFOUR_DEFAULT": emulator.connection_json(),
            "AIRFLOW__CORE__PARALLELISM": "16",
        }
        if database == "postgresql":
            environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = services.database("stock")
        airflow = start_airflow(processes, home / "airflow", DAGS, environment)
        runs = []
        for dag_id, count in ((once("deferred"), SINGLES), (SHORT_MAPPED, MAPPED)):
            eventually(f"Dag {dag_id} is read", lambda dag_id=dag_id: airflow.rest.has_dag(dag_id), READ_LIMIT)
            airflow.rest.unpause(dag_id)
            for number in range(count):
                workflow = deploy(emulator)
                for seconds in range(1, SHORT_RUNS + 1):
                    each = seconds if dag_id == SHORT_MAPPED else number % SHORT_RUNS + 1
                    emulator.plan(workflow_id=workflow, seconds=each)
                runs.append((dag_id, airflow.rest.trigger(dag_id, {"workflow_id": workflow})))

        def states() -> Counter[str]:
            tasks = [task for run in runs for task in airflow.rest.task_instances(*run)]
            return Counter(str(task["state"]) for task in tasks)

        eventually(
            "all tasks rest",
            lambda: states()["success"] + states()["failed"] == TASKS,
            END_LIMIT,
            processes.require_alive,
            lambda: f"The tasks are {dict(states())}.",
        )
        assert states() == {"success": TASKS}
        assert Counter(run["status"] for run in emulator.runs()) == {"completed": TASKS}
