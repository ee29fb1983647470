"""What an enriched batch is known by: light enough for the XCom of each of a thousand mapped tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.transfers.destination import MANIFEST

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.monitor.log import Log
    from airflow_provider_sixtyfour.operators.enrich_input import EnrichInput
    from airflow_provider_sixtyfour.transfers.manifest import Manifest


def enriched(source: Any, folder: ObjectStoragePath, manifest: Manifest) -> dict[str, Any]:
    """Return what ``SixtyfourEnrichOperator`` returns of a batch that has landed."""
    return {
        "job_id": manifest.job_id,
        "workflow_id": manifest.workflow_id,
        "source": _url(source),
        "rows": manifest.total_rows,
        "bytes": manifest.total_bytes,
        "files": manifest.as_dicts(),
        "manifest": str(folder / MANIFEST),
        "metrics": dict(manifest.metrics),
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
        "Dry run: workflow %s would be run over %s, with specs_override %s, for results as %s, to be landed at %s. "
        "Nothing was sent.",
        workflow_id,
        given,
        given.body.get("specs_override"),
        ", ".join(formats),
        folder,
    )
    return {
        "job_id": None,
        "workflow_id": workflow_id,
        "source": _url(source),
        "rows": 0,
        "bytes": 0,
        "files": [],
        "manifest": None,
        "metrics": {},
    }


def _url(source: Any) -> str | None:
    """Return the URL of the input; ``None`` for rows."""
    path = source["path"] if isinstance(source, Mapping) else source
    return None if path is None else str(path)
