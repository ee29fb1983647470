"""
The JSON bodies that the API reads, as FastAPI validates them.

Invariant: what passes has the types of the vendor's OpenAPI text; whether it makes sense is judged elsewhere.
Unknown members are ignored, as the vendor's own models do.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from airflow_provider_sixtyfour.emulator.strict_json import parse


class BlockBody(BaseModel):
    """One step of a workflow."""

    sequence_number: int
    block_type: str
    block_name: str
    specs: dict[str, Any]
    block_id: str | None = None


class EdgeBody(BaseModel):
    """A connection of two blocks."""

    from_block_id: str
    to_block_id: str
    condition: str | None = None


class GraphBody(BaseModel):
    """A workflow definition."""

    blocks: list[BlockBody]
    edges: list[EdgeBody]


class CreateBody(BaseModel):
    """``POST /workflows/create_workflow``."""

    workflow_name: str
    workflow_description: str
    workflow_definition: GraphBody
    id: str | None = None


class UpdateBody(BaseModel):
    """``POST /workflows/update_workflow``: what is left out stays as it is."""

    workflow_name: str | None = None
    workflow_description: str | None = None
    workflow_definition: GraphBody | None = None


class RunBody(BaseModel):
    """``POST /workflows/run``."""

    specs_override: dict[str, Any] | None = None
    webhook_payload: list[dict[str, Any]] | dict[str, Any] | None = None


class StrictRequest(Request):
    """A request whose body is strict JSON."""

    async def json(self) -> Any:
        """Return the parsed body; FastAPI answers a JSONDecodeError with a 422, a UnicodeDecodeError with a 400."""
        return parse((await self.body()).decode("utf-8-sig"))


class StrictRoute(APIRoute):
    """A route that reads its body as a :class:`StrictRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler behind the stricter request."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict
