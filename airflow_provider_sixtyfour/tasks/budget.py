"""What an input may cost: which of its batches are to be enriched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.metrics import used
from airflow_provider_sixtyfour.batches.collect import references
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.inputs.limits import read_limit
from airflow_provider_sixtyfour.runs.approval import Spending
from airflow_provider_sixtyfour.runs.budget import Allotment, allot, exceeds
from airflow_provider_sixtyfour.tasks.batch_log import cost_text, count, short
from airflow_provider_sixtyfour.tasks.budget_checks import MOST_LISTED

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.runs.log import Log

NAMED = 5  # batches that a message names
PER_INPUT, PER_DAY = "max_credits", "max_credits_per_day"


class Decision(NamedTuple):
    """
    What `SixtyfourBudgetOperator` returns, and pushes.

    :param batches: to be enriched, those that are done included.
    :param budget: the XCom ``budget``.
    :param estimate: the XCom ``estimate``: of these batches alone.
    """

    batches: list[Any]
    budget: dict[str, Any]
    estimate: dict[str, Any]


class _Estimated(NamedTuple):
    """
    What an estimate says of some batches.

    :param spending: of those that are to be paid for.
    :param done: the places of the others.
    :param spent: what these have cost.
    :param per_row: what a row is expected to cost; ``None`` if nobody knows.
    """

    spending: Spending
    done: frozenset[int]
    spent: float
    per_row: float | None


class _Limit(NamedTuple):
    """What all batches of an input may cost together, and the parameter that says so."""

    credits: float
    name: str


def decide_budget(
    client: SixtyfourClient, *, estimate: Any, batches: Any, max_credits: Any, max_credits_per_day: Any, log: Log
) -> Decision:
    """
    Decide which batches are to be enriched; see `SixtyfourBudgetOperator` for the parameters.

    :raises SixtyfourInputError: if a parameter can't be right, the price isn't known, no batch fits, or the balance
        doesn't suffice.
    :raises SixtyfourRefusedError: if the API refuses to list the runs.
    :raises SixtyfourUnavailableError: if it can't be reached.
    """
    every = list(references(batches, "batches", ("path", "rows", "bytes", "sha256")))
    estimated = _read(estimate, len(every))
    limit = _limit(client, estimated, max_credits, max_credits_per_day, log)
    allotted = _allotted(every, estimated, limit, log)
    to_pay = [every[place] for place in allotted.fitting]
    starting = count(len(to_pay) - len(estimated.done), "batch", "batches")
    spending = estimated.spending
    if spending.rows and spending.balance is not None and exceeds(allotted.cost, spending.balance):
        raise SixtyfourInputError(
            f"The balance of {cost_text(spending.balance)} credits doesn't suffice: {starting} would take about "
            f"{cost_text(allotted.cost)}. Nothing was sent. Buy credits, or set max_credits to enrich a part; then "
            "clear the estimate, with downstream."
        )
    rows_left_out = sum(every[place]["rows"] for place in allotted.left_out)
    rows = spending.rows - rows_left_out
    cost = "an unknown cost" if spending.cost is None else f"about {cost_text(allotted.cost)} {spending.metric}"
    log.info("To be enriched: %s in %s, for %s.", count(rows, "row"), starting, cost)
    budget = {
        "limit": None if limit is None else limit.credits,
        "limited_by": None if limit is None else limit.name,
        "metric": spending.metric,
        "per_row": estimated.per_row,
        "spent": estimated.spent,
        "expected": allotted.cost,
        "batches_left_out": len(allotted.left_out),
        "rows_left_out": rows_left_out,
        "to_pay": [] if limit is None else to_pay,
    }
    return Decision(to_pay, budget, _of_part(estimate, rows, spending.rows))


def _read(estimate: Any, batches: int) -> _Estimated:
    """
    Read what ``SixtyfourEstimateCostOperator`` returned.

    :param batches: how many there are.
    :raises SixtyfourInputError: if it is something else, or of other batches.
    """
    spending = Spending.read(estimate)
    match estimate:
        case {"done": list(done), "spent": float() | int() as spent, "per_row": per_row} if all(
            isinstance(place, int) and 0 <= place < batches for place in done
        ):
            price = None if spending.cost is None or not isinstance(per_row, Mapping) else per_row.get("median")
            return _Estimated(spending, frozenset(done), float(spent), price)
    raise SixtyfourInputError(
        "estimate should be what SixtyfourEstimateCostOperator returns of the same batches: clear it, with downstream."
    )


def _limit(
    client: SixtyfourClient, estimated: _Estimated, max_credits: Any, max_credits_per_day: Any, log: Log
) -> _Limit | None:
    """Return what all batches may cost together, those that are done included; ``None`` for no limit."""
    limit = read_limit(max_credits, PER_INPUT, "credits")
    per_day = read_limit(max_credits_per_day, PER_DAY, "credits")
    limits = [] if limit is None else [_Limit(limit, PER_INPUT)]
    if per_day is not None:
        left = max(0.0, per_day - _used_today(client, estimated.spending.metric, log))
        limits.append(_Limit(estimated.spent + left, PER_DAY))
    return min(limits, default=None)


def _allotted(every: Sequence[Mapping[str, Any]], estimated: _Estimated, limit: _Limit | None, log: Log) -> Allotment:
    """Return the batches that a limit pays for; log which it doesn't."""
    spending = estimated.spending
    if limit is None or not spending.rows:
        return Allotment(tuple(range(len(every))), (), spending.cost or 0.0)
    if estimated.per_row is None:
        raise SixtyfourInputError(
            f"{limit.name} can't be enforced: no completed run of the workflow says what a row costs in "
            f"{spending.metric}. Nothing was sent. Set pilot_rows, so that a few rows show the price; or leave the "
            "limit out for the first input."
        )
    rows = [batch["rows"] for batch in every]
    allotted = allot(rows, estimated.done, estimated.per_row, limit.credits - estimated.spent)
    if allotted.left_out:
        out = [every[place] for place in allotted.left_out]
        left = max(0.0, limit.credits - estimated.spent)
        reason = (
            f"{limit.name} leaves out {count(len(out), 'batch', 'batches')} with "
            f"{count(sum(batch['rows'] for batch in out), 'row')} ({_names(out)}): {cost_text(estimated.spent)} "
            f"{spending.metric} are spent, {cost_text(left)} are left, and the next batch would take about "
        )
        needed = allotted.cost + out[0]["rows"] * estimated.per_row
        if len(allotted.fitting) == len(estimated.done):
            raise SixtyfourInputError(
                f"{reason}{cost_text(needed)}. No run was started. Raise {limit.name} and clear this task, with "
                "downstream: what is done is not paid for again."
            )
        log.warning("%s%s with those before it.", reason, cost_text(needed))
    return allotted


def _used_today(client: SixtyfourClient, metric: str, log: Log) -> float:
    """Return what all runs since midnight, UTC, have used, as far as the API lists them."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    listed = client.send(calls.list_runs(limit=MOST_LISTED))
    today = [run for run in listed if run.created_at is not None and run.created_at >= midnight]
    if len(today) == MOST_LISTED:
        log.warning("The API lists %d runs at most, all of today: earlier ones of today are not counted.", MOST_LISTED)
    spent = sum(used(run.metrics, metric) or 0.0 for run in today)
    log.info("Used since midnight UTC: %s %s by %s.", cost_text(spent), metric, count(len(today), "run"))
    return spent


def _of_part(estimate: Mapping[str, Any], rows: int, of: int) -> dict[str, Any]:
    """Return the estimate of a part of the rows."""
    cost = estimate["cost"]
    if isinstance(cost, Mapping) and of:
        cost = {name: value * rows / of for name, value in cost.items()}
    return {**estimate, "rows": rows, "cost": cost}


def _names(batches: Sequence[Mapping[str, Any]]) -> str:
    names = [short(batch["path"]) for batch in batches[:NAMED]]
    more = len(batches) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")
