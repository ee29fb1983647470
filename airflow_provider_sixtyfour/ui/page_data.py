"""
What the page shows of a Dag run, made of task instances and XComs as plain JSON.

Invariant: whatever an XCom holds, the page gets values of the types that it expects, and of bounded size: whoever
writes a Dag can write any XCom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.formats.names import storable
from airflow_provider_sixtyfour.formats.quality import read_quality
from airflow_provider_sixtyfour.tasks.batch_log import credits_of

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.ui.airflow_side import RunRow, TaskRow

MOST_RUNS = 2000  # task instances
MOST_FILES = 500
MOST_COLUMNS = 200
MOST_BLOCKS = 50
LONGEST = 2000  # characters of a text

# Tasks of these are shown before they have started a run.
OPERATORS = (
    "SixtyfourRunWorkflowOperator",
    "SixtyfourEnrichOperator",
    "SixtyfourBulkEnrichOperator",
    "SixtyfourPilotOperator",
    "SixtyfourDecoratedEnrichOperator",
    "SixtyfourDecoratedRunOperator",
)
# Of a task with a run; who has one of the first three is shown, whatever its operator is called.
JOB_ID, LINK, PROGRESS, RESULT, ERROR = (
    "job_id",
    "sixtyfour_run_link",
    "sixtyfour_progress",
    "return_value",
    "sixtyfour_error",
)
OF_RUNS = (JOB_ID, LINK, PROGRESS, ERROR)
BUDGET = "budget"
# Operators whose return value is about the whole, by the name that the page knows it by.
OF_THE_WHOLE = {
    "SixtyfourCollectBatchesOperator": "collect",
    "SixtyfourEstimateCostOperator": "estimate",
    "SixtyfourApprovalOperator": "approval",
}
RESTING = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})

XComs = Mapping[tuple[str, int], Mapping[str, Any]]


def page(
    run: RunRow, tasks: Sequence[TaskRow], xcoms: XComs, whole: Mapping[str, Iterable[Any]], now: datetime
) -> dict[str, Any]:
    """
    Return what the page shows of a Dag run.

    :param tasks: the task instances that have a run, or may get one.
    :param xcoms: of each, by task and map index, and then by key.
    :param whole: the return values of the tasks that are about the whole, by the names of `OF_THE_WHOLE`; and each
        `BUDGET`.
    """
    return {
        "state": str(run.state),
        "started_at": _time(run.started_at),
        "ended_at": _time(run.ended_at),
        "now": _time(now),
        "runs": [_run(task, xcoms.get((task.task_id, task.map_index), {})) for task in tasks[:MOST_RUNS]],
        "left_out": max(0, len(tasks) - MOST_RUNS),
        "estimate": _first(whole.get("estimate"), _estimate),
        "budget": _first(whole.get(BUDGET), _budget),
        "approval": _first(whole.get("approval"), _approval),
        "collect": _first(whole.get("collect"), _collect),
    }


def details(xcoms: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of one run when its row is opened: blocks, files, quality."""
    progress, result = _mapping(xcoms.get(PROGRESS)), _mapping(xcoms.get(RESULT))
    return {
        "blocks": [_block(each) for each in _list(progress.get("blocks"))[:MOST_BLOCKS] if isinstance(each, Mapping)],
        "files": _files(result.get("files")),
        "quality": _quality(result.get("quality")),
        "manifest": _text(result.get("manifest")),
        "error": _text(xcoms.get(ERROR)),
    }


def _run(task: TaskRow, xcoms: Mapping[str, Any]) -> dict[str, Any]:
    progress, result = _mapping(xcoms.get(PROGRESS)), _mapping(xcoms.get(RESULT))
    metrics = _mapping(result.get("metrics"))
    return {
        "task_id": task.task_id,
        "map_index": task.map_index,
        "label": _text(task.label),
        "state": task.state and str(task.state),
        "try_number": task.try_number,
        "started_at": _time(task.started_at),
        "ended_at": _time(task.ended_at),
        "job_id": _text(xcoms.get(JOB_ID)) or _text(result.get("job_id")),
        "link": _link(xcoms.get(LINK)),
        "status": _text(progress.get("status")),
        "percent": _percent(progress.get("percent")),
        "block": _text(progress.get("block")),
        "processed": _number(progress.get("processed")),
        "total": _number(progress.get("total")),
        "rows_in": _number(metrics.get("rows_in")),
        "rows_out": _number(result.get("rows")),
        "bytes": _number(result.get("bytes")),
        "credits": _number(_credits(metrics)),
        "files": len(_list(result.get("files"))),
        "error": _text(xcoms.get(ERROR)) if task.state != "success" else None,
    }


def _credits(metrics: Mapping[str, Any]) -> Any:
    return credits_of({str(name): value for name, value in metrics.items() if isinstance(value, int | float)})


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "number": _number(block.get("number")),
        "name": _text(block.get("name")),
        "status": _text(block.get("status")),
        "processed": _number(block.get("processed")),
        "total": _number(block.get("total")),
        "error": _text(block.get("error")),
    }


def _estimate(value: Mapping[str, Any]) -> dict[str, Any]:
    cost = _mapping(value.get("cost"))
    return {
        "rows": _number(value.get("rows")),
        "rows_done": _number(value.get("rows_done")),
        "metric": _text(value.get("metric")),
        "cost": _number(cost.get("median")),
        "spent": _number(value.get("spent")),
        "lowest": _number(cost.get("lowest")),
        "highest": _number(cost.get("highest")),
        "runs": _number(value.get("runs")),
        "balance": _number(value.get("balance")),
        "pilot": _rates(value.get("pilot")),
    }


def _rates(pilot: Any) -> dict[str, Any] | None:
    if not isinstance(pilot, Mapping):
        return None
    rates = list(_mapping(pilot.get("fill_rates")).items())[:MOST_COLUMNS]
    return {
        "rows": _number(pilot.get("rows")),
        "fill_rates": [{"name": storable(str(name)[:LONGEST]), "share": _number(rate)} for name, rate in rates],
    }


def _budget(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "limit": _number(value.get("limit")),
        "limited_by": _text(value.get("limited_by")),
        "spent": _number(value.get("spent")),
        "metric": _text(value.get("metric")),
        "batches_left_out": _number(value.get("batches_left_out")),
        "rows_left_out": _number(value.get("rows_left_out")),
    }


def _approval(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "approved": value.get("approved") is True,
        "asked": value.get("asked") is True,
        "by": _text(value.get("by")),
        "at": _text(value.get("at")),
        "rows": _number(value.get("rows")),
        "cost": _number(value.get("cost")),
        "metric": _text(value.get("metric")),
    }


def _collect(value: Mapping[str, Any]) -> dict[str, Any]:
    merged = value.get("merged")
    return {
        "batches": _number(value.get("batches")),
        "rows_sent": _number(value.get("rows_sent")),
        "rows": _number(value.get("rows")),
        "bytes": _number(value.get("bytes")),
        "credits": _number(_credits(_mapping(value.get("metrics")))),
        "quality": _quality(value.get("quality")),
        "files": _files([merged] if isinstance(merged, Mapping) else None),
        "manifest": _text(value.get("manifest")),
    }


def _quality(value: Any) -> list[dict[str, Any]]:
    """Return the columns in their order, each with how many of its values are filled."""
    columns = read_quality(value).items()
    return [{"name": name, "filled": column["filled"], "empty": column["empty"]} for name, column in columns]


def _files(value: Any) -> list[dict[str, Any]]:
    return [
        {
            "path": _text(each.get("path")),
            "rows": _number(each.get("rows")),
            "bytes": _number(each.get("bytes")),
            "sha256": _text(each.get("sha256")),
        }
        for each in _list(value)[:MOST_FILES]
        if isinstance(each, Mapping)
    ]


def _first(values: Iterable[Any] | None, read: Any) -> Any:
    return next((read(value) for value in values or () if isinstance(value, Mapping)), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return storable(value[:LONGEST]) if isinstance(value, str) and value else None


def _link(value: Any) -> str | None:
    """Return an address that a browser may be sent to."""
    text = _text(value)
    return text if text is not None and text.lower().startswith(("https://", "http://")) else None


def _number(value: Any) -> float | None:
    # Compared, not `isfinite`: that overflows on an integer of more than 308 digits.
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63
    return value if is_number else None


def _percent(value: Any) -> float | None:
    number = _number(value)
    return None if number is None else min(100.0, max(0.0, number))


def _time(value: Any) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else None
