"""An operator, and a function for TaskFlow: what an enrichment will probably cost, before anything is paid for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION, SixtyfourHook
from airflow_provider_sixtyfour.runs.cost_estimate import COST_METRIC, ROWS_METRIC
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.json_params import json_file_parameters, read_json
from airflow_provider_sixtyfour.tasks.literals import can_check
from airflow_provider_sixtyfour.tasks.parameter_checks import check_estimate

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath


def estimate_cost(
    *,
    workflow_id: str,
    rows: int | None = None,
    batches: Any = None,
    destination: str | ObjectStoragePath | None = None,
    specs_override: Mapping[str, Any] | str | None = None,
    format: str = "csv",
    files: str | int | Sequence[int] = "final",
    output_format: str | None = None,
    overwrite: bool = False,
    pilot: Mapping[str, Any] | None = None,
    cost_metric: str = COST_METRIC,
    rows_metric: str = ROWS_METRIC,
    sixtyfour_conn_id: str = DEFAULT_CONNECTION,
) -> dict[str, Any]:
    """
    Estimate what rows will cost, as `SixtyfourEstimateCostOperator` does; parameters and value are the same.

    :raises SixtyfourInputError: if a parameter can't be right.
    :raises SixtyfourTransferError: if the destination can't be read.
    :raises SixtyfourRefusedError: if the API refuses to list the workflow's runs.
    :raises SixtyfourUnavailableError: if it can't be reached.
    """
    from airflow_provider_sixtyfour.results.options import LandingOptions
    from airflow_provider_sixtyfour.tasks.cost_estimate import estimate_workflow

    hook = SixtyfourHook(sixtyfour_conn_id)
    return estimate_workflow(
        hook.client,
        workflow_id=workflow_id,
        rows=rows,
        batches=batches,
        destination=destination,
        specs_override=specs_override,
        landing=LandingOptions(format=format, files=files, output_format=output_format, overwrite=overwrite),
        cost_metric=cost_metric,
        rows_metric=rows_metric,
        pilot=pilot,
        log=hook.log,
    )


class SixtyfourEstimateCostOperator(BaseOperator):
    """
    Estimate what rows will cost in a workflow, from its own completed runs. Starts no run and pays for nothing.

    The newest 50 completed runs of the workflow say what a row has cost: the median, the lowest and the highest. The
    vendor documents neither a price nor the names of a run's metrics; without a completed run there is no estimate.

    :param workflow_id: the stored workflow. (templated)
    :param rows: how many rows will be sent. (templated)
    :param batches: instead, the batches of ``SixtyfourSplitInputOperator``: rows of a batch whose results are at its
        destination are not counted, since ``SixtyfourEnrichOperator`` does not pay for them again. (templated)
    :param destination: where the batches land, as given to ``SixtyfourEnrichOperator``; as are ``specs_override``,
        ``format``, ``files`` and ``output_format``: another value of one of them is other work. (templated)
    :param overwrite: as given there: then all rows are paid for.
    :param pilot: what ``SixtyfourPilotOperator`` returned: its price is taken instead of that of earlier runs.
        (templated)
    :param cost_metric: the name of what a run has cost, among its metrics. Default ``credits_used``.
    :param rows_metric: the name of how many rows it had. Default ``rows_in``.
    :param sixtyfour_conn_id: the connection. (templated)

    :returns: ``rows`` that will be paid for and ``rows_done`` that won't, ``batches`` and ``batches_done`` (``None``
        for ``rows``), ``metric``, ``per_row`` and ``cost`` (each with ``median``, ``lowest`` and ``highest``, or
        ``None`` if no run says so), ``runs`` (from how many), ``balance`` (credits that are left; ``None`` if the
        API doesn't give it), ``done`` (the places of the batches that are done), ``spent`` (what these have cost), and
        ``pilot`` (``rows`` and ``fill_rates``).
    :raises AirflowFailException: if a parameter can't be right, or the API refuses to list the runs.
    :raises SixtyfourTransferError: if the destination can't be read.
    :raises SixtyfourUnavailableError: if the API can't be reached.
    """

    template_fields: Sequence[str] = (
        "workflow_id",
        "rows",
        "batches",
        "destination",
        "specs_override",
        "format",
        "files",
        "output_format",
        "pilot",
        "sixtyfour_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"batches": "json", "specs_override": "json", "pilot": "json"}
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        workflow_id: str,
        rows: int | str | None = None,
        batches: Any = None,
        destination: str | ObjectStoragePath | None = None,
        specs_override: Mapping[str, Any] | str | None = None,
        format: str = "csv",
        files: str | int | Sequence[int] = "final",
        output_format: str | None = None,
        overwrite: bool = False,
        pilot: Any = None,
        cost_metric: str = COST_METRIC,
        rows_metric: str = ROWS_METRIC,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_id = workflow_id
        self.rows = rows
        self.batches = batches
        self.destination = destination
        self.specs_override = specs_override
        self.format = format
        self.files = files
        self.output_format = output_format
        self.overwrite = overwrite
        self.pilot = pilot
        self.cost_metric = cost_metric
        self.rows_metric = rows_metric
        self.sixtyfour_conn_id = sixtyfour_conn_id
        self._json_files = json_file_parameters(self, specs_override=specs_override)
        if can_check(self, SixtyfourEstimateCostOperator):
            with non_retryable_errors():
                check_estimate(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask for the workflow's runs, look which batches are done, and estimate."""
        from airflow_provider_sixtyfour.results.options import LandingOptions
        from airflow_provider_sixtyfour.tasks.cost_estimate import estimate_workflow

        with non_retryable_errors(self.log):
            return estimate_workflow(
                SixtyfourHook(self.sixtyfour_conn_id).client,
                workflow_id=self.workflow_id,
                rows=self.rows,
                batches=self.batches,
                destination=self.destination,
                specs_override=read_json(self, "specs_override", context, self._json_files, may_be_null=True),
                landing=LandingOptions(
                    format=self.format,
                    files=self.files,
                    output_format=self.output_format,
                    overwrite=self.overwrite,
                ),
                cost_metric=self.cost_metric,
                rows_metric=self.rows_metric,
                pilot=self.pilot,
                log=self.log,
            )
