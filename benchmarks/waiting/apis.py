"""
The two APIs that are polled, and the true outcomes of their runs.

Invariant: what an API returns about a run follows from the schedule and the time alone.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_sixtyfour.emulator.app import Late, api_application
from airflow_provider_sixtyfour.emulator.config import Options
from airflow_provider_sixtyfour.emulator.schemas import CreateBody, RunBody
from airflow_provider_sixtyfour.emulator.state import State
from airflow_provider_sixtyfour.emulator.store.run_store import Submission
from airflow_provider_sixtyfour.emulator.store.runs import Intervention
from benchmarks.waiting.schedule import ScheduledRun

_ROWS = [{"name": f"Lead {number}", "company": f"Company {number}"} for number in range(25)]
_WORKFLOW = {
    "workflow_name": "Waited for",
    "workflow_description": "",
    "workflow_definition": {
        "blocks": [
            {"block_id": "source", "sequence_number": 1, "block_type": "io", "block_name": "webhook", "specs": {}},
            {
                "block_id": "enrich",
                "sequence_number": 2,
                "block_type": "ai",
                "block_name": "enrich_person",
                "specs": {},
            },
            {"block_id": "find", "sequence_number": 3, "block_type": "ai", "block_name": "find_email", "specs": {}},
        ],
        "edges": [
            {"from_block_id": "source", "to_block_id": "enrich"},
            {"from_block_id": "enrich", "to_block_id": "find"},
        ],
    },
}


class Api(ABC):
    """An API that has runs."""

    app: ASGIApp

    @abstractmethod
    def begin(self, runs: list[ScheduledRun]) -> list[dict[str, Any]]:
        """Start these runs; return of each its ``id``, and the true ``ends_at``, ``status`` and ``message``."""


class Sixtyfour(Api):
    """The emulator of this project, with its limit of 500 requests a minute, and runs put directly into its store."""

    def __init__(self, folder: Path, api_key: str, latency: float) -> None:
        options = Options(api_key=api_key, latency=latency, queue_seconds=0.0)
        self._state = State.fresh(options, folder, None)
        self._workflow = self._state.workflows.create(CreateBody.model_validate(_WORKFLOW), time.time())
        self.app = api_application(self._state)

    def begin(self, runs: list[ScheduledRun]) -> list[dict[str, Any]]:
        """Start them as if they had been submitted a while ago."""
        submission = Submission(self._workflow, RunBody(webhook_payload=_ROWS), b"", frozenset({"csv"}), None)
        now = time.time()
        made = [(run, self._state.ledger.start(submission, now - run.queued)) for run in runs]
        now = time.time()  # making thousands takes a while
        truth = []
        for scheduled, run in made:
            at = now + scheduled.ends
            run.run_seconds = now + scheduled.expected - run.starts_at
            message = f"no credits at the source for run {scheduled.number}" if scheduled.fails else None
            status = "failed" if scheduled.fails else "completed"
            run.intervention = Intervention(at, status, "block_failed" if scheduled.fails else None, message)
            truth.append({"id": run.job_id, "ends_at": at, "status": status, "message": message})
        return truth


class DbtCloud(Api):
    """
    What dbt Cloud's trigger asks of dbt Cloud.

    The answer has the members that the trigger reads and a few more, less than the service's; and there is no limit.
    """

    def __init__(self, latency: float) -> None:
        self._ends: dict[int, tuple[float, bool]] = {}
        self.app = Late(self._answer, latency)

    def begin(self, runs: list[ScheduledRun]) -> list[dict[str, Any]]:
        """Start them."""
        now, first = time.time(), len(self._ends) + 1
        self._ends |= {first + run.number: (now + run.ends, run.fails) for run in runs}
        return [
            {
                "id": first + run.number,
                "ends_at": now + run.ends,
                "status": "failed" if run.fails else "completed",
                "message": None,
            }
            for run in runs
        ]

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = re.fullmatch(r"/api/v2/accounts/1/runs/(\d+)/", scope["path"])
        if not asked or int(asked[1]) not in self._ends:
            await JSONResponse({"status": {"code": 404, "is_success": False}}, 404)(scope, receive, send)
            return
        ends_at, fails = self._ends[int(asked[1])]
        ended = ends_at <= time.time()
        run = {
            "id": int(asked[1]),
            "account_id": 1,
            "status": (20 if fails else 10) if ended else 3,
            "status_message": None,
            "is_complete": ended,
            "is_success": ended and not fails,
            "is_error": ended and fails,
            "is_cancelled": False,
        }
        await JSONResponse({"status": {"code": 200, "is_success": True}, "data": run})(scope, receive, send)
