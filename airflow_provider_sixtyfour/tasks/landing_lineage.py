"""A landing as lineage: from a run of the API to the files at a destination."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.tasks.file_header import header
from airflow_provider_sixtyfour.tasks.lineage import Dataset, encoded, uri_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.results.manifest import LandedFile, Manifest


def datasets_of(
    base_url: str,
    folder: ObjectStoragePath,
    manifest: Manifest,
    *,
    source: str | None = None,
    delimiter: str | None = None,
) -> tuple[tuple[Dataset, ...], tuple[Dataset, ...]]:
    """
    Return what was read and what was written.

    :param source: the URL of the file that the run was started for, if this task has sent one. Its store isn't asked
        for: nothing that is wrong there spoils a landing.
    :param delimiter: what separates its cells, if it isn't commas.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    path = None if source is None else ObjectStoragePath(source)
    sent = () if path is None else (Dataset(uri_of(path), columns=header(path, delimiter)),)
    files = tuple(
        Dataset(f"{uri_of(folder)}/{encoded(file.name)}", file.rows, file.bytes, partial(_columns_of, folder, file))
        for file in manifest.files
    )
    # What the files have, the run has made.
    of_the_run = partial(_all_columns, files)
    return (*sent, Dataset(run_uri(base_url, manifest.job_id), columns=of_the_run)), files


def run_uri(base_url: str, job_id: str) -> str:
    """Return the URI of what a run has made, before it is landed: the operator that starts the run reports the same."""
    return f"{base_url}/workflows/runs/{encoded(job_id)}"


def upload_uri(base_url: str, handle: str) -> str:
    """Return the URI of an uploaded file: who uploads it and who starts a run with it report the same."""
    return f"{base_url}/storage/csv/{encoded(handle)}"


def _columns_of(folder: ObjectStoragePath, file: LandedFile) -> tuple[str, ...]:
    """Return the columns of a landed file: as they were counted while it landed, or from its header."""
    return tuple(file.quality or header(folder / file.name)())


def _all_columns(files: tuple[Dataset, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for file in files for name in file.columns()))


def outlet_extra(folder: ObjectStoragePath, manifest: Manifest) -> dict[str, Any]:
    """Return what an event of the task's outlets says."""
    return {
        "uri": uri_of(folder),
        "job_id": manifest.job_id,
        "workflow_id": manifest.workflow_id,
        "format": manifest.format,
        "rows": manifest.total_rows,
        "bytes": manifest.total_bytes,
        **({"metrics": dict(manifest.metrics)} if manifest.metrics else {}),
        **({"quality": quality} if (quality := manifest.quality) else {}),
        "files": [
            {"path": file.path, "rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
            for file in manifest.files
        ],
    }
