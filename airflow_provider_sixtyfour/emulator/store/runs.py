"""
A run, and what it is at any instant.

Invariant: a run's state is a function of the time and of what was decided about it (its plan when it was started, a
cancel, a status forced on it). Nothing has to happen for a run to advance, so that thousands of them cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_sixtyfour.emulator.engine.graph import Graph
from airflow_provider_sixtyfour.emulator.engine.inputs import Rows
from airflow_provider_sixtyfour.emulator.engine.prices import credits_of
from airflow_provider_sixtyfour.emulator.store.run_plans import ENDED, Plan

CANCELLED = frozenset({"cancelled", "canceled"})
_REASONS = {
    "failed": "block_failed",
    "timeout": "time_limit_exceeded",
    "timed_out": "time_limit_exceeded",
    "terminated": "terminated",
    **dict.fromkeys(CANCELLED, "cancelled_by_user"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A run at one instant. Times are seconds since the epoch."""

    status: str
    reason: str | None
    error: str | None
    started_at: float | None
    ended_at: float | None
    done: int  # blocks that have completed
    fraction: float  # of the block after those, 0 to 1
    halted: bool  # that block will not continue

    @property
    def ended(self) -> bool:
        """Whether this is the end."""
        return self.ended_at is not None


@dataclass(frozen=True, slots=True)
class Intervention:
    """A status that a cancel or a test forced on a run, from an instant on."""

    at: float
    status: str
    reason: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Run:
    """What was submitted, and what was decided about it."""

    number: int  # 1 for the first run of this emulator
    job_id: str
    workflow_id: str
    workflow_name: str
    graph: Graph  # as it was when the run was started, with the run's own specs
    rows: Rows
    formats: frozenset[str]
    body: bytes = field(repr=False)  # as it was sent
    idempotency_key: str | None
    queued_at: float
    plan: Plan
    queue_seconds: float
    run_seconds: float
    cents: int
    task_type: str | None = None  # of a job without a workflow
    intervention: Intervention | None = None

    @property
    def credits(self) -> float:
        """What it costs."""
        return credits_of(self.cents)

    @property
    def log(self) -> list[str]:
        """What of it is not as the service would do it."""
        return self.graph.notes()

    @property
    def starts_at(self) -> float:
        """When it leaves the queue."""
        return self.queued_at + self.queue_seconds

    @property
    def due_at(self) -> float:
        """When it ends if nobody intervenes."""
        return self.starts_at + self.run_seconds

    def is_hidden(self, now: float) -> bool:
        """Whether the API doesn't know it yet."""
        return now < self.queued_at + self.plan.hide_for_seconds

    def shows_file(self, block_number: int, now: float) -> bool:
        """Whether the file of a block that is done has a link by now."""
        late = max(self.plan.links_after_seconds, self.plan.late_files.get(block_number, 0))
        ended_at = self.at(now).ended_at
        return not late or (ended_at is not None and now >= ended_at + late)

    def at(self, now: float) -> Moment:
        """Return the run's state at an instant."""
        forced = self.intervention
        if forced is not None and forced.at <= now:
            return self._forced(forced, now)
        if now < self.starts_at:
            return Moment("queued", None, None, None, None, 0, 0.0, False)
        if now < self.due_at:
            return self._going("running", now)
        return self._planned_end(now)

    def _going(self, status: str, now: float) -> Moment:
        done, fraction = self._progress(now)
        return Moment(status, None, None, self.starts_at, None, done, fraction, False)

    def _planned_end(self, now: float) -> Moment:
        plan = self.plan
        if not plan.is_end:
            return self._going(plan.status, now)
        if plan.status.lower() == "completed":
            return self._completed(self.due_at, plan.status)
        done, fraction = self._progress(self.due_at)
        error = plan.error_message or (self._failure() if plan.status.lower() == "failed" else None)
        return Moment(
            plan.status, _REASONS.get(plan.status.lower()), error, self.starts_at, self.due_at, done, fraction, True
        )

    def _forced(self, forced: Intervention, now: float) -> Moment:
        if forced.status.lower() not in ENDED:
            moment = self._going(forced.status, now)
            return moment if now >= self.starts_at else Moment(forced.status, None, None, None, None, 0, 0.0, False)
        if forced.status.lower() == "completed":
            return self._completed(forced.at, forced.status)
        started = self.starts_at if forced.at >= self.starts_at else None
        done, fraction = self._progress(forced.at)
        reason = forced.reason or _REASONS[forced.status.lower()]
        return Moment(forced.status, reason, forced.error, started, forced.at, done, fraction, True)

    def _completed(self, at: float, status: str) -> Moment:
        started = min(self.starts_at, at)
        return Moment(status, None, None, started, at, len(self.graph.order), 0.0, False)

    def _progress(self, now: float) -> tuple[int, float]:
        """Return how many blocks are done, and how much of the next; the last is never quite done here."""
        last = self._last_block()
        if self.run_seconds <= 0:
            return last, 0.5
        # A block that is to fail gets half of its time, so that the run ends when it should all the same.
        span = last + (0.5 if self.plan.is_end and self.plan.status.lower() != "completed" else 1.0)
        position = max(0.0, (now - self.starts_at) / self.run_seconds) * span
        done = min(int(position), last)
        return done, min(position - done, 0.99)

    def _last_block(self) -> int:
        """Return the index of the block in which the run ends."""
        order = self.graph.order
        for index, block in enumerate(order):
            if block.sequence_number == self.plan.fail_block:
                return index
        return len(order) - 1

    def _failure(self) -> str:
        block = self.graph.order[self._last_block()]
        return f"Block {block.sequence_number} ({block.block_name}) failed: the emulator was set to fail this run"
