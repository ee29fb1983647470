"""Airflow's own API server with the plugin, and a Dag run in its database."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.utils.db import initdb

from airflow_provider_sixtyfour.tasks.airflow_version import HAS_TABS

# Before Airflow 3.1 there are no tabs and no receiver of webhooks: see test_plugin.py.
collect_ignore_glob = [] if HAS_TABS else ["test_page.py", "test_webhook*.py"]

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def database() -> None:
    """Airflow's tables."""
    initdb()


@pytest.fixture(scope="session")
def api(database: None) -> Callable[..., Any]:
    """Make clients of Airflow's API server: of a user, or of nobody."""
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient

    app = create_app(apps="core")

    def client(name: str | None = "reader", role: str = "viewer") -> Any:
        made = TestClient(app, base_url="http://testserver", raise_server_exceptions=False)
        if name is not None:
            token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
            made.headers["Authorization"] = f"Bearer {token}"
        return made

    return client


@pytest.fixture
def stored(database: None) -> Iterator[Callable[..., str]]:
    """
    Store a Dag run with task instances and XComs, as Airflow does; return its id.

    ``tasks`` has for each ``(task_id, map_index)`` the operator, the state and the XComs.
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    tables = (XComModel, TaskInstance, DagRun)
    has_text_ids = TaskInstance.__table__.c.id.type.python_type is str  # before Airflow 3.2

    def store(
        tasks: dict[tuple[str, int], Any], *, dag_id: str = "enrich", run_id: str = "manual__1+/ä", **of_run: Any
    ):
        with create_session() as session:
            run = {"run_type": "manual", "state": "running", "start_date": START, "run_after": START, **of_run}
            session.execute(DagRun.__table__.insert(), [{"dag_id": dag_id, "run_id": run_id, **run}])
            [number] = session.scalars(select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
            instances, xcoms = [], []
            for (task_id, map_index), task in tasks.items():
                which = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
                given = SimpleNamespace(**{"operator": "SixtyfourEnrichOperator", "label": None, "xcoms": {}, **task})
                instances.append(
                    {
                        **which,
                        "id": str(uuid.uuid4()) if has_text_ids else uuid.uuid4(),
                        "state": given.state,
                        "operator": given.operator,
                        "rendered_map_index": given.label,
                        "pool": "default_pool",
                        "start_date": None if given.state in (None, "scheduled") else START,
                        "end_date": START + timedelta(seconds=90) if given.state in ("success", "failed") else None,
                    }
                )
                xcoms += [
                    {**which, "dag_run_id": number, "key": key, "value": value} for key, value in given.xcoms.items()
                ]
            if instances:
                session.execute(TaskInstance.__table__.insert(), instances)
            if xcoms:
                session.execute(XComModel.__table__.insert(), xcoms)
        return run_id

    yield store
    with create_session() as session:
        for table in tables:
            session.execute(delete(table))
