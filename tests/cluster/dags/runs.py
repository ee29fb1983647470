"""
The Dags that the cluster tests run, each one task that runs a workflow.

``dag_run.conf`` names the ``workflow_id``, and may name the connection (``conn``) and a ``timeout`` in seconds.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from tests.cluster import dag_ids

RUNS = 50  # of the Dag `fifty`


class DyingOperator(SixtyfourRunWorkflowOperator):
    """
    Is killed in its first try, at an instant that is found from what the try stores.

    :param dies_at: is asked after each write, with what was written.
    """

    def __init__(self, *, dies_at: Callable[[Any], bool], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dies_at = dies_at

    def execute(self, context: Any) -> str:
        if context["ti"].try_number == 1:
            context = {**context, "task_state_store": DeadlyStore(context["task_state_store"], self.dies_at)}
        return super().execute(context)


class DeadlyStore:
    """The task's own store; a write that is the chosen one is the last thing that happens."""

    def __init__(self, store: Any, dies_at: Callable[[Any], bool]) -> None:
        self._store = store
        self._dies_at = dies_at

    def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return self._store.get(key, *args, **kwargs)

    def set(self, key: str, value: Any, *args: Any, **kwargs: Any) -> None:
        has_answer = value["job_id"] is not None
        if has_answer and self._dies_at(value):
            die()
        self._store.set(key, value, *args, **kwargs)
        if self._dies_at(value):
            die()


def die() -> None:
    """Kill the task's supervisor, then the task: nobody is left to report anything."""
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


DYING: dict[str, Callable[[Any], bool]] = {
    "before_the_request": lambda record: record["job_id"] is None,
    "after_the_answer": lambda record: record["job_id"] is not None,
}


def rows(count: int) -> list[list[dict[str, int]]]:
    return [[{"number": number}] for number in range(count)]


def make(
    dag_id: str,
    mode: str,
    *,
    shape: str = "single",
    runs: int = 2,
    operator: type[SixtyfourRunWorkflowOperator] = SixtyfourRunWorkflowOperator,
    **arguments: Any,
) -> None:
    arguments = {
        "task_id": dag_ids.TASK_ID,
        "workflow_id": "{{ dag_run.conf['workflow_id'] }}",
        "sixtyfour_conn_id": "{{ dag_run.conf.get('conn', 'sixtyfour_default') }}",
        "timeout": "{{ dag_run.conf.get('timeout', 3600) }}",
        "deferrable": mode == "deferred",
        "poll_interval": 1.0,
        "retries": 2,
        "retry_delay": timedelta(seconds=1),
        **arguments,
    }
    with DAG(dag_id, schedule=None, catchup=False):
        if shape == "mapped":
            operator.partial(**arguments).expand(webhook_payload=rows(runs))
        else:
            operator(**arguments, webhook_payload=rows(1)[0])


for mode in dag_ids.MODES:
    for shape in dag_ids.SHAPES:
        make(dag_ids.usual(mode, shape), mode, shape=shape)
    make(dag_ids.keeping(mode), mode, cancel_on_kill=False)
    make(dag_ids.limited(mode), mode, execution_timeout=timedelta(seconds=dag_ids.EXECUTION_TIMEOUT), retries=0)
    make(dag_ids.once(mode), mode, retries=0)
for instant in dag_ids.INSTANTS:
    make(dag_ids.dying(instant), "deferred", operator=DyingOperator, dies_at=DYING[instant])
for count in dag_ids.WAITING:
    make(dag_ids.waiting(count), "deferred", shape="mapped", runs=count, retries=0)
make(dag_ids.FIFTY, "deferred", shape="mapped", runs=RUNS, retries=8, poll_interval=5.0)
make(dag_ids.SHORT_MAPPED, "deferred", shape="mapped", runs=dag_ids.SHORT_RUNS, retries=0)
