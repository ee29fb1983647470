"""
The runs that were started for a batch, in a file in its folder: so that what failed ones have used is counted too.

Only the task of the batch writes it; the tasks of the other batches read it before they start a run of their own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.results.manifest import read_bytes
from airflow_provider_sixtyfour.storage.errors import publish

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

STARTED_RUNS_FILE = "_started_runs.json"
MOST = 1000  # of one batch: one for each try


def started_runs(folder: ObjectStoragePath) -> list[str]:
    """
    Return the runs that were started for a batch; none if the file is no such file.

    :raises SixtyfourTransferError: if the store can't be read.
    """
    content = read_bytes(folder / STARTED_RUNS_FILE)
    try:
        found = json.loads(content or b"[]")
        return [calls.identifier(each, "job_id") for each in found[:MOST]] if isinstance(found, list) else []
    except (ValueError, RecursionError, SixtyfourInputError):
        return []


def note_started_run(folder: ObjectStoragePath, job_id: str) -> None:
    """
    Note that a run was started for a batch.

    :raises SixtyfourTransferError: if the store can't be read, or written.
    """
    known = started_runs(folder)
    if job_id not in known:
        path = folder / STARTED_RUNS_FILE
        publish(path.fs, path.path, json.dumps([*known, job_id]).encode())
