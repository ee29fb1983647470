"""
Stock settings: sixty short deferred runs, of which none may be lost to Airflow's own "state mismatch".

Airflow's LocalExecutor (3.3.2) fails a task that is queued again while the supervisor of its first slice still lingers,
up to 5 s after that slice has ended. The trigger's remedy is to fire nothing in its first seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo.local_airflow import LocalAirflow, start_airflow
from demo.processes import Processes
from tests.cluster.case import deploy
from tests.cluster.dag_ids import SHORT_MAPPED, SHORT_RUNS, once
from tests.cluster.services import Services
from tests.cluster.waiting import eventually
from tests.emulator_process import EmulatorProcess

ROOT = Path(__file__).resolve().parents[3]
DAGS = ROOT / "tests" / "cluster" / "dags"
DATABASES = ("sqlite", "postgresql")
SINGLES = 12  # Dag runs of one task
MAPPED = 6  # Dag runs of `SHORT_RUNS` tasks
TASKS = SINGLES + MAPPED * SHORT_RUNS
READ_LIMIT = 120.0  # seconds
END_LIMIT = 600.0  # seconds


class Stock:
    """An Airflow with stock settings, and the Dag runs that have been started in it."""

    def __init__(self, airflow: LocalAirflow, emulator: EmulatorProcess) -> None:
        self.airflow = airflow
        self.emulator = emulator
        self._dag_runs: list[tuple[str, str]] = []

    def start(self, dag_id: str, count: int, seconds: list[int]) -> None:
        """Start Dag runs, the nth with workflow runs of ``seconds``, from the nth on."""
        rest = self.airflow.rest
        eventually(f"Dag {dag_id} is read", lambda: rest.has_dag(dag_id), READ_LIMIT)
        eventually("it is unpaused", lambda: rest.unpause(dag_id) is None, READ_LIMIT)
        for number in range(count):
            workflow = deploy(self.emulator)
            for each in seconds[number % len(seconds) :] + seconds[: number % len(seconds)]:
                self.emulator.plan(workflow_id=workflow, seconds=each)
            eventually("a Dag run is started", lambda workflow=workflow: self._trigger(dag_id, workflow), READ_LIMIT)

    def _trigger(self, dag_id: str, workflow: str) -> bool:
        self._dag_runs.append((dag_id, self.airflow.rest.trigger(dag_id, {"workflow_id": workflow})))
        return True

    def states(self) -> Counter[str]:
        """Return how many tasks are in which state."""
        tasks = [task for run in self._dag_runs for task in self.airflow.rest.task_instances(*run)]
        return Counter(str(task["state"]) for task in tasks)


@pytest.fixture(scope="module")
def stocks(services: Services, folder: Path) -> Iterator[dict[str, Stock]]:
    """Both Airflows, at work."""
    stocks = {}
    with ExitStack() as stack:
        for database in DATABASES:
            home = folder / f"stock-{database}"
            emulator = stack.enter_context(EmulatorProcess("--queue-seconds", "0"))
            processes = stack.enter_context(Processes(home / "processes"))
            environment = {
                "PYTHONPATH": str(ROOT),
                "AIRFLOW_CONN_SIXTYFOUR_DEFAULT": emulator.connection_json(),
                "AIRFLOW__CORE__PARALLELISM": "6",  # each; a stock 32 is for more than two cores
            }
            if database == "postgresql":
                environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = services.database("stock")
            stocks[database] = Stock(start_airflow(processes, home / "airflow", DAGS, environment), emulator)
        for stock in stocks.values():
            stock.start(once("deferred"), SINGLES, list(range(1, SHORT_RUNS + 1)))
            stock.start(SHORT_MAPPED, MAPPED, list(range(1, SHORT_RUNS + 1)))
        yield stocks


@pytest.mark.parametrize("database", DATABASES)
def test_no_short_run_is_lost_to_a_state_mismatch(stocks: dict[str, Stock], database: str) -> None:
    stock = stocks[database]
    eventually(
        "all tasks rest",
        lambda: stock.states()["success"] + stock.states()["failed"] == TASKS,
        END_LIMIT,
        stock.airflow.processes.require_alive,
        lambda: f"The tasks are {dict(stock.states())}.",
    )
    assert stock.states() == {"success": TASKS}
    assert Counter(run["status"] for run in stock.emulator.runs()) == {"completed": TASKS}
