"""What operators that start a run and land its files have in common."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.operators._base import RunOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_sixtyfour.results.manifest import Manifest
    from airflow_provider_sixtyfour.results.options import LandingOptions
    from airflow_provider_sixtyfour.runs.status import RunOutcome
    from airflow_provider_sixtyfour.tasks.batch_input import Work
    from airflow_provider_sixtyfour.tasks.lineage import Dataset


class LandingOperator(RunOperator):
    """
    Base of the operators that also land the files of their run, that is `SixtyfourEnrichOperator` and the bulk one.

    A subclass lands them in ``execute`` or in ``execute_complete``.
    """

    destination: Any
    source: Any
    delimiter: Any
    format: str
    files: Any
    overwrite: bool
    on_mismatch: str
    output_format: str | None
    parquet_schema: Any
    check_destination: bool
    validate_only: bool

    _dry_run: Callable[[Work], dict[str, Any]]  # logs what would be sent, and returns what the task returns then

    def _sent(self, base_url: str) -> tuple[Dataset, ...]:
        from airflow_provider_sixtyfour.storage.object_paths import object_storage_path
        from airflow_provider_sixtyfour.tasks.batch_result import source_url
        from airflow_provider_sixtyfour.tasks.file_header import header
        from airflow_provider_sixtyfour.tasks.lineage import Dataset, uri_of

        if (source := source_url(self.source)) is None:
            return ()
        path = object_storage_path(source, "source")
        return (Dataset(uri_of(path), columns=header(path, self.delimiter)),)

    def _folder(self, context: Context) -> ObjectStoragePath:
        from airflow_provider_sixtyfour.tasks.batch_input import batch_folder

        return batch_folder(self.destination, self.source, context["ti"].map_index)

    def _landing(self, digest: str | None) -> LandingOptions:
        from airflow_provider_sixtyfour.results.options import LandingOptions

        return LandingOptions(
            format=self.format,
            files=self.files,
            overwrite=self.overwrite,
            on_mismatch=self.on_mismatch,
            output_format=self.output_format,
            parquet_schema=self.parquet_schema,
            input=digest,
        )

    def _without_run(self, context: Context, work: Work) -> dict[str, Any] | None:
        """Return what the task returns if it has to start no run: its work is done, or it only checks it."""
        if (done := self._done(work.folder, work.digest)) is not None:
            did = "Done before, nothing was sent; checked"
            return self._reported(context, work.folder, done, work.given.rows, did=did)
        if self.validate_only:
            return self._dry_run(work)
        self.log.info("Input: %s. Destination: %s.", work.given, work.folder)
        return None

    def _check_writable(self, context: Context, folder: ObjectStoragePath) -> None:
        """
        Check before a run is paid for that its files can be written.

        :raises SixtyfourTransferError: if they can't.
        """
        from airflow_provider_sixtyfour.storage.errors import probe_writable

        if self.check_destination and "task_state_store" in context:  # else the record is kept there
            probe_writable(folder)

    def _done(self, folder: ObjectStoragePath, digest: str) -> Manifest | None:
        from airflow_provider_sixtyfour.results.earlier_landing import landed_work

        return landed_work(folder, self._landing(digest))

    def _landed(
        self, context: Context, folder: ObjectStoragePath, ended: RunOutcome, digest: str | None, rows: int | None
    ) -> dict[str, Any]:
        """
        Land the files of a run that has completed, and return what the task returns.

        :param digest: of the input; ``None`` if it isn't known.
        :param rows: of the input, likewise.
        :raises SixtyfourTransferError: if the files can't be read, or written.
        """
        from airflow_provider_sixtyfour.results.landing import land
        from airflow_provider_sixtyfour.tasks.run_metrics import counted_once
        from airflow_provider_sixtyfour.tasks.submission_records import records_of

        if elsewhere := self._control.elsewhere():
            raise SixtyfourTransferError(
                f"The run has completed, but its files can't be read. {elsewhere} Once it points to the run's host "
                f"again, a retry or a clear of this task lands them, and no run is paid for again. Run {ended.job_id}."
            )
        if digest is None:
            self.log.warning(
                "No record of the input: the manifest gets no digest, and a rerun cannot skip it. Run %s.", ended.job_id
            )
        ended = self._measured(ended._replace(workflow_id=self.workflow_id))
        landing = self._landing(digest)
        records = partial(records_of, context, folder)
        with counted_once(self._metrics, context, records, ended, rows, self.log):
            manifest = land(self._hook, ended.job_id, folder, landing, log=self.log, ended=ended, kind=self.job_kind)
        return self._reported(context, folder, manifest, rows, did="Completed")

    def _reported(
        self, context: Context, folder: ObjectStoragePath, manifest: Manifest, rows: int | None, *, did: str
    ) -> dict[str, Any]:
        """Report what is at the destination, and return it."""
        from airflow_provider_sixtyfour.tasks import summary
        from airflow_provider_sixtyfour.tasks.landing_lineage import datasets_of, outlet_extra
        from airflow_provider_sixtyfour.tasks.lineage import record_hook_lineage, set_outlet_extra

        returned = self._returned(folder, manifest)
        self._datasets = datasets_of(
            self._hook.settings.base_url, folder, manifest, source=returned["source"], delimiter=self.delimiter
        )
        set_outlet_extra(self.outlets or (), context, outlet_extra(folder, manifest))
        record_hook_lineage(self._hook, *self._datasets)
        self.log.info("%s", summary.landed(manifest, context, did=did, rows_in=rows, folder=folder))
        return returned

    def _returned(self, folder: ObjectStoragePath, manifest: Manifest) -> dict[str, Any]:
        from airflow_provider_sixtyfour.tasks.batch_result import enriched

        return enriched(self.source, folder, manifest)
