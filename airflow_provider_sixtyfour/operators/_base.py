"""What every operator does in the same way that has its own work done and lands the files of it with a manifest."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.links.sixtyfour import SixtyfourRunLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context, ObjectStoragePath

    from airflow_provider_sixtyfour.results.manifest import Manifest
    from airflow_provider_sixtyfour.results.options import LandingOptions
    from airflow_provider_sixtyfour.runs.status import RunOutcome
    from airflow_provider_sixtyfour.tasks.lineage import Dataset
    from airflow_provider_sixtyfour.tasks.run_control import RunControl


class LandsResults(BaseOperator):
    """
    The base of `SixtyfourEnrichOperator` and `SixtyfourBulkEnrichOperator`.

    A class that derives from it starts the work in ``execute``, and lands it there or in ``execute_complete``.
    """

    execute_complete: Callable[..., Any]

    job_kind: ClassVar[JobKind] = WORKFLOW_RUN
    operator_extra_links: Collection[BaseOperatorLink] = (SixtyfourRunLink(),)
    ui_color = "#e8e4fb"
    run_link: str | None = None
    _datasets: tuple[tuple[Dataset, ...], tuple[Dataset, ...]] = ((), ())

    workflow_id: Any  # None where there is no workflow
    destination: Any
    source: Any
    format: str
    files: Any
    overwrite: bool
    on_mismatch: str
    output_format: str | None
    parquet_schema: Any
    timeout: Any
    deferrable: bool
    cancel_on_kill: bool
    sixtyfour_conn_id: str

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; see `_running.without_event`."""
        from airflow_provider_sixtyfour.operators import _running

        if next_method != _running.FAIL:
            return super().resume_execution(next_method, next_kwargs, context)
        with _running.without_event(self, context, self._control, next_kwargs):
            return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the run, unless a next try goes on with it; called when a user or Airflow stops the task."""
        self._control.kill()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Report to OpenLineage the input and the run, and of each file with its rows and bytes."""
        from airflow_provider_sixtyfour.tasks.lineage import openlineage

        return openlineage(*self._datasets)

    @cached_property
    def _hook(self) -> SixtyfourHook:
        return SixtyfourHook(self.sixtyfour_conn_id)

    @cached_property
    def _control(self) -> RunControl:
        from airflow_provider_sixtyfour.tasks.run_control import RunControl

        return RunControl(self._hook, cancels=self.cancel_on_kill, log=self.log, kind=self.job_kind)

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

    def _done(self, folder: ObjectStoragePath, digest: str) -> Manifest | None:
        """Return the manifest of this very work, if all that it names is there."""
        from airflow_provider_sixtyfour.results.manifest import are_there, read_manifest

        there = None if self.overwrite else read_manifest(folder)
        if there is None or there.input != digest or not self._landing(digest).is_of(there):
            return None
        return there if are_there(folder, there.files) else None

    def _landed(
        self, context: Context, folder: ObjectStoragePath, ended: RunOutcome, digest: str | None, rows: int | None
    ) -> dict[str, Any]:
        """
        Land the files of a run that has completed, and return what the task returns.

        :param digest: of the input; ``None`` if it isn't known.
        :param rows: of the input, likewise.
        """
        from airflow_provider_sixtyfour.results.landing import land

        if digest is None:
            self.log.warning(
                "No record of the input: the manifest gets no digest, and a rerun cannot skip it. Run %s.", ended.job_id
            )
        ended = self._measured(ended._replace(workflow_id=self.workflow_id))
        landing = self._landing(digest)
        manifest = land(self._hook, ended.job_id, folder, landing, log=self.log, ended=ended, kind=self.job_kind)
        return self._reported(context, folder, manifest, rows, did="Completed")

    def _measured(self, ended: RunOutcome) -> RunOutcome:
        """Return the end of a run with what the run has used."""
        from airflow_provider_sixtyfour.operators import _running

        return _running.measured(self._hook.client, ended, self.log)

    def _reported(
        self, context: Context, folder: ObjectStoragePath, manifest: Manifest, rows: int | None, *, did: str
    ) -> dict[str, Any]:
        """Report what is at the destination, and return it."""
        from airflow_provider_sixtyfour.tasks import summary
        from airflow_provider_sixtyfour.tasks.landing_lineage import datasets_of, outlet_extra
        from airflow_provider_sixtyfour.tasks.lineage import record_hook_lineage, set_outlet_extra

        returned = self._returned(folder, manifest)
        self._datasets = datasets_of(self._hook.settings.base_url, folder, manifest, source=returned["source"])
        set_outlet_extra(self.outlets or (), context, outlet_extra(folder, manifest))
        record_hook_lineage(self._hook, *self._datasets)
        self.log.info("%s", summary.landed(manifest, context, did=did, rows_in=rows, folder=folder))
        return returned

    def _returned(self, folder: ObjectStoragePath, manifest: Manifest) -> dict[str, Any]:
        from airflow_provider_sixtyfour.tasks.batch_result import enriched

        return enriched(self.source, folder, manifest)
