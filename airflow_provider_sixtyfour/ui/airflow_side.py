"""
What the page reads from Airflow's database, and who may read it.

The only module that imports what Airflow does not document as public: its security dependencies, its session and two
models. If an Airflow lacks one of them, the page says so and nothing else is affected.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep as SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from fastapi import Depends
from sqlalchemy import or_, select

from airflow_provider_sixtyfour.tasks.xcom_values import value_reader

# Both read the Dag from the path's ``dag_id``, by that very name: under another one they would ask whether the user may
# read any Dag at all.
MAY_READ = [
    Depends(requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE)),
    Depends(requires_access_dag("GET", DagAccessEntity.XCOM)),
]


class TaskRow(NamedTuple):
    """A task instance, as its own table has it."""

    task_id: str
    map_index: int
    label: str | None
    state: str | None
    try_number: int
    started_at: Any
    ended_at: Any


class RunRow(NamedTuple):
    """A Dag run, likewise."""

    state: str
    started_at: Any
    ended_at: Any


def dag_run(session: Any, dag_id: str, run_id: str) -> RunRow | None:
    """Return a Dag run; ``None`` if there is no such run."""
    found = session.execute(
        select(DagRun.state, DagRun.start_date, DagRun.end_date).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    ).first()
    return None if found is None else RunRow(*found)


def task_instances(
    session: Any, dag_id: str, run_id: str, task_ids: Iterable[str], operators: Iterable[str], most: int
) -> list[TaskRow]:
    """
    Return the task instances of some tasks, and those of some operators.

    :param most: how many.
    """
    columns: list[Any] = [
        TaskInstance.task_id,
        TaskInstance.map_index,
        TaskInstance.rendered_map_index,
        TaskInstance.state,
        TaskInstance.try_number,
        TaskInstance.start_date,
        TaskInstance.end_date,
    ]
    found = session.execute(
        select(*columns)
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        .where(or_(TaskInstance.task_id.in_(list(task_ids)), TaskInstance.operator.in_(list(operators))))
        .order_by(TaskInstance.task_id, TaskInstance.map_index)
        .limit(most)
    )
    return [TaskRow(*row) for row in found]


def tasks_of(session: Any, dag_id: str, run_id: str, operators: Iterable[str]) -> dict[str, str]:
    """Return the tasks of some operators, each with its operator's name."""
    found = session.execute(
        select(TaskInstance.task_id, TaskInstance.operator)
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        .where(TaskInstance.operator.in_(list(operators)))
    )
    return dict(found.all())


def xcoms(
    session: Any, dag_id: str, run_id: str, keys: Iterable[str], *, task_ids: Iterable[str] | None = None
) -> list[tuple[str, int, str, Any]]:
    """
    Return XComs of a Dag run: the task, its map index, the key and the value.

    :param task_ids: of these tasks alone; ``None`` for all.
    """
    query = select(XComModel.task_id, XComModel.map_index, XComModel.key, XComModel.value).where(
        XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.key.in_(list(keys))
    )
    if task_ids is not None:
        query = query.where(XComModel.task_id.in_(list(task_ids)))
    read = value_reader()
    return [(task_id, map_index, key, read(key, value)) for task_id, map_index, key, value in session.execute(query)]
