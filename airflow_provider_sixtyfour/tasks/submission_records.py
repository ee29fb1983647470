"""Where a task keeps the record of its submission, how it is read, and what identifies the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.runs.idempotency import Record

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

RECORD_KEY = "sixtyfour_submission"


def records_of(context: Context, folder: ObjectStoragePath) -> Any:
    """
    Return where a task keeps its record: Airflow's ``task_state_store``, else a file in the task's own folder.

    A file, since the handle of an upload can't be derived again as a key could be.
    """
    from airflow_provider_sixtyfour.tasks.submission_file import SubmissionFile

    store = context.get("task_state_store")
    return SubmissionFile(folder, identity_of(context)) if store is None else store


def identity_of(context: Context) -> dict[str, Any]:
    """
    Identify this task instance, in any deployment that runs the same Dag with the same API key.

    No deployment has a name that a worker of every Airflow version can read; but no two start a Dag run in the
    same microsecond.
    """
    ti, dag_run = context["ti"], context["dag_run"]
    return {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": ti.map_index,
        "dag_run_start": dag_run.start_date.isoformat() if dag_run.start_date else "",
    }


def recorded(store: Any, job_id: str) -> Record | None:
    """Return the record of a run; ``None`` if what is recorded is another run, or nothing."""
    record = Record.read(store.get(RECORD_KEY))
    return record if record is not None and record.job_id == job_id else None


def recorded_digest(store: Any, job_id: str) -> str | None:
    """Return the digest of the work that a run was started for; ``None`` if the record is of another run, or gone."""
    record = recorded(store, job_id)
    return None if record is None else record.digest


def usable(record: Record | None) -> Record | None:
    """Return the record without its run if that can't be one; its key then identifies the run."""
    if record is None or record.job_id is None:
        return record
    try:
        calls.identifier(record.job_id, "job_id")
    except SixtyfourInputError:
        return record._replace(job_id=None)
    return record
