"""Where a task keeps the record of its submission, and what identifies the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath


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
