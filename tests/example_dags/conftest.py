"""Each example Dag, run by ``dag.test()`` in this process against an emulator."""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import cache, partial, partialmethod
from importlib import import_module
from pathlib import Path
from typing import Any

import airflow
import pytest

from airflow_provider_sixtyfour.polling.run_watch import RunWatch
from airflow_provider_sixtyfour.triggers import sixtyfour as triggers
from tests.emulator_process import EmulatorProcess

IS_AIRFLOW_2 = airflow.__version__.startswith("2.")
EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"


@pytest.fixture(scope="session")
def database() -> None:
    """Airflow's tables, in the home of this session."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    if IS_AIRFLOW_2:  # there, what deletes a Dag run has to know the table of users
        import_module("airflow.providers.fab.auth_manager.models")


@pytest.fixture(scope="session")
def one_execution_api() -> None:
    """Give Airflow 3.0 to 3.2 what 3.3 has: `dag.test` builds its API once, not for each task, at 4 s a time."""
    with suppress(ImportError):  # Airflow 2 has none
        from airflow.sdk.execution_time import supervisor

        if not hasattr(supervisor.in_process_api_server, "cache_info"):
            supervisor.in_process_api_server = cache(supervisor.in_process_api_server)


@pytest.fixture(scope="session")
def _process() -> Iterator[EmulatorProcess]:
    with EmulatorProcess("--run-seconds", "0.3", "--queue-seconds", "0.1") as process:
        yield process


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask every 0.2 s instead of every 10 s; `dag.test` has no scheduler for whose sake a trigger would hold back."""
    monkeypatch.setattr(RunWatch, "pause", lambda watch: 0.2)
    monkeypatch.setattr(triggers, "SETTLING", 0.0)


@pytest.fixture
def emulator(_process: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> EmulatorProcess:
    """An emulator that the default connection leads to."""
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", _process.connection_json())
    return _process


@pytest.fixture
def store_workflow(emulator: EmulatorProcess) -> Callable[..., str]:
    """Store a workflow that begins with the block ``source``; return its id."""

    def store(source: str) -> str:
        blocks = [
            {
                "block_id": str(uuid.uuid4()),
                "sequence_number": number,
                "block_type": "",
                "block_name": name,
                "specs": {},
            }
            for number, name in enumerate([source, "company_enrichment"], start=1)
        ]
        edge = {"from_block_id": blocks[0]["block_id"], "to_block_id": blocks[1]["block_id"]}
        definition = {"blocks": blocks, "edges": [edge]}
        body = {"workflow_name": source, "workflow_description": "", "workflow_definition": definition}
        return str(emulator.api("POST", "/workflows/create_workflow", body)["id"])

    return store


class DagRun:
    """A finished run of an example Dag."""

    def __init__(self, run: Any, runs_before: int, emulator: EmulatorProcess) -> None:
        self._run = run
        self.state = str(run.state)
        self.runs = emulator.runs()[runs_before:]

    def states(self, task_id: str) -> list[str]:
        """Return the states of a task's instances."""
        return [str(each.state) for each in self._run.get_task_instances() if each.task_id == task_id]

    def labels(self, task_id: str) -> list[str | None]:
        """Return what Airflow shows of a mapped task's instances in place of their numbers, in their order."""
        instances = [each for each in self._run.get_task_instances() if each.task_id == task_id]
        return [each.rendered_map_index for each in sorted(instances, key=lambda each: each.map_index)]

    def result(self, task_id: str) -> Any:
        """Return what a task returned."""
        return self._run.get_task_instance(task_id).xcom_pull(task_ids=task_id)


@pytest.fixture
def run_dag(
    database: None, one_execution_api: None, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., DagRun]:
    """
    Run a Dag of a folder to its end.

    Besides the other values for its params, a test may give the date of the Dag run, and its partition key.
    """

    def run(
        folder: Path, dag_id: str, date: datetime | None = None, partition_key: str | None = None, **params: Any
    ) -> DagRun:
        bag = dag_bag(folder)
        assert bag.import_errors == {}
        before = len(emulator.runs())
        dated = {} if date is None else {"execution_date" if IS_AIRFLOW_2 else "logical_date": date}
        if airflow.__version__.startswith("3.0."):
            activate_assets(bag)
        with monkeypatch.context() as patch:
            if partition_key is not None:
                give_partition_key(patch, partition_key)
            return DagRun(bag.dags[dag_id].test(run_conf=params, **dated), before, emulator)

    return run


@pytest.fixture
def run_example(run_dag: Callable[..., DagRun]) -> Callable[..., DagRun]:
    """Run an example Dag to its end; see `run_dag`."""
    return partial(run_dag, EXAMPLES)


def activate_assets(bag: Any) -> None:
    """Store Dags as the Dag processor does: on Airflow 3.0 `dag.test` doesn't, and a task with outlets fails."""
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.merge(DagBundleModel(name="examples"))
        session.flush()
        bag.sync_to_db("examples", None, session=session)


def give_partition_key(patch: pytest.MonkeyPatch, key: str) -> None:
    """Give the Dag runs that are made their partition key, as the scheduler and a backfill do; `dag.test` can't."""
    from airflow.serialization.definitions.dag import SerializedDAG

    patch.setattr(SerializedDAG, "create_dagrun", partialmethod(SerializedDAG.create_dagrun, partition_key=key))


@pytest.fixture
def example_bag(database: None) -> Any:
    """The example Dags, read."""
    return dag_bag()


def dag_bag(folder: Path = EXAMPLES) -> Any:
    """Read the Dags of a folder as the Dag processor does."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow before 3.2
        from airflow.models.dagbag import DagBag
    return DagBag(dag_folder=str(folder))
