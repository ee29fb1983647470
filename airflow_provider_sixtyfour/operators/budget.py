"""An operator that keeps the batches of an input within a number of credits, before any of them is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION, SixtyfourHook
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.literals import can_check
from airflow_provider_sixtyfour.tasks.parameter_checks import check_budget_limits

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class SixtyfourBudgetOperator(BaseOperator):
    """
    Return the batches that a number of credits pays for, to be mapped over: ``.expand(source=budget.output)``.

    Batches are allotted credits in their order, by the estimated price of a row; those that are done cost nothing, and
    what they have cost counts. The others are named in the log and left out. ``SixtyfourEnrichOperator`` takes the XCom
    ``budget``, to look once more before each run is started, at what the runs so far have really used.

    :param batches: of ``SixtyfourSplitInputOperator``. (templated)
    :param estimate: what ``SixtyfourEstimateCostOperator`` returned of them. (templated)
    :param max_credits: what all batches may cost together, those that are done included, in the estimate's metric;
        ``None`` for no limit. (templated)
    :param max_credits_per_day: what all runs that the connection's credential can see may cost since midnight UTC.
        A guard, no promise: the API lists 500 runs at most. (templated)
    :param sixtyfour_conn_id: the connection. (templated)

    :returns: the batches that may be enriched, as references. XCom ``budget`` has ``limit``, ``limited_by`` (which of
        the two), ``metric``, ``per_row``, ``spent``, ``expected``, ``batches_left_out`` and ``rows_left_out``; XCom
        ``estimate`` is the estimate of these batches alone.
    :raises AirflowFailException: if a parameter can't be right, there is a limit and no price, not even one batch fits,
        or the balance doesn't suffice. Nothing was paid for then.
    :raises SixtyfourUnavailableError: if the API can't be reached.
    """

    template_fields: Sequence[str] = (
        "batches",
        "estimate",
        "max_credits",
        "max_credits_per_day",
        "sixtyfour_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"batches": "json", "estimate": "json"}
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        batches: Any,
        estimate: Any,
        max_credits: float | str | None = None,
        max_credits_per_day: float | str | None = None,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batches = batches
        self.estimate = estimate
        self.max_credits = max_credits
        self.max_credits_per_day = max_credits_per_day
        self.sixtyfour_conn_id = sixtyfour_conn_id
        limits = {"max_credits": max_credits, "max_credits_per_day": max_credits_per_day}
        self._limits = tuple(name for name, value in limits.items() if value is not None)
        if can_check(self, SixtyfourBudgetOperator):
            with non_retryable_errors():
                check_budget_limits(self)

    def execute(self, context: Context) -> list[Any]:
        """Allot the credits."""
        from airflow_provider_sixtyfour.tasks.budget import decide_budget

        for name in self._limits:
            if getattr(self, name) in (None, "None"):
                self.log.warning("%s is None, so it limits nothing.", name)
        with non_retryable_errors(self.log):
            decision = decide_budget(
                SixtyfourHook(self.sixtyfour_conn_id).client,
                estimate=self.estimate,
                batches=self.batches,
                max_credits=self.max_credits,
                max_credits_per_day=self.max_credits_per_day,
                log=self.log,
            )
        context["ti"].xcom_push(key="budget", value=decision.budget)
        context["ti"].xcom_push(key="estimate", value=decision.estimate)
        return decision.batches
