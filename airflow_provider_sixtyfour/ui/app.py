"""
What the page reads: one answer for a Dag run, one for a run of it. Read only, without a credential of the vendor.

Every route that has data of a Dag names it ``dag_id`` in its path and asks whether the user may read it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from airflow_provider_sixtyfour.ui import airflow_side, page_data, webhooks
from airflow_provider_sixtyfour.ui.airflow_side import MAY_READ, SessionDep

STATIC = Path(__file__).parent / "static"

app = FastAPI(title="Sixtyfour", docs_url=None, redoc_url=None, openapi_url=None)
app.include_router(webhooks.router)


@app.middleware("http")
async def guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Answer also where something fails: an exception here would break the connection of the next request."""
    try:
        response = await call_next(request)
    except Exception:
        import logging

        logging.getLogger(__name__).exception("The Sixtyfour tab could not be answered.")
        response = JSONResponse({"detail": "Could not read the runs. The API server's log says why."}, status_code=500)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@app.get("/static/panel.js")
def script() -> FileResponse:
    """Return the page's script, which is no secret."""
    return FileResponse(STATIC / "panel.js", media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@app.get("/dags/{dag_id}/details", dependencies=MAY_READ)
def run_details(dag_id: str, run_id: str, task_id: str, session: SessionDep, map_index: int = -1) -> dict[str, Any]:
    """Return what is shown of one run when its row is opened."""
    _existing(session, dag_id, run_id)
    keys = (*page_data.OF_RUNS, page_data.RESULT)
    found = airflow_side.xcoms(session, dag_id, run_id, keys, task_ids=[task_id])
    return page_data.details({key: value for _, index, key, value in found if index == map_index})


@app.get("/dags/{dag_id}/runs", dependencies=MAY_READ)
def dag_run(
    dag_id: str, run_id: str, session: SessionDep, task_id: str | None = None, map_index: int | None = None
) -> dict[str, Any]:
    """Return what is shown of a Dag run, or of one of its tasks."""
    run = _existing(session, dag_id, run_id)
    of_tasks: defaultdict[tuple[str, int], dict[str, Any]] = defaultdict(dict)
    for task, index, key, value in airflow_side.xcoms(session, dag_id, run_id, page_data.OF_RUNS):
        of_tasks[task, index][key] = value
    names = {task for task, _ in of_tasks}
    tasks = airflow_side.task_instances(session, dag_id, run_id, names, page_data.OPERATORS, page_data.MOST_RUNS + 1)
    if task_id is not None:
        tasks = [each for each in tasks if each.task_id == task_id and map_index in (None, -1, each.map_index)]
    for task, index, key, value in airflow_side.xcoms(
        session, dag_id, run_id, [page_data.RESULT], task_ids={each.task_id for each in tasks}
    ):
        of_tasks[task, index][key] = value
    return page_data.page(run, tasks, of_tasks, _whole(session, dag_id, run_id), datetime.now(UTC))


def _existing(session: SessionDep, dag_id: str, run_id: str) -> airflow_side.RunRow:
    """
    Return a Dag run.

    :raises HTTPException: 404 if there is none, as there is none of the Dag ``~``, for which Airflow would ask whether
        the user may read any Dag.
    """
    run = airflow_side.dag_run(session, dag_id, run_id)
    if run is None:
        raise HTTPException(404, "There is no such Dag run.")
    return run


def _whole(session: SessionDep, dag_id: str, run_id: str) -> Mapping[str, list[Any]]:
    """Return what tasks have said about the whole."""
    kinds = airflow_side.tasks_of(session, dag_id, run_id, page_data.OF_THE_WHOLE)
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for task, _, _, value in airflow_side.xcoms(session, dag_id, run_id, [page_data.RESULT], task_ids=kinds):
        found[page_data.OF_THE_WHOLE[kinds[task]]].append(value)
    for _, _, key, value in airflow_side.xcoms(session, dag_id, run_id, [page_data.BUDGET]):
        found[key].append(value)
    return found
