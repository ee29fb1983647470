"""
All runs, and what they cost.

Invariant: an idempotency key starts one run and no more, whatever comes with it later; a run that is refused costs
nothing; runs are kept in the order in which they were queued, and no two were queued at the same instant.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.config import Options
from airflow_provider_sixtyfour.emulator.engine import pipeline, search_rows
from airflow_provider_sixtyfour.emulator.engine.graph import Graph, checked_specs
from airflow_provider_sixtyfour.emulator.engine.inputs import Rows, SentRows
from airflow_provider_sixtyfour.emulator.engine.prices import CENTS_PER_CREDIT, credits_of
from airflow_provider_sixtyfour.emulator.schemas import RunBody
from airflow_provider_sixtyfour.emulator.store.run_plans import Plan, Plans
from airflow_provider_sixtyfour.emulator.store.runs import CANCELLED, Intervention, Run
from airflow_provider_sixtyfour.emulator.store.uploads import Uploads
from airflow_provider_sixtyfour.emulator.store.workflows import Workflow

_PLENTY = 1_000_000.0  # credits
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submission:
    """A valid request for a run."""

    workflow: Workflow
    request: RunBody
    raw: bytes
    formats: frozenset[str]
    idempotency_key: str | None
    row_cents: tuple[int, int] | None = None  # of a bulk job: the price that is estimated, and what may come on top
    task_type: str | None = None  # of a bulk job


class RunStore:
    """The runs of an emulator."""

    def __init__(self, options: Options, uploads: Uploads, plans: Plans) -> None:
        self._options = options
        self._uploads = uploads
        self._plans = plans
        self._runs: dict[str, Run] = {}
        self._by_key: dict[str, Run] = {}
        self.cents_used = 0

    def __iter__(self) -> Iterator[Run]:
        """Give all runs, oldest first."""
        return iter(list(self._runs.values()))

    def replayed(self, idempotency_key: str | None) -> Run | None:
        """Return the run that this key has started."""
        return self._by_key.get(idempotency_key) if idempotency_key else None

    def find(self, job_id: str) -> Run | None:
        """Return a run, if there is one."""
        return self._runs.get(job_id)

    def get(self, job_id: str) -> Run:
        """Return a run, or raise the 404."""
        run = self._runs.get(job_id)
        if run is None:
            raise errors.detailed(404, f"Workflow run {job_id} not found")
        return run

    def start(self, submission: Submission, now: float) -> Run:
        """Start a run, or raise 400, 402 or 404."""
        workflow = submission.workflow
        graph, rows = self._input(workflow.graph, submission.request)
        at_once, later = submission.row_cents or (pipeline.row_cents(graph.order), 0)
        self._charge(rows.count * at_once, rows.count * later)
        number = len(self._runs) + 1
        plan = self._plans.take(workflow.workflow_id) or self._usual_plan(number)
        options = self._options
        last = next(reversed(self._runs.values()), None)
        run = Run(
            number=number,
            job_id=str(uuid.uuid4()),
            workflow_id=workflow.workflow_id,
            workflow_name=workflow.name,
            graph=graph,
            rows=rows,
            formats=submission.formats,
            body=submission.raw,
            idempotency_key=submission.idempotency_key,
            queued_at=max(now, last.queued_at + 1e-6) if last else now,
            plan=plan,
            queue_seconds=options.queue_seconds if plan.queue_seconds is None else plan.queue_seconds,
            run_seconds=options.run_seconds if plan.seconds is None else plan.seconds,
            cents=rows.count * (at_once + later),
            task_type=submission.task_type,
        )
        self._runs[run.job_id] = run
        if run.idempotency_key:
            self._by_key[run.idempotency_key] = run
        workflow.last_run_at = run.queued_at
        for note in run.log:
            _log.warning("Run %s: %s", run.job_id, note)
        return run

    @property
    def credits_used(self) -> float:
        """What all runs have cost."""
        return credits_of(self.cents_used)

    @property
    def credits_left(self) -> float:
        """The balance; a large one where there is no limit."""
        limit = _PLENTY if self._options.credits is None else self._options.credits
        return max(0.0, limit - self.credits_used)

    def _charge(self, cents: int, later: int) -> None:
        """Take the price of a run, or raise the 402 and take nothing; what comes later needs no balance."""
        limit = self._options.credits
        if limit is not None and (self.cents_used + cents > limit * CENTS_PER_CREDIT or not self.credits_left):
            cost, left = credits_of(cents), self.credits_left
            message = f"Insufficient API credits: the run costs {cost:g}, {left:g} are left. Nothing was charged"
            raise errors.coded(402, "insufficient_credits", message)
        self.cents_used += cents + later

    def cancel(self, job_id: str, now: float) -> None:
        """Cancel a run, or raise 400 or 404. A cancel that takes time may come too late."""
        run = self.get(job_id)
        moment = run.at(now)
        if moment.ended:
            raise errors.detailed(400, f"Workflow run {job_id} can't be cancelled: it is {moment.status}")
        at = now + run.plan.cancel_seconds
        if not run.at(at).ended:
            run.intervention = Intervention(at, "cancelled")

    def recent(self, status: str | None, workflow_id: str | None, limit: int, now: float) -> list[Run]:
        """Return the runs that the list shows, newest first."""
        wanted = {"active": {"queued", "running"}, "cancelled": CANCELLED}.get(status or "", {status})
        found: list[Run] = []
        for run in reversed(self._runs.values()):
            if len(found) == limit:
                break
            if workflow_id is not None and run.workflow_id != workflow_id:
                continue
            if run.is_hidden(now) or (status is not None and run.at(now).status not in wanted):
                continue
            found.append(run)
        return found

    def _usual_plan(self, number: int) -> Plan:
        """Spread the runs that fail evenly: of 4 runs at a rate of 0.5 the second and the fourth."""
        rate = self._options.fail_rate
        fails = int(number * rate) > int((number - 1) * rate)
        return Plan(status="failed") if fails else _COMPLETES

    def _input(self, graph: Graph, request: RunBody) -> tuple[Graph, Rows]:
        source = graph.source
        override: Mapping[str, Any] = request.specs_override or {}
        specs = checked_specs(source.sequence_number, source.block_name, {**source.specs, **override})
        if override:
            graph = graph.with_source_specs(specs)
        if source.kind.source == "webhook":
            return graph, _sent_rows(graph.source.specs, request)
        if request.webhook_payload is not None:
            raise errors.detailed(400, f"This workflow starts with {source.block_name}: it takes no webhook_payload")
        if source.kind.source == "invented":
            return graph, search_rows.found(graph.source.settings, graph.row_types[source.block_id])
        handle = override.get("resource_handle_id")
        if not handle:
            raise errors.detailed(
                400, "This workflow starts with read_csv: specs_override.resource_handle_id must name an upload"
            )
        return graph, self._uploads.rows(handle)


_COMPLETES = Plan()


def _sent_rows(specs: Mapping[str, Any], request: RunBody) -> SentRows:
    payload: Any = request.webhook_payload
    if payload is None:
        payload = _sample(specs.get("webhook_input"))
    if payload is None:
        raise errors.detailed(400, "This workflow starts with webhook: it needs a webhook_payload")
    rows = [payload] if isinstance(payload, dict) else payload
    if not rows:
        raise errors.detailed(400, "webhook_payload has no rows")
    required = _required(specs.get("input_schema") or {})
    missing = [name for name in required if any(name not in row for row in rows)]
    if missing:
        raise errors.detailed(400, f"webhook_payload is missing required columns: {', '.join(missing)}")
    return SentRows(rows)


def _sample(text: str | None) -> Any:
    """Return the rows that a webhook block has for a run without any; None where they are no rows."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    rows = [found] if isinstance(found, dict) else found
    return rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None


def _required(input_schema: Mapping[str, Any]) -> list[str]:
    """Return the columns that each row must have: those that don't say otherwise."""
    return [
        name
        for name, rule in input_schema.items()
        if not isinstance(rule, dict) or (rule.get("required", True) is not False and "default" not in rule)
    ]
