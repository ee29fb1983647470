"""
The calls on runs and their results.

Invariant: a route only translates: between HTTP and the state, which decides everything. Between the look for an
idempotency key and the start of its run nothing else gets a turn.
"""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Query, Request
from fastapi.responses import JSONResponse

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.schemas import RunBody, StrictRoute
from airflow_provider_sixtyfour.emulator.state import State
from airflow_provider_sixtyfour.emulator.store import run_views
from airflow_provider_sixtyfour.emulator.store.results import CONTENT_TYPES, ResultFile
from airflow_provider_sixtyfour.emulator.store.run_store import Submission
from airflow_provider_sixtyfour.emulator.store.runs import Run


def run_routes(state: State) -> APIRouter:
    """Return the routes of one emulator."""
    router = APIRouter(route_class=StrictRoute)

    @router.post("/workflows/run")
    async def run_workflow(
        request: Request,
        workflow_id: str,
        result_formats: Annotated[list[Literal["csv", "ndjson"]], Query()] = [],  # noqa: B006 - FastAPI copies it
        save_json: bool = False,
        body: RunBody | None = None,
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> JSONResponse:
        raw = await request.body()
        run = state.ledger.replayed(idempotency_key)
        already_started = run is not None
        if run is None:
            formats = frozenset({"csv", *result_formats, *(["json"] if save_json else [])})
            workflow = state.workflows.get(workflow_id)
            submission = Submission(workflow, body or RunBody(), raw, formats, idempotency_key or None)
            run = state.ledger.start(submission, time.time())
            state.deliveries.expect(run)
        return JSONResponse(
            {
                "status": "queued",
                "workflow_id": run.workflow_id,
                "job_id": run.job_id,
                "cache_config": None,
                "already_started": already_started,
            }
        )

    @router.get("/workflows/runs")
    async def list_runs(
        status: str | None = None,
        workflow_id: str | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> JSONResponse:
        now = time.time()
        if workflow_id is not None and workflow_id != state.bulk_workflow_id:
            workflow_id = state.workflows.get(workflow_id).workflow_id
        runs = state.ledger.recent(status, workflow_id, limit, now)
        return JSONResponse([run_views.row(run, await state.results.counts(run), now) for run in runs])

    @router.get("/workflows/runs/{run_id}/live_status")
    async def live_status(run_id: uuid.UUID) -> JSONResponse:
        run = state.ledger.get(str(run_id))
        if run.is_hidden(time.time()):
            raise errors.detailed(404, f"Workflow run {run_id} not found")
        counts = await state.results.counts(run)
        return JSONResponse(run_views.live_status(run, counts, time.time()))

    @router.post("/workflows/cancel")
    async def cancel(job_id: str | None = None, body: Annotated[dict[str, Any] | None, Body()] = None) -> JSONResponse:
        named = job_id or str((body or {}).get("job_id") or "")
        if not named:
            raise errors.detailed(400, "job_id is missing")
        state.ledger.cancel(named, time.time())
        state.deliveries.look_again()
        return JSONResponse({"job_id": named, "status": "canceled"})

    @router.get("/workflows/runs/{run_id}/results/download-links")
    async def download_links(
        request: Request, run_id: uuid.UUID, format: Literal["csv", "json", "ndjson"] = "csv"
    ) -> JSONResponse:
        return JSONResponse(await result_items(state, request, state.ledger.get(str(run_id)), format))

    return router


async def result_items(state: State, request: Request, run: Run, format: str) -> list[dict[str, Any]]:
    """Return the files of a run that have links by now."""
    now = time.time()
    done = run.at(now).done
    files = await state.results.files(run) if done else []
    origin = state.storage_origin(str(request.base_url))
    return [
        _item(state, run, number, file, origin)
        for number, file in enumerate(files)
        if file.format == format and file.block_index < done and run.shows_file(file.block_number, now)
    ]


def _item(state: State, run: Run, number: int, file: ResultFile, origin: str) -> dict[str, Any]:
    """Return a result file as the API shows it, with a fresh link."""
    now, life = time.time(), state.options.link_seconds
    item = {
        "filename": file.filename,
        "storage_bucket": "workflow-results",
        "file_size": file.size,
        "row_count": file.row_count,
        "block_number": file.block_number,
        "created_at": run_views.timestamp(run.at(now).ended_at or now),
        "message": None,
        "content_type": CONTENT_TYPES[file.format],
        "download_url": origin + state.storage.link(run.job_id, number, file, now),
        "download_expires_in_seconds": int(life),
        "results": file.inline_rows(),
        **file.claims,
    }
    return {name: value for name, value in item.items() if name not in file.omit}
