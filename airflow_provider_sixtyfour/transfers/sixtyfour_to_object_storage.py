"""Lands the result files of a run in object storage."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION, SixtyfourHook
from airflow_provider_sixtyfour.links.sixtyfour import SixtyfourRunLink, show_run
from airflow_provider_sixtyfour.storage.object_paths import MANIFEST, object_storage_path
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.run_checks import check_transfer

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context, ObjectStoragePath

    from airflow_provider_sixtyfour.tasks.lineage import Dataset


class SixtyfourToObjectStorageOperator(BaseOperator):
    """
    Write the result files of a run to any object store or file system, each whole or not at all.

    :param job_id: the run. (templated)
    :param destination: the folder to write to, as a URL: ``s3://conn_id@bucket/prefix/``, ``gs://…``, ``abfs://…``,
        ``file:///…``. One folder for each run: its files, and the manifest that is written last. (templated)
    :param format: ``csv``, ``json`` or ``ndjson``; the run must have been started with it, but for ``csv``.
        (templated)
    :param files: ``final``: what the last block made, of those that do not only hand rows on (``outgoing_webhook``,
        ``send_slack_message``, ``append_to_notebook``: their files may have surplus columns), where the API gives the
        names of the blocks; ``all``: what every block made; or the number (or a list of numbers) of the blocks.
        (templated)
    :param overwrite: whether to write files again that the destination's manifest names, for this run and with the
        size that they have there. Without it, a landing that is done asks the API for nothing.
    :param on_mismatch: what to do when a file has other rows, or more bytes, than the API announced: ``warn`` in the
        log, or ``fail``, and leave nothing of that file. A file that has fewer bytes than announced, that is empty
        where it should not be, or that is an HTML page or an error document, fails in any case.
    :param max_parallel_files: how many files to fetch at a time.
    :param manifest: the name of the manifest; ``None`` for none, as where several tasks share a folder. (templated)
    :param output_format: ``parquet`` to write the files as Parquet: with types and nested values from NDJSON, where the
        run was started with it; else from CSV, as text. Needs the extra ``parquet``, and room on local disk for each
        file while it is written. Default: as ``format``. (templated)
    :param parquet_schema: for Parquet, types of columns by their names, as Arrow calls them:
        ``{"employees": "int64", "founded": "date32"}``.
    :param sixtyfour_conn_id: the connection. (templated)

    The events of its ``outlets`` get ``uri``, ``job_id``, ``workflow_id``, ``format``, ``rows``, ``bytes``,
    ``files`` (path, rows, bytes, sha256) and ``quality`` (as in the manifest) as ``extra``.

    :returns: a list with, for each file, its ``path``, ``rows`` (counted; ``None`` for JSON that is no array, or
        nested too deeply), ``bytes``, ``sha256``, ``block_number`` and ``filename`` (as the API calls it; with
        U+FFFD for what is no Unicode).
    :raises AirflowFailException: if a parameter can't be right, the API refuses, or the run has no such file.
    :raises SixtyfourTransferError: if the run has not ended or has no such file yet, a file can't be fetched whole,
        the store fails, or another landing writes into the same folder. Nothing of a file that failed is at the
        destination; a retry lands the same run and pays for nothing.
    """

    template_fields: Sequence[str] = (
        "job_id",
        "destination",
        "format",
        "files",
        "manifest",
        "output_format",
        "sixtyfour_conn_id",
    )
    operator_extra_links: Collection[BaseOperatorLink] = (SixtyfourRunLink(),)
    ui_color = "#e8e4fb"
    run_link: str | None = None
    _datasets: tuple[tuple[Dataset, ...], tuple[Dataset, ...]] = ((), ())

    def __init__(
        self,
        *,
        job_id: str,
        destination: str | ObjectStoragePath,
        format: str = "csv",
        files: str | int | Sequence[int] = "final",
        overwrite: bool = True,
        on_mismatch: str = "warn",
        max_parallel_files: int = 4,
        manifest: str | None = MANIFEST,
        output_format: str | None = None,
        parquet_schema: Mapping[str, str] | None = None,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.destination = destination
        self.format = format
        self.files = files
        self.overwrite = overwrite
        self.on_mismatch = on_mismatch
        self.max_parallel_files = max_parallel_files
        self.manifest = manifest
        self.output_format = output_format
        self.parquet_schema = parquet_schema
        self.sixtyfour_conn_id = sixtyfour_conn_id
        check_transfer(self, SixtyfourToObjectStorageOperator)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Land the files."""
        from airflow_provider_sixtyfour.results.landing import land
        from airflow_provider_sixtyfour.results.options import LandingOptions
        from airflow_provider_sixtyfour.tasks import summary
        from airflow_provider_sixtyfour.tasks.landing_lineage import datasets_of, outlet_extra
        from airflow_provider_sixtyfour.tasks.lineage import record_hook_lineage, set_outlet_extra

        with non_retryable_errors(self.log):
            calls.identifier(self.job_id, "job_id")
            landing = LandingOptions(
                format=self.format,
                files=self.files,
                overwrite=self.overwrite,
                on_mismatch=self.on_mismatch,
                max_parallel_files=self.max_parallel_files,
                manifest=self.manifest,
                output_format=self.output_format,
                parquet_schema=self.parquet_schema,
            )
            folder = object_storage_path(self.destination, "destination")
            hook = SixtyfourHook(self.sixtyfour_conn_id)
            show_run(self, context, hook, self.job_id)
            manifest = land(hook, self.job_id, folder, landing, log=self.log)
        self._datasets = datasets_of(hook.settings.base_url, folder, manifest)
        set_outlet_extra(self.outlets or (), context, outlet_extra(folder, manifest))
        record_hook_lineage(hook, *self._datasets)
        self.log.info("%s", summary.landed(manifest, context, did="Landed", folder=folder))
        return manifest.as_dicts()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the OpenLineage facets of the run and of each file."""
        from airflow_provider_sixtyfour.tasks.openlineage import operator_lineage

        return operator_lineage(*self._datasets)
