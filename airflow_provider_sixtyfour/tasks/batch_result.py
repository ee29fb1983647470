"""What an enriched batch is known by: light enough for the XCom of each of a thousand mapped tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.storage.object_paths import MANIFEST

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.results.manifest import Manifest
    from airflow_provider_sixtyfour.runs.log import Log
    from airflow_provider_sixtyfour.tasks.batch_input import EnrichInput


def enriched(source: Any, folder: ObjectStoragePath, manifest: Manifest) -> dict[str, Any]:
    """Return what ``SixtyfourEnrichOperator`` returns of a batch that has landed."""
    return {
        "job_id": manifest.job_id,
        "workflow_id": manifest.workflow_id,
        "source": source_url(source),
        "rows": manifest.total_rows,
        "bytes": manifest.total_bytes,
        "files": manifest.as_dicts(),
        "manifest": str(folder / MANIFEST),
        "metrics": dict(manifest.metrics),
        "quality": manifest.quality,
    }


def dry_run_result(
    given: EnrichInput,
    source: Any,
    workflow_id: str,
    formats: Sequence[str],
    folder: ObjectStoragePath,
    *,
    log: Log,
) -> dict[str, Any]:
    """
    Check an input, log what would be sent, and return what the operator returns of a dry run.

    :raises SixtyfourInputError: if the input can't be sent.
    """
    given.check_file()
    log.info(
        "Nothing was sent: a dry run. Input: %s. Specs: %s. Result formats: %s. Destination: %s. Workflow %s.",
        given,
        json.dumps(given.body.get("specs_override") or {}, ensure_ascii=False),
        ", ".join(formats),
        folder,
        workflow_id,
    )
    return nothing_sent(source, workflow_id)


def nothing_sent(source: Any, workflow_id: str | None) -> dict[str, Any]:
    """Return what an operator returns of a dry run."""
    return {
        "job_id": None,
        "workflow_id": workflow_id,
        "source": source_url(source),
        "rows": 0,
        "bytes": 0,
        "files": [],
        "manifest": None,
        "metrics": {},
        "quality": {},
    }


def source_url(source: Any) -> str | None:
    """Return the URL of the input; ``None`` for rows."""
    path = source["path"] if isinstance(source, Mapping) else source
    return None if path is None else str(path)
