"""A landing as lineage: from a run of the API to the files at a destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_sixtyfour.tasks.lineage import Dataset, uri_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.results.manifest import Manifest


def datasets_of(
    base_url: str, folder: ObjectStoragePath, manifest: Manifest, *, source: str | None = None
) -> tuple[tuple[Dataset, ...], tuple[Dataset, ...]]:
    """
    Return what was read and what was written.

    :param source: the URL of the file that the run was started for, if this task has sent one. Its store isn't asked
        for: nothing that is wrong there spoils a landing.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    sent = () if source is None else (Dataset(uri_of(ObjectStoragePath(source))),)
    files = tuple(Dataset(f"{uri_of(folder)}/{quote(file.name)}", file.rows, file.bytes) for file in manifest.files)
    return (*sent, Dataset(f"{base_url}/workflows/runs/{manifest.job_id}")), files


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
