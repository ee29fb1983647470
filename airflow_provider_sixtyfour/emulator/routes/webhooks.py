"""
The calls on the secret that signs outgoing webhooks.

Invariant: a route only translates: between HTTP and the state, which decides everything.
"""

from __future__ import annotations

import time

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from airflow_provider_sixtyfour.emulator.schemas import StrictRoute
from airflow_provider_sixtyfour.emulator.state import State

_PATH = "/webhooks/signing-secret"


class RollBody(BaseModel):
    """``POST /webhooks/signing-secret/roll``."""

    expire_overlap_hours: float = Field(default=24, ge=0, le=72)


def webhook_routes(state: State) -> APIRouter:
    """Return the routes of one emulator."""
    router = APIRouter(route_class=StrictRoute)

    @router.get(_PATH)
    async def show() -> JSONResponse:
        return JSONResponse(state.signing.describe())

    @router.post(_PATH)
    async def create() -> JSONResponse:
        return JSONResponse(state.signing.create(time.time()))

    @router.post(f"{_PATH}/roll")
    async def roll(body: RollBody | None = None) -> JSONResponse:
        return JSONResponse(state.signing.roll((body or RollBody()).expire_overlap_hours, time.time()))

    @router.delete(_PATH)
    async def revoke() -> JSONResponse:
        return JSONResponse(state.signing.revoke(time.time()))

    return router
