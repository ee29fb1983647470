"""
An operator that asks somebody before much is paid for: Airflow's own human-in-the-loop approval, with the price.

Airflow has it from 3.1 on. On an older one the operator fails its task above a limit, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.runs.approval import Limits, Spending
from airflow_provider_sixtyfour.tasks.airflow_version import HAS_APPROVALS
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.literals import can_check
from airflow_provider_sixtyfour.tasks.parameter_checks import check_approval

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.standard.operators.hitl import ApprovalOperator
else:
    ApprovalOperator = BaseOperator
    if HAS_APPROVALS:
        with suppress(ImportError):  # no standard provider, or one from before 3.1
            from airflow.providers.standard.operators.hitl import ApprovalOperator

CAN_ASK = ApprovalOperator is not BaseOperator
REJECT = "Reject"
_OF_APPROVALS = (
    *("subject", "body", "defaults", "params", "notifiers", "assigned_users", "response_timeout"),
    *("fail_on_reject", "ignore_downstream_trigger_rules"),
)


class SixtyfourApprovalOperator(ApprovalOperator):
    """
    Let small work pass, and ask somebody about large work before anything is paid for.

    It is a task between the estimate and what starts runs. When it asks, it waits without a worker slot, as
    *Required actions* in Airflow: *Approve* continues, *Reject* skips the tasks directly downstream. Nobody is asked
    where all is done already, or no limit is exceeded.

    On Airflow before 3.1, which can't ask, the task fails above a limit.

    :param estimate: what ``SixtyfourEstimateCostOperator`` returned. (templated)
    :param approve_above_rows: ask if more rows than this would be paid for. (templated)
    :param approve_above_credits: ask if the median estimate exceeds this, or the cost is unknown. (templated)
    :param assigned_users: who may answer, as for Airflow's ``ApprovalOperator``; as are ``notifiers``,
        ``response_timeout``, ``fail_on_reject`` and ``ignore_downstream_trigger_rules``.
    :param defaults: the answer after ``response_timeout``. Default: ``Reject``, which spends nothing.

    :returns: ``approved``, whether somebody was ``asked``, ``by`` whom and ``at`` what time it was decided, and at
        which price: ``rows``, ``cost`` (``None`` if unknown) and ``metric``.
    :raises AirflowFailException: if a parameter can't be right; before Airflow 3.1 also above a limit.
    """

    template_fields: Sequence[str] = (
        *("estimate", "approve_above_rows", "approve_above_credits"),
        *ApprovalOperator.template_fields,
    )
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        estimate: Any,
        approve_above_rows: float | str | None = None,
        approve_above_credits: float | str | None = None,
        **kwargs: Any,
    ) -> None:
        of_approvals: dict[str, Any] = {"subject": "Spend credits?", "defaults": REJECT}
        of_approvals |= {name: kwargs.pop(name) for name in _OF_APPROVALS if name in kwargs}
        super().__init__(**(of_approvals if CAN_ASK else {}), **kwargs)
        self.estimate = estimate
        self.approve_above_rows = approve_above_rows
        self.approve_above_credits = approve_above_credits
        if can_check(self, SixtyfourApprovalOperator):
            with non_retryable_errors():
                check_approval(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare the estimate with the limits, and ask where one is exceeded."""
        with non_retryable_errors(self.log):
            limits = Limits.read(self.approve_above_rows, self.approve_above_credits)
            spending = Spending.read(self.estimate)
        reason = spending.exceeds(limits)
        if reason is None:
            self.log.info("Not asked: %s, within the limits.", spending)
            return spending.decided(approved=True, asked=False)
        if not CAN_ASK:
            self._fail(reason)
        # Set here: templates have been rendered, so what an estimate has in it is text.
        self.subject, self.body = spending.question(), spending.explanation(reason)
        self.log.info("Asking for approval: %s.", reason)
        super().execute(context)  # which does not return: the task waits
        raise AssertionError("the task did not wait for an answer")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Conclude what was answered; after *Reject* the tasks downstream are skipped."""
        chosen = event.get("chosen_options")
        approved = chosen == [self.APPROVE]
        spending = Spending.read(self.estimate)
        decided = spending.decided(
            approved=approved, asked=True, by=event.get("responded_by_user"), at=event.get("responded_at")
        )
        if chosen:
            by = decided["by"] or "nobody in time, so by default"
            self.log.info("%s by %s: %s.", "Approved" if approved else "Rejected", by, spending)
        if not approved:  # Airflow 3 skips what is downstream by an exception, so nothing would be returned
            context["ti"].xcom_push(key="return_value", value=decided)
        super().execute_complete(context, event)
        return decided

    def _fail(self, reason: str) -> None:
        from airflow.providers.common.compat.sdk import AirflowFailException

        message = (
            f"{reason[:1].upper()}{reason[1:]}. Nothing was sent: this Airflow can't ask for approval (3.1 and later "
            "can). Raise the limit and clear this task to approve it."
        )
        self.log.error("%s", message)
        raise AirflowFailException(message)
