"""The command that lands the results of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.cli import exit_codes
from airflow_provider_sixtyfour.cli.connecting import connect

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_sixtyfour.cli.console import Console


def results(given: Namespace, console: Console) -> int:
    """Land the files of a run, as `SixtyfourToObjectStorageOperator` does."""
    from airflow_provider_sixtyfour.api.job_kinds import BULK_JOB, WORKFLOW_RUN
    from airflow_provider_sixtyfour.results.options import PARQUET, LandingOptions

    calls.identifier(given.job_id, "JOB")
    files: Any = given.files if given.files in ("final", "all") else given.files.split(",")
    landing = LandingOptions(format=given.format, files=files, output_format=PARQUET if given.parquet else None)
    account = connect(given.conn_id, console)
    # Only now: they need Airflow.
    from airflow_provider_sixtyfour.results.landing import land
    from airflow_provider_sixtyfour.storage.object_paths import local_or_object_path

    folder = local_or_object_path(given.to, "--to")
    kind = BULK_JOB if given.bulk else WORKFLOW_RUN
    manifest = land(account, given.job_id, folder, landing, log=console, kind=kind)
    written = manifest.as_dicts()
    if console.output in ("json", "yaml"):
        console.document(
            {
                "job_id": manifest.job_id,
                "workflow_id": manifest.workflow_id,
                "manifest": None if landing.manifest is None else str(folder / landing.manifest),
                "rows": manifest.total_rows,
                "bytes": manifest.total_bytes,
                "files": written,
            }
        )
    else:
        console.records(written, ("path", "rows", "bytes"))
    return exit_codes.SUCCESS
