"""
The workflows that are stored.

Invariant: what is stored has a valid graph, or none was stored; a deleted workflow is gone for every call, while
its runs continue and stay known.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.engine.graph import Graph, accept
from airflow_provider_sixtyfour.emulator.schemas import CreateBody, UpdateBody
from airflow_provider_sixtyfour.emulator.store.run_views import timestamp


@dataclass(slots=True)
class Workflow:
    """A stored workflow. Times are seconds since the epoch."""

    workflow_id: str
    name: str
    description: str
    graph: Graph
    created_at: float
    updated_at: float
    last_run_at: float | None = None

    def document(self, *, with_graph: bool, status: str = "active") -> dict[str, Any]:
        """Return the workflow as the API shows it."""
        step = "completed" if self.last_run_at else "draft"
        shown: dict[str, Any] = {
            "id": self.workflow_id,
            "user_uuid": None,
            "org_id": "emulator",
            "name": self.name,
            "description": self.description,
            "status": status,
            "step": "deleted" if status == "deleted" else step,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "last_run_date": timestamp(self.last_run_at),
        }
        if with_graph:
            shown["workflow_definition"] = self.graph.document()
        return shown


class Workflows:
    """All workflows of the one organization that an emulator has."""

    def __init__(self, *, fill_defaults: bool = False) -> None:
        self._fill_defaults = fill_defaults
        self._stored: dict[str, Workflow] = {}

    def all(self) -> list[Workflow]:
        """Return them, oldest first."""
        return list(self._stored.values())

    def get(self, workflow_id: str) -> Workflow:
        """Return one, or raise the 404."""
        workflow = self._stored.get(_canonical(workflow_id))
        if workflow is None:
            raise errors.detailed(404, f"Workflow {workflow_id} not found")
        return workflow

    def create(self, body: CreateBody, now: float) -> Workflow:
        """Store a new one, or raise 400, 409 or 422."""
        workflow_id = _checked_id(["body", "id"], body.id) if body.id else str(uuid.uuid4())
        if workflow_id in self._stored:
            message = (
                f"Workflow with ID {workflow_id} already exists. Use update endpoint to modify existing workflows."
            )
            raise errors.titled(409, "Conflict", message)
        graph = accept(body.workflow_definition, fill_defaults=self._fill_defaults)
        workflow = Workflow(workflow_id, body.workflow_name, body.workflow_description, graph, now, now)
        self._stored[workflow_id] = workflow
        return workflow

    def load(self, document: Mapping[str, Any], now: float) -> Workflow:
        """Store a workflow of a file, in the place of one that has its id; raise a `ValueError` that says why not."""
        try:
            body = CreateBody.model_validate({"workflow_description": "", **document})
            if body.id:
                return self.update(body.id, UpdateBody.model_validate(body.model_dump()), now)
            return self.create(body, now)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
        except errors.ApiError as error:
            raise ValueError(str(error)) from error

    def update(self, workflow_id: str, body: UpdateBody, now: float) -> Workflow:
        """Change one, or store it where there is none; raise 400 or 422."""
        workflow_id = _canonical(workflow_id)
        old = self._stored.get(workflow_id)
        definition = body.workflow_definition
        graph = accept(definition, fill_defaults=self._fill_defaults) if definition is not None else None
        if old is None:
            _checked_id(["query", "workflow_id"], workflow_id)
            if graph is None:
                message = f"There is no workflow {workflow_id}, and no workflow_definition to create it from"
                raise errors.coded(400, "invalid_workflow", message)
            name = body.workflow_name or "Untitled Workflow"
            workflow = Workflow(workflow_id, name, body.workflow_description or "", graph, now, now)
            self._stored[workflow_id] = workflow
            return workflow
        if body.workflow_name is not None:
            old.name = body.workflow_name
        if body.workflow_description is not None:
            old.description = body.workflow_description
        if graph is not None:
            old.graph = graph
        old.updated_at = now
        return old

    def delete(self, workflow_id: str, now: float) -> Workflow:
        """Remove one and return what it was, or raise the 404."""
        workflow = self.get(workflow_id)
        del self._stored[workflow.workflow_id]
        workflow.updated_at = now
        return workflow


def _canonical(workflow_id: str) -> str:
    """Return a UUID as it is usually written, and anything else as it is."""
    try:
        return str(uuid.UUID(workflow_id))
    except ValueError:
        return workflow_id


def _checked_id(location: list[str | int], workflow_id: str) -> str:
    """Refuse an ID that ``GET /workflows/{workflow_id}`` could never find: it takes UUIDs only."""
    try:
        return str(uuid.UUID(workflow_id))
    except ValueError:
        raise errors.invalid(location, "Input should be a valid UUID", "uuid_parsing") from None
