"""
Which task instances name a run, by Airflow's database: for the command line, and for a task of Airflow 2.

Airflow documents neither its models nor its sessions as public; this is the one module that reads them for that.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.exceptions import SixtyfourUnavailableError
from airflow_provider_sixtyfour.runs.orphans import JOB_ID, RETURNED, SUCCESS, Starter, has_left

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.runs.orphans import Orphan

_CLOCKS_DIFFER = timedelta(hours=1)  # by which the API's clock may be ahead of Airflow's
_ACTIVE = ("queued", "running")
_AT_A_TIME = 200  # task instances whose return values are read in one query


def starters(job_ids: Collection[str], since: datetime) -> dict[str, list[Starter]]:
    """
    Return the task instances that name these runs, of all Dags.

    :param since: when the oldest of them was submitted; no XCom that names one is older.
    :raises SixtyfourUnavailableError: if there is no database, or it can't be read.
    """
    with _session() as session:
        found: dict[str, list[Starter]] = defaultdict(list)
        for job_id, starter in _named(session, set(job_ids), since):
            found[job_id].append(starter)
        returned = _returned(session, [one for its in found.values() for one in its if one.state == SUCCESS])
    return {
        job_id: [one._replace(has_left_it=has_left(job_id, one.state, returned.get(one[:4]))) for one in its]
        for job_id, its in found.items()
    }


def is_orphan_still(orphan: Orphan, since: datetime) -> bool:
    """Return whether still nobody waits for a run; errors as `starters`."""
    its = starters([orphan.job_id], since).get(orphan.job_id, [])
    return bool(its) and not any(one.waits or one.has_left_it for one in its)


def _named(session: Any, job_ids: set[str], since: datetime) -> Iterator[tuple[str, Starter]]:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import and_, select

    from airflow_provider_sixtyfour.tasks.xcom_values import value_reader

    xcoms = _xcom_table()
    columns: list[Any] = [xcoms.dag_id, xcoms.run_id, xcoms.task_id, xcoms.map_index]
    is_its = and_(*(column == getattr(TaskInstance, column.key) for column in columns))
    query = (
        select(*columns, TaskInstance.state, DagRun.state, xcoms.value)
        .join(DagRun, and_(DagRun.dag_id == xcoms.dag_id, DagRun.run_id == xcoms.run_id))
        .join(TaskInstance, is_its, isouter=True)
        .where(xcoms.key == JOB_ID, xcoms.timestamp >= since - _CLOCKS_DIFFER)
        .order_by(xcoms.timestamp)
    )
    read = value_reader()
    for dag_id, run_id, task_id, map_index, state, run_state, stored in session.execute(query):
        job_id = read(JOB_ID, stored)
        if isinstance(job_id, str) and job_id in job_ids:
            yield job_id, Starter(dag_id, run_id, task_id, map_index, _text(state), str(run_state) in _ACTIVE)


def _returned(session: Any, instances: list[Starter]) -> dict[tuple[Any, ...], Any]:
    """Return what these task instances have returned."""
    from sqlalchemy import select, tuple_

    from airflow_provider_sixtyfour.tasks.xcom_values import value_reader

    xcoms, read = _xcom_table(), value_reader()
    columns: list[Any] = [xcoms.dag_id, xcoms.run_id, xcoms.task_id, xcoms.map_index]
    found = {}
    for start in range(0, len(instances), _AT_A_TIME):
        keys = [one[:4] for one in instances[start : start + _AT_A_TIME]]
        query = select(*columns, xcoms.value).where(xcoms.key == RETURNED, tuple_(*columns).in_(keys))
        found.update({tuple(row[:4]): read(RETURNED, row[4]) for row in session.execute(query)})
    return found


def _xcom_table() -> Any:
    """Return the model of XComs, under the name that this Airflow has it."""
    from airflow.models import xcom

    return getattr(xcom, "XComModel", None) or xcom.BaseXCom


def _text(state: Any) -> str | None:
    return None if state is None else str(getattr(state, "value", state))


@contextlib.contextmanager
def _session() -> Iterator[Any]:
    from airflow.utils.session import create_session
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            yield session
    except SQLAlchemyError as error:  # its text may hold the database's URL
        raise SixtyfourUnavailableError(
            f"Airflow's metadata database can't be read ({type(error).__name__}), which knows what tasks wait for: run "
            "this where Airflow's scheduler or API server runs.",
            may_have_worked=False,
        ) from None
