"""
The calls on workflows and blocks, and the upload of input files.

Invariant: a route only translates: between HTTP and the state, which decides everything.
"""

from __future__ import annotations

import time
import uuid
from typing import Annotated

from fastapi import APIRouter, File, UploadFile
from fastapi.responses import JSONResponse

from airflow_provider_sixtyfour.emulator.engine import blocks
from airflow_provider_sixtyfour.emulator.schemas import CreateBody, StrictRoute, UpdateBody
from airflow_provider_sixtyfour.emulator.state import State


def workflow_routes(state: State) -> APIRouter:
    """Return the routes of one emulator."""
    router = APIRouter(route_class=StrictRoute)

    @router.get("/workflows")
    async def list_workflows() -> JSONResponse:
        return JSONResponse([workflow.document(with_graph=False) for workflow in state.workflows.all()])

    @router.get("/workflows/blocks")
    async def list_blocks() -> JSONResponse:
        return JSONResponse([{"block_name": name, "specs_schema": kind.schema} for name, kind in blocks.KINDS.items()])

    @router.get("/workflows/{workflow_id}")
    async def get_workflow(workflow_id: uuid.UUID) -> JSONResponse:
        return JSONResponse(state.workflows.get(str(workflow_id)).document(with_graph=True))

    @router.post("/workflows/create_workflow")
    async def create_workflow(body: CreateBody) -> JSONResponse:
        return JSONResponse(state.workflows.create(body, time.time()).document(with_graph=True))

    @router.post("/workflows/update_workflow")
    async def update_workflow(workflow_id: str, body: UpdateBody) -> JSONResponse:
        return JSONResponse(state.workflows.update(workflow_id, body, time.time()).document(with_graph=True))

    @router.post("/workflows/delete_workflow")
    async def delete_workflow(workflow_id: str) -> JSONResponse:
        workflow = state.workflows.delete(workflow_id, time.time())
        return JSONResponse(workflow.document(with_graph=False, status="deleted"))

    @router.post("/storage/csv/upload")
    async def upload(file: Annotated[UploadFile, File()]) -> JSONResponse:
        return JSONResponse({"handle_id": await state.uploads.store(file.filename or "", file.file)})

    return router
