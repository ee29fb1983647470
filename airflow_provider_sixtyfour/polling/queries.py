"""The two requests of a poller: the status of one run, or a list of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind


@dataclass(frozen=True, slots=True)
class StatusQuery:
    """How one run is doing, or a job of another kind."""

    job_id: str
    kind: JobKind = WORKFLOW_RUN

    def call(self) -> calls.Call[Any]:
        """Return the call to the API."""
        return self.kind.status(self.job_id)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """
    A list of runs, the newest first, at most `calls.MAX_LISTED_RUNS`.

    :param status: of any status, or of this one only.
    :param workflow_id: of any workflow, or of this one only.
    """

    status: str | None = None
    workflow_id: str | None = None

    def call(self) -> calls.Call[Any]:
        """Return the call to the API."""
        return calls.list_runs(status=self.status, workflow_id=self.workflow_id, limit=calls.MAX_LISTED_RUNS)


Query = StatusQuery | ListQuery
