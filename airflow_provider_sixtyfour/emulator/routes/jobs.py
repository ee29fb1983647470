"""
The calls on jobs without a workflow, and on the balance.

Invariant: a route only translates: between HTTP and the state, which decides everything.
"""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Header, Request, UploadFile
from fastapi.responses import JSONResponse

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.engine.prices import credits_of
from airflow_provider_sixtyfour.emulator.routes.runs import result_items
from airflow_provider_sixtyfour.emulator.schemas import RunBody
from airflow_provider_sixtyfour.emulator.state import State
from airflow_provider_sixtyfour.emulator.store import bulk_jobs, run_views
from airflow_provider_sixtyfour.emulator.store.run_store import Submission
from airflow_provider_sixtyfour.emulator.store.runs import Run
from airflow_provider_sixtyfour.emulator.store.workflows import Workflow

Units = Literal["cents", "credits"]


def job_routes(state: State) -> APIRouter:
    """Return the routes of one emulator."""
    router = APIRouter()

    @router.get("/check-balance")
    async def check_balance() -> JSONResponse:
        return JSONResponse({"credits": state.ledger.credits_left})

    @router.post("/bulk-intelligence/{kind}")
    async def start_job(
        request: Request,
        kind: Literal["people", "company"],
        file: Annotated[UploadFile, File()],
        config: Annotated[str, Form()],
        cost_units: Units = "cents",
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> JSONResponse:
        key = f"bulk {idempotency_key}" if idempotency_key else None
        replayed = state.ledger.replayed(key)
        if replayed is not None:
            return JSONResponse({"task_id": replayed.job_id, "status": "RUNNING", "already_started": True})
        if set(await request.form()) != {"file", "config"}:
            raise errors.detailed(400, "Send two parts, file and config")
        wait = state.bulk_limit.wait("organisation", time.monotonic())
        if wait > 0:
            raise errors.too_many(
                "Rate limit exceeded: more than 10 bulk submissions in a minute", wait, state.options.retry_after
            )
        read = bulk_jobs.read_config(kind, config)
        run, is_new = await _start(state, kind, read, file, key)
        answer = {"task_id": run.job_id, "status": "RUNNING", "already_started": not is_new}
        if is_new:
            answer["row_count"] = run.rows.count
            answer |= _cost("estimated_cost", "cents", run.rows.count * read.cents, cost_units)
        return JSONResponse(answer)

    @router.get("/job-status/{task_id}")
    async def job_status(request: Request, task_id: str, cost_units: Units = "cents") -> JSONResponse:
        now = time.time()
        run = state.ledger.find(task_id)
        if run is None or run.is_hidden(now):
            raise errors.detailed(404, "Job not found")
        moment = run.at(now)
        shown: dict[str, Any] = {
            "status": _STATUSES.get(moment.status.lower(), moment.status),
            "id": run.job_id,
            "run_id": f"temporal-run-{run.job_id}",
            "start_time": run_views.timestamp(run.queued_at),
        }
        if moment.status.lower() == "completed":
            shown["close_time"] = run_views.timestamp(moment.ended_at)
            items = [await result_items(state, request, run, format) for format in sorted(run.formats)]
            shown["results"] = [item for found in items for item in found]
            shown |= _cost("charge", "amount", run.cents, cost_units)
        return JSONResponse(shown)

    return router


_STATUSES = {"queued": "running", "canceled": "cancelled", "timeout": "timed_out"}


def _cost(prefix: str, cents_name: str, cents: int, units: Units) -> dict[str, float]:
    return {f"{prefix}_credits": credits_of(cents)} if units == "credits" else {f"{prefix}_{cents_name}": cents}


async def _start(
    state: State, kind: str, config: bulk_jobs.Config, file: UploadFile, key: str | None
) -> tuple[Run, bool]:
    """Return the job, and whether this call has started it."""
    if (file.size or 0) > bulk_jobs.MOST_BYTES:
        raise errors.detailed(400, "The file is larger than 100 MB")
    graph = bulk_jobs.graph_of(kind, config)
    handle = await state.uploads.store(file.filename or "", file.file)
    rows = state.uploads.rows(handle)
    replayed = state.ledger.replayed(key)
    if replayed is not None:  # by a call that came while this file was read
        state.uploads.forget(handle)
        return replayed, False
    try:
        if not 0 < rows.count <= bulk_jobs.MOST_ROWS:
            raise errors.detailed(400, f"The file has {rows.count} rows; a job takes 1 to {bulk_jobs.MOST_ROWS}")
        missing = [name for name in config.columns or () if name not in rows.columns]
        if missing:
            raise errors.detailed(400, f"The file has no columns {', '.join(missing)}")
        now = time.time()
        name = f"{kind.capitalize()} Intelligence"
        workflow = Workflow(state.bulk_workflow_id, name, "", graph, now, now)
        request = RunBody(specs_override={"resource_handle_id": handle})
        price = (config.cents, config.more_cents)
        submission = Submission(workflow, request, b"", config.formats, key, price, f"bulk_{kind}_intelligence")
        run = state.ledger.start(submission, now)
    except errors.ApiError:
        state.uploads.forget(handle)
        raise
    state.deliveries.expect(run)
    return run, True
