"""
The kinds of work that the API does in the background: a run of a workflow, and a job of Bulk Intelligence.

Whoever waits for such work, cancels it or lists its files does so in one way for both: a `JobKind` names the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.formats.table import ALWAYS_MADE, extension_of

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.cleaning import Cleaner
    from airflow_provider_sixtyfour.api.job_models import Job
    from airflow_provider_sixtyfour.api.models import LiveStatus, ResultFile

T = TypeVar("T")

ESTIMATE = "estimated_cost_cents"  # among the metrics of a bulk job: the floor that the API named when it was started
CHARGE = "charge_cents"  # what it has cost

# The statuses of `/job-status` that no run has; all others `runs.status` knows. "continued_as_new" has not ended.
_STATUSES = {"continued_as_new": "running", "pending": "queued"}


class JobKind(NamedTuple):
    """
    A kind of work.

    :param name: by which a trigger is stored.
    :param status: returns the call for its status.
    :param cancel: returns the call that cancels it.
    :param result_files: returns the call for its files of one format, with fresh links.
    """

    name: str
    status: Callable[[str], Call[LiveStatus]]
    cancel: Callable[[str], Call[None]]
    result_files: Callable[[str, str], Call[tuple[ResultFile, ...]]]


def _bulk_status(task_id: str) -> Call[LiveStatus]:
    """Return the call for a job's status, read as that of a run; what it was charged is among the metrics."""
    from airflow_provider_sixtyfour.api import job_models

    def read(value: Any, cleaner: Cleaner) -> LiveStatus:
        # Without its files: a job has ended also where their list can't be read.
        status = {**value, "results": None} if isinstance(value, Mapping) else value
        return _as_live(job_models.Job.read(status, cleaner))

    return _reading(calls.get_job_status(task_id), read)


def _reading(call: Call[Any], read: Callable[[Any, Cleaner], T]) -> Call[T]:
    """Return a call that reads its answer in another way."""
    return calls.Call(call.purpose, call.method, call.path, read, query=call.query)


def _as_live(job: Job) -> LiveStatus:
    from airflow_provider_sixtyfour.api.models import LiveStatus

    status = job.status.lower()
    return LiveStatus(
        workflow_id=None,
        status=_STATUSES.get(status, job.status),
        percent=100.0 if status == "completed" else 0.0,
        current_block=None,
        blocks=(),
        timestamps={
            name: job.timestamps[given]
            for name, given in (("started_at", "start_time"), ("completed_at", "close_time"))
            if given in job.timestamps
        },
        error_message=job.error_message,
        metrics={} if job.charge_amount is None else {CHARGE: job.charge_amount},
    )


def _bulk_files(task_id: str, format: str) -> Call[tuple[ResultFile, ...]]:
    """Return the call for a job's files of one format: its status lists those of all."""
    from airflow_provider_sixtyfour.api import models

    def read(value: Any, cleaner: Cleaner) -> tuple[models.ResultFile, ...]:
        listed = value.get("results") if isinstance(value, Mapping) else None
        items = listed if isinstance(listed, list) else []
        return models.ResultFile.read_all([item for item in items if _format(item) == format], cleaner)

    return _reading(calls.get_job_status(task_id), read)


def _format(item: Any) -> str:
    """Return the format of a listed file: what it says, else the ending of its name, else CSV, which is always made."""
    if not isinstance(item, Mapping):
        return ALWAYS_MADE
    named = item.get("format")
    found = named if isinstance(named, str) else extension_of(str(item.get("filename")))
    return found if found in calls.RESULT_FORMATS else ALWAYS_MADE


WORKFLOW_RUN = JobKind("run", calls.live_status, calls.cancel_run, calls.result_files)
# No call is documented that cancels a bulk job; as a run of the same engine it has the same id and the same call.
BULK_JOB = JobKind("bulk", _bulk_status, calls.cancel_run, _bulk_files)
KINDS: Mapping[str, JobKind] = {kind.name: kind for kind in (WORKFLOW_RUN, BULK_JOB)}
