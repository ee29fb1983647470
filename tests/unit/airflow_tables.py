"""Task instances and XComs in Airflow's database, as Airflow itself stores them; on every version."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.models import DagRun, TaskInstance
from airflow.utils.db import initdb
from airflow.utils.session import create_session

with contextlib.suppress(ImportError):
    from airflow.models.xcom import XComModel
if "XComModel" not in globals():  # Airflow 2
    from airflow.models.xcom import BaseXCom as XComModel


class Tables:
    """What a scheduler and tasks would have stored."""

    def dag_run(self, dag_id: str, run_id: str, state: str = "running") -> None:
        columns = DagRun.__table__.c
        now = datetime.now(UTC)
        row = {"dag_id": dag_id, "run_id": run_id, "run_type": "manual", "state": state, "start_date": now}
        for name in ("execution_date", "run_after"):
            if name in columns:
                row[name] = now
        with create_session() as session:
            session.execute(DagRun.__table__.insert(), [row])

    def task(self, dag_id: str, run_id: str, state: str | None, index: int = -1, task_id: str = "t", **xcoms: Any):
        which = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": index}
        row = {**which, "state": state, "pool": "default_pool"}
        if "id" in TaskInstance.__table__.c:
            is_text = type(TaskInstance.__table__.c.id.type).__name__.upper() != "UUID"  # before Airflow 3.2
            row["id"] = str(uuid.uuid4()) if is_text else uuid.uuid4()
        with create_session() as session:
            session.execute(TaskInstance.__table__.insert(), [row])
            [number] = session.query(DagRun.id).filter_by(dag_id=dag_id, run_id=run_id).one()
            for key, value in xcoms.items():
                is_bytes = XComModel.__name__ == "BaseXCom"
                stored = json.dumps(value).encode() if is_bytes else value
                moment = datetime.now(UTC)
                values = {**which, "dag_run_id": number, "key": key, "value": stored, "timestamp": moment}
                session.execute(XComModel.__table__.insert(), [values])

    def set_state(self, dag_id: str, run_id: str, state: str | None) -> None:
        table = TaskInstance.__table__
        with create_session() as session:
            is_it = (table.c.dag_id == dag_id) & (table.c.run_id == run_id)
            session.execute(table.update().where(is_it).values(state=state))


@pytest.fixture(scope="session")
def _database() -> None:
    initdb()


@pytest.fixture
def tables(_database: None) -> Iterator[Tables]:
    yield Tables()
    with create_session() as session:
        for table in (XComModel, TaskInstance, DagRun):
            session.execute(table.__table__.delete())
