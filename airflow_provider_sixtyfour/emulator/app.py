"""
The layers of the emulator, put on top of each other.

Invariant: a request passes, in this order, the check of its host, the record, the faults, the latency and the gate
before it reaches the API; the storage has a record and faults of its own, and knows nothing of credentials.
"""

from __future__ import annotations

import asyncio
import re

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.middleware.access import AccessControl
from airflow_provider_sixtyfour.emulator.middleware.faults import Faulty
from airflow_provider_sixtyfour.emulator.middleware.host_names import KnownHosts
from airflow_provider_sixtyfour.emulator.middleware.request_log import Recorded
from airflow_provider_sixtyfour.emulator.routes import control
from airflow_provider_sixtyfour.emulator.routes.control import LoopbackOnly, add_control_routes
from airflow_provider_sixtyfour.emulator.routes.jobs import job_routes
from airflow_provider_sixtyfour.emulator.routes.oauth import oauth_routes
from airflow_provider_sixtyfour.emulator.routes.pages import RUN_PREFIX, add_pages
from airflow_provider_sixtyfour.emulator.routes.runs import run_routes
from airflow_provider_sixtyfour.emulator.routes.webhooks import webhook_routes
from airflow_provider_sixtyfour.emulator.routes.workflows import workflow_routes
from airflow_provider_sixtyfour.emulator.state import State
from airflow_provider_sixtyfour.emulator.store import signed_urls


class ByPath:
    """Sends a request to the application for its path, else to the API."""

    def __init__(self, api: ASGIApp, others: dict[str, ASGIApp], pages: ASGIApp) -> None:
        self._api = api
        self._others = others
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Choose by the beginning of the path; a browser that follows a run's link gets the page of the run."""
        path = scope["path"]
        app = next((app for prefix, app in self._others.items() if path.startswith(prefix)), self._api)
        if path == "/":
            app = self._pages
        elif scope["method"] == "GET" and (run := _LIVE_STATUS.fullmatch(path)) and _is_browser(scope):
            app = RedirectResponse(f"{RUN_PREFIX}{run[1]}", status_code=303)
        await app(scope, receive, send)


_LIVE_STATUS = re.compile(r"/workflows/runs/([0-9a-f-]{36})/live_status")


def _is_browser(scope: Scope) -> bool:
    """Return whether a person asks: for HTML, without a credential."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    return b"text/html" in headers.get(b"accept", b"") and not {b"x-api-key", b"authorization"} & set(headers)


class Late:
    """Answers everything later."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then continue."""
        if self._seconds:
            await asyncio.sleep(self._seconds)
        await self._app(scope, receive, send)


def api_application(state: State) -> ASGIApp:
    """Return what listens on the API's port."""
    api = _fastapi(older_errors=state.options.older_errors)
    api.include_router(run_routes(state))
    api.include_router(workflow_routes(state))
    api.include_router(job_routes(state))
    api.include_router(webhook_routes(state))
    api.include_router(oauth_routes(state))
    gated = Late(AccessControl(api, state.options, state.api_key, state.tokens, state.limit), state.options.latency)
    side = state.api_side
    recorded = Recorded(Faulty(gated, state.faults, side.connections, "api"), side.traffic, side.connections)
    private = _fastapi()
    add_control_routes(private, state)
    add_pages(private, state)
    local = LoopbackOnly(private)
    others: dict[str, ASGIApp] = {control.PREFIX: local, RUN_PREFIX: local}
    if state.storage_port is None:
        others[signed_urls.PREFIX] = storage_application(state)
    return KnownHosts(ByPath(recorded, others, local), state.options)


def storage_application(state: State) -> ASGIApp:
    """Return what serves result files."""
    side = state.storage_side
    faulty = Faulty(state.storage, state.faults, side.connections, "storage")
    return KnownHosts(Recorded(faulty, side.traffic, side.connections), state.options)


def _fastapi(*, older_errors: bool = False) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.exception_handler(errors.ApiError)
    async def refuse(request: Request, error: errors.ApiError) -> JSONResponse:
        return error.response(older=older_errors)

    return app
