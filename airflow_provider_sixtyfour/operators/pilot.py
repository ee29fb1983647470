"""An operator that enriches the first rows of an input, to see what they cost and how good they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.literals import is_literal
from airflow_provider_sixtyfour.tasks.run_checks import check_pilot

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class SixtyfourPilotOperator(SixtyfourEnrichOperator):
    """
    Enrich the first batch of an input before the others, and continue only if its results are good enough.

    It is a task between ``SixtyfourSplitInputOperator``, whose ``pilot_rows`` makes the first batch small, and the
    tasks that enrich all batches: those find the results of the first and don't pay for them again. What it returns
    tells ``SixtyfourEstimateCostOperator`` what a row costs.

    :param batches: of ``SixtyfourSplitInputOperator``; the first one is enriched. (templated)
    :param min_fill_rate: the share of values that have to be filled, by column: ``{"email": 0.3}``, or that as JSON
        text. The task fails if fewer are, when the results have landed. (templated)
    :param max_credits: what the pilot may be expected to cost, as for ``SixtyfourEnrichOperator``; without a completed
        run, which would say so, it is started all the same. (templated)

    All else is as for ``SixtyfourEnrichOperator``.

    :returns: what ``SixtyfourEnrichOperator`` returns; ``None`` if there is no batch.
    :raises AirflowFailException: as there, and if ``min_fill_rate`` isn't reached.
    """

    template_fields: Sequence[str] = (
        *("batches", "min_fill_rate"),
        *(name for name in SixtyfourEnrichOperator.template_fields if name not in ("source", "rows", "delimiter")),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"batches": "json", "specs_override": "json"}
    unknown_cost_passes = True

    def __init__(
        self, *, batches: Any, min_fill_rate: Mapping[str, float | str] | str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(source=batches, **kwargs)
        self.batches = batches
        self.min_fill_rate = min_fill_rate
        self._wants_rates = min_fill_rate is not None
        if is_literal(batches):
            with non_retryable_errors():
                self.source = _first(batches) or {}  # without a batch, a source is no more missing than it is wrong
        check_pilot(self, SixtyfourPilotOperator)

    def execute(self, context: Context) -> Any:
        """Enrich the first batch, and look at its results."""
        if not self._take_first(context):
            self.log.info("There is no batch to try.")
            return None
        return self._good_enough(context, super().execute(context))

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        digest: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Any]:
        """Conclude what the trigger found, land the files, and look at them."""
        self._take_first(context)
        return self._good_enough(context, super().execute_complete(context, event, digest, rows))

    def _take_first(self, context: Context) -> bool:
        with self._final_errors(context):
            self.source = _first(self.batches)
        return self.source is not None

    def _good_enough(self, context: Context, result: dict[str, Any]) -> dict[str, Any]:
        """Return what the task returns, if the results are good enough."""
        from airflow_provider_sixtyfour.inputs.limits import read_shares
        from airflow_provider_sixtyfour.runs.pilot import check_fill_rates, described, fill_rates

        if result["job_id"] is None:  # of a dry run
            return result
        rates = fill_rates(result.get("quality"))
        with self._final_errors(context):
            wanted = read_shares(self.min_fill_rate, "min_fill_rate")
            check_fill_rates(rates, wanted, result["rows"])
        if self._wants_rates and not wanted:
            self.log.warning("min_fill_rate is empty, so any results are good enough.")
        if rates:
            self.log.info("Values that are filled: %s.", described(rates))
        return result


def _first(batches: Any) -> Mapping[str, Any] | None:
    """
    Return the first batch; ``None`` if there is none.

    :raises SixtyfourInputError: if they are no batches.
    """
    from airflow_provider_sixtyfour.batches.collect import references

    return next(references(batches, "batches", ("path", "rows", "bytes", "sha256")), None)
