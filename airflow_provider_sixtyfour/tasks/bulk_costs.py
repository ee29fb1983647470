"""What a bulk job costs: the estimate of the answer that starts it, the limit that it is held to, and the charge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.api.job_kinds import BULK_JOB, CHARGE, ESTIMATE
from airflow_provider_sixtyfour.exceptions import SixtyfourError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.runs.log import Log
    from airflow_provider_sixtyfour.runs.status import RunOutcome
    from airflow_provider_sixtyfour.tasks.run_control import RunControl


def hold_to_limit(
    control: RunControl, job_id: str, estimate: float | None, limit: float | None, log: Log, *, is_new_job: bool
) -> None:
    """
    Log what a job will cost, and cancel it if that is more than it may, or if the API does not say.

    :param estimate: cents; ``None`` where it isn't known: only the answer that starts the job has it.
    :param is_new_job: whether it was that answer; a job whose estimate was lost with an answer is kept.
    :raises AirflowFailException: if it exceeds the limit, or could not be compared with it.
    :raises SixtyfourUnavailableError: if the API can't be reached to cancel the job: the next try does.
    """
    if estimate is None and (limit is None or not is_new_job):
        say = log.info if limit is None else log.warning
        unchecked = "" if limit is None else f" It could not be compared with max_cost_cents ({limit:g})."
        say("The estimated cost is not known.%s Job %s.", unchecked, job_id)
        return
    if estimate is not None:
        log.info("Estimated cost: %g cents, a floor of what is charged. Job %s.", estimate, job_id)
    if limit is None or (estimate is not None and estimate <= limit):
        return
    from airflow.providers.common.compat.sdk import AirflowFailException

    from airflow_provider_sixtyfour.runs.cancel import cancel

    outcome = cancel(control.client, job_id, kind=BULK_JOB)
    control.metrics.cancelled(outcome)
    control.over()
    what = f"The API gives no estimate to compare with max_cost_cents ({limit:g}). Leave the limit out to go without."
    if estimate is not None:
        what = (
            f"The estimated cost of {estimate:g} cents exceeds max_cost_cents ({limit:g}). The estimate is a floor: "
            "the job could have cost more."
        )
    reason = f"{what} {outcome.describe(control.client.base_url)}"
    log.error("%s", reason)
    raise AirflowFailException(reason)


def with_estimate(ended: RunOutcome, estimate: float | None) -> RunOutcome:
    """Return the end of a job with what the API said that it would cost."""
    return ended if estimate is None else ended._replace(metrics={ESTIMATE: estimate, **ended.metrics})


def with_charge(client: SixtyfourClient, ended: RunOutcome, log: Log) -> RunOutcome:
    """Return the end of a job with what was charged for it; the API is asked where the end came from a list of runs."""
    if CHARGE not in ended.metrics:
        try:
            status = client.send(BULK_JOB.status(ended.job_id), attempts=2)
        except SixtyfourError as error:  # what it is good for is no reason to fail a task
            log.warning("Could not read what was charged: %s Job %s.", error, ended.job_id)
        else:
            ended = ended._replace(metrics={**ended.metrics, **status.metrics})
    if (charge := ended.metrics.get(CHARGE)) is not None:
        log.info("Charged: %g cents. Job %s.", charge, ended.job_id)
    return ended
