"""
The runs that were started for a batch, in a file in its folder: so that what failed ones have used is counted too.

Only the task of the batch writes it; the tasks of the other batches read it before they start a run of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.results.manifest import read_bytes
from airflow_provider_sixtyfour.storage.errors import publish

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

STARTED_RUNS_FILE = "_started_runs.json"
MOST = 1000  # of one batch: one for each try


class StartedRun(NamedTuple):
    """
    A run that was started for a batch.

    :param work: a digest of what it was to do, input and all, as in a manifest.
    """

    job_id: str
    work: str | None


def started_runs(folder: ObjectStoragePath) -> list[StartedRun]:
    """
    Return the runs that were started for a batch; none if the file is no such file.

    :raises SixtyfourTransferError: if the store can't be read.
    """
    content = read_bytes(folder / STARTED_RUNS_FILE)
    try:
        found = json.loads(content or b"[]")
        return [_read(each) for each in found[:MOST]] if isinstance(found, list) else []
    except (ValueError, RecursionError, SixtyfourInputError):
        return []


def note_started_run(folder: ObjectStoragePath, job_id: str, work: str) -> None:
    """
    Note that a run was started for a batch.

    :raises SixtyfourTransferError: if the store can't be read, or written.
    """
    known = started_runs(folder)
    if job_id not in (run.job_id for run in known):
        path = folder / STARTED_RUNS_FILE
        runs = [run._asdict() for run in (*known, StartedRun(job_id, work))]
        publish(path.fs, path.path, json.dumps(runs, indent=2).encode())


def _read(value: Any) -> StartedRun:
    """
    Read one run.

    :raises SixtyfourInputError: if it is none.
    """
    if not isinstance(value, Mapping):
        raise SixtyfourInputError(f"This is no run: {value!r:.60}.")
    work = value.get("work")
    return StartedRun(calls.identifier(value.get("job_id"), "job_id"), work if isinstance(work, str) else None)
