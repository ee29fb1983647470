"""The line of numbers that ends the log of a task which has waited for a run, or landed its files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.results.progress import size
from airflow_provider_sixtyfour.tasks.batch_log import count, credits_of, duration, number, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sixtyfour.results.manifest import Manifest
    from airflow_provider_sixtyfour.runs.status import RunOutcome


def completed(ended: RunOutcome, context: Context, *, rows_in: int | None = None) -> str:
    """Return the line of a run that has completed: how long the task took, rows, credits, and the ids."""
    numbers = _numbers(ended.metrics, rows_in, None)
    return f"Completed{since_start(context)}{_listed(numbers)}. {ended.ids()}"


def landed(manifest: Manifest, context: Context, *, did: str, rows_in: int | None = None, folder: object) -> str:
    """
    Return the line of a run whose files have landed.

    :param did: what the task has done, such as "Completed".
    """
    numbers = _numbers(manifest.metrics, rows_in, manifest.total_rows)
    numbers += [count(len(manifest.files), "file"), size(manifest.total_bytes)]
    workflow = f", workflow {manifest.workflow_id}" if manifest.workflow_id else ""
    return f"{did}{since_start(context)}{_listed(numbers)}. Files: {shown(folder)}. Run {manifest.job_id}{workflow}."


def _numbers(metrics: Mapping[str, float], rows_in: int | None, rows_out: int | None) -> list[str]:
    # No page of the API names the members of its metrics: a run without these has no such number.
    values = [
        (metrics.get("rows_in") if rows_in is None else rows_in, "row", " in"),
        (metrics.get("rows_out") if rows_out is None else rows_out, "row", " out"),
        (credits_of(metrics), "credit", ""),
    ]
    return [
        f"{number(value)} {unit}{'' if value == 1 else 's'}{way}" for value, unit, way in values if value is not None
    ]


def _listed(numbers: list[str]) -> str:
    return f": {', '.join(numbers)}" if numbers else ""


def since_start(context: Context) -> str:
    """Return how long the task has taken, from the start of its first slice; nothing outside of a task instance."""
    start: Any = getattr(context.get("ti"), "start_date", None)
    return f" in {duration(max(0.0, time.time() - start.timestamp()))}" if start is not None else ""
