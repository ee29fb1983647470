"""
How the API shows a run: its live status, and its row in the list.

Invariant: both views of a run are made of the same :class:`~.runs.Moment`, so they never contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_provider_sixtyfour.emulator.engine.graph import Block
from airflow_provider_sixtyfour.emulator.engine.pipeline import Count
from airflow_provider_sixtyfour.emulator.store.runs import CANCELLED, Moment, Run


def timestamp(at: float | None) -> str | None:
    """Return an instant as the API writes it."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def live_status(run: Run, counts: Sequence[Count], now: float) -> dict[str, Any]:
    """Return the body of ``GET /workflows/runs/{run_id}/live_status``."""
    moment = run.at(now)
    order = run.graph.order
    is_running = moment.started_at is not None and not moment.ended
    current = order[min(moment.done, len(order) - 1)] if is_running else None
    share = (moment.done + moment.fraction) / len(order)
    seen = timestamp(moment.ended_at or now)
    return {
        "run_id": run.job_id,
        "workflow_id": run.workflow_id,
        "overall_status": moment.status,
        "current_block": current.block_name if current else None,
        "current_block_sequence": current.sequence_number if current else None,
        "total_blocks": len(order),
        "completed_blocks": moment.done,
        "started_at": timestamp(moment.started_at),
        "completed_at": timestamp(moment.ended_at),
        "last_updated": seen,
        "blocks": [_block(run, moment, index, block, counts[index], seen) for index, block in enumerate(order)],
        "overall_progress_percentage": round(100 * share, 2),
        "estimation_blocked_by": None,
    }


def _block(run: Run, moment: Moment, index: int, block: Block, count: Count, seen: str | None) -> dict[str, Any]:
    status, fraction, error = _block_state(moment, index)
    processed = count.rows_in if status == "completed" else int(count.rows_in * fraction)
    begun = status != "pending"
    made = count.rows_out if status == "completed" else min(processed, count.rows_out)
    return {
        "block_id": block.block_id,
        "block_name": block.block_name,
        "sequence_number": block.sequence_number,
        "previous_block_ids": list(run.graph.previous[block.block_id]),
        "status": status,
        "started_at": timestamp(_reached(run, moment, index)) if begun else None,
        "completed_at": timestamp(_reached(run, moment, index + 1)) if status == "completed" else None,
        "progress_percentage": round(100 * fraction, 2),
        "current_step": f"{processed} of {count.rows_in} rows" if status == "running" else None,
        "processed_count": processed,
        "total_count": count.rows_in if begun else 0,
        "estimated_total_count": None if begun else count.rows_in,
        "last_updated": seen,
        "error_message": error,
        "metrics": {
            "row_count": made,
            "dataframe_type": run.graph.row_types[block.block_id] or "LEAD",
            "processed_count": processed,
            "total_count": count.rows_in,
        },
    }


def _block_state(moment: Moment, index: int) -> tuple[str, float, str | None]:
    if index < moment.done:
        return "completed", 1.0, None
    if index > moment.done or moment.started_at is None:
        return "pending", 0.0, None
    if not moment.halted:
        return "running", moment.fraction, None
    if moment.status.lower() in CANCELLED:
        return "failed", moment.fraction, moment.error or "The run was cancelled"
    if moment.status.lower() in {"timeout", "timed_out"}:
        return "failed", moment.fraction, moment.error or "The run took longer than it may"
    return "failed", moment.fraction, moment.error


def _reached(run: Run, moment: Moment, index: int) -> float:
    """Return about when a run came to a block; exactly, where all blocks took their equal share."""
    start = moment.started_at or run.starts_at
    at = start + run.run_seconds * index / len(run.graph.order)
    return min(at, moment.ended_at) if moment.ended_at is not None else at


def row(run: Run, counts: Sequence[Count], now: float) -> dict[str, Any]:
    """Return a run's row of ``GET /workflows/runs``."""
    moment = run.at(now)
    start, end = moment.started_at, moment.ended_at
    made = counts[moment.done - 1].rows_out if moment.done else 0
    return {
        "job_id": run.job_id,
        "workflow_id": run.workflow_id,
        "workflow_name": run.workflow_name,
        "status": moment.status,
        "step": "completed" if moment.ended else "running",
        "user_id": None,
        "created_at": timestamp(run.queued_at),
        "updated_at": timestamp(end or now),
        "queued_at": timestamp(run.queued_at),
        "started_at": timestamp(start),
        "completed_at": timestamp(end),
        "duration_ms": round((end - start) * 1000) if start is not None and end is not None else None,
        "status_reason": moment.reason,
        "error_message": moment.error,
        "metrics": {
            "rows_in": run.rows.count,
            "rows_out": made,
            "cost_cents": run.cents,
            "credits_used": run.credits,
        },
        "blocks": None,
        "blocks_count": len(run.graph.order),
    }
