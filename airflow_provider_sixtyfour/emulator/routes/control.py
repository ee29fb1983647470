"""
The control API under ``/_emulator/``, by which tests read what was requested and order faults.

Invariant: it answers to this machine only, asks for no credential, is never recorded, limited or hit by a fault.

===========================================  ======================================================================
``GET, DELETE /_emulator/requests``          what the API was asked, oldest first (``?last=9``: no more); forget it
``GET, DELETE /_emulator/storage-requests``  the same of the storage
``GET /_emulator/stats``                     counts by route and status, connections, runs by status, credits
``GET /_emulator/runs``                      all runs, oldest first, with their bodies (``?bodies=false``: without)
``PATCH /_emulator/runs/{job_id}``           ``{"status": ..., "error_message": ...}`` from now on
``POST, GET, DELETE /_emulator/faults``      order a fault (:mod:`.faults`, :mod:`.misbehaviours`); list; cancel all
``POST, GET, DELETE /_emulator/plans``       queue a plan for the next runs (see :mod:`.plans`); list; cancel all
``POST /_emulator/outage``                   ``{"seconds": ...}``: break all connections, listen again after that
``GET /_emulator/deliveries``                the outgoing webhooks, and what came of them
``PUT /_emulator/api-key``                   ``{"api_key": ...}``: accept this API key from now on, and no other
``DELETE /_emulator/tokens``                 make all access tokens worthless
``DELETE /_emulator/rate-limit``             give every credential a fresh minute
===========================================  ======================================================================
"""

from __future__ import annotations

import ipaddress
import json
import time
from collections import Counter
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse as _JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.middleware.faults import KnownFault
from airflow_provider_sixtyfour.emulator.state import Side, State
from airflow_provider_sixtyfour.emulator.store.run_plans import Plan
from airflow_provider_sixtyfour.emulator.store.runs import Intervention, Run

PREFIX = "/_emulator/"


class JSONResponse(_JSONResponse):
    """JSON in ASCII: an order may hold half a surrogate pair, which UTF-8 can't."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content).encode()


class StatusBody(BaseModel):
    """``PATCH /_emulator/runs/{job_id}``."""

    model_config = ConfigDict(extra="forbid")

    status: str
    error_message: str | None = None


class OutageBody(BaseModel):
    """``POST /_emulator/outage``."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(gt=0, le=3600)


class ApiKeyBody(BaseModel):
    """``PUT /_emulator/api-key``."""

    model_config = ConfigDict(extra="forbid")

    api_key: str = Field(pattern=r"^[!-~]+$")  # what a header can hold


class LoopbackOnly:
    """The layer before the control API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through if it comes from this machine."""
        host = (scope.get("client") or ("",))[0]
        if host and ipaddress.ip_address(host).is_loopback:
            await self._app(scope, receive, send)
        else:
            refusal = errors.detailed(403, "This answers to this machine only")
            await refusal.response()(scope, receive, send)


def add_control_routes(app: FastAPI, state: State) -> None:
    """Add the routes of the control API."""
    _add_records(app, "requests", state.api_side)
    _add_records(app, "storage-requests", state.storage_side)
    _add_runs(app, state)
    _add_orders(app, state)

    @app.get(f"{PREFIX}stats")
    async def stats() -> JSONResponse:
        now = time.time()
        api, storage = state.api_side, state.storage_side
        return JSONResponse(
            {
                "requests": dict(api.traffic.by_route),
                "statuses": dict(api.traffic.by_status),
                "connections": api.connections.describe(),
                "storage": {
                    "requests": dict(storage.traffic.by_route),
                    "statuses": dict(storage.traffic.by_status),
                    "connections": storage.connections.describe(),
                },
                "runs": dict(Counter(run.at(now).status for run in state.ledger)),
                "credits": {"limit": state.options.credits, "used": state.ledger.credits_used},
            }
        )

    @app.get(f"{PREFIX}deliveries")
    async def deliveries() -> JSONResponse:
        return JSONResponse(state.deliveries.describe())


def _add_records(app: FastAPI, name: str, side: Side) -> None:
    @app.get(f"{PREFIX}{name}")
    async def requests(last: int | None = None) -> JSONResponse:
        kept = list(side.traffic.requests)
        return JSONResponse([request.describe() for request in kept[-last if last else 0 :]])

    @app.delete(f"{PREFIX}{name}")
    async def forget_requests() -> JSONResponse:
        side.traffic.clear()
        return JSONResponse({})


def _add_runs(app: FastAPI, state: State) -> None:
    @app.get(f"{PREFIX}runs")
    async def runs(bodies: bool = True) -> JSONResponse:
        now = time.time()
        return JSONResponse([_run(run, now, bodies) for run in state.ledger])

    @app.patch(f"{PREFIX}runs/{{job_id}}")
    async def force(job_id: str, body: StatusBody) -> JSONResponse:
        run = state.ledger.get(job_id)
        now = time.time()
        run.intervention = Intervention(now, body.status, "forced", body.error_message)
        state.deliveries.look_again()
        return JSONResponse(_run(run, now, with_body=True))


def _add_orders(app: FastAPI, state: State) -> None:
    @app.post(f"{PREFIX}faults")
    async def add_fault(body: KnownFault) -> JSONResponse:
        return JSONResponse(state.faults.add(body).describe())

    @app.get(f"{PREFIX}faults")
    async def faults() -> JSONResponse:
        return JSONResponse(state.faults.describe())

    @app.delete(f"{PREFIX}faults")
    async def clear_faults() -> JSONResponse:
        state.faults.clear()
        return JSONResponse({})

    @app.post(f"{PREFIX}plans")
    async def add_plan(plan: Plan) -> JSONResponse:
        state.plans.add(plan)
        return JSONResponse(plan.model_dump(exclude_unset=True))

    @app.get(f"{PREFIX}plans")
    async def plans() -> JSONResponse:
        return JSONResponse(state.plans.describe())

    @app.delete(f"{PREFIX}plans")
    async def clear_plans() -> JSONResponse:
        state.plans.clear()
        return JSONResponse({})

    @app.post(f"{PREFIX}outage")
    async def order_outage(body: OutageBody) -> JSONResponse:
        state.outage.order(body.seconds)
        return JSONResponse({"seconds": body.seconds})

    @app.put(f"{PREFIX}api-key")
    async def rotate_key(body: ApiKeyBody) -> JSONResponse:
        state.api_key.rotate(body.api_key)
        return JSONResponse({})

    @app.delete(f"{PREFIX}tokens")
    async def revoke_tokens() -> JSONResponse:
        state.tokens.revoke_all()
        return JSONResponse({})

    @app.delete(f"{PREFIX}rate-limit")
    async def fresh_minute() -> JSONResponse:
        state.limit.clear()
        state.bulk_limit.clear()
        return JSONResponse({})


def _run(run: Run, now: float, with_body: bool) -> dict[str, Any]:
    moment = run.at(now)
    shown = {
        "job_id": run.job_id,
        "workflow_id": run.workflow_id,
        "status": moment.status,
        "queued_at": run.queued_at,
        "ended_at": moment.ended_at,
        "idempotency_key": run.idempotency_key,
        "rows": run.rows.count,
        "formats": sorted(run.formats),
        "credits": run.credits,
        "log": run.log,
    }
    if with_body:
        shown["body"] = json.loads(run.body) if run.body else None
    return shown
