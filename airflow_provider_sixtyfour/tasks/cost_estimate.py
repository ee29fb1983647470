"""What an enrichment would cost: the rows that are still to be paid for, times what a row has cost so far."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.metrics import used
from airflow_provider_sixtyfour.batches.collect import references
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourInputError, SixtyfourNotFoundError
from airflow_provider_sixtyfour.inputs.limits import read_limit
from airflow_provider_sixtyfour.results.options import LandingOptions
from airflow_provider_sixtyfour.runs.cost_estimate import RUNS, CostEstimate, estimate
from airflow_provider_sixtyfour.runs.pilot import fill_rates, pilot_metrics
from airflow_provider_sixtyfour.runs.status import COMPLETED
from airflow_provider_sixtyfour.tasks.batch_log import cost_text, count, number
from airflow_provider_sixtyfour.tasks.done_batches import BatchOptions

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.runs.log import Log


class _Known(NamedTuple):
    """
    What is known of an input.

    :param to_pay: rows that are to be paid for.
    :param rows_done: rows that are not paid for again.
    :param batches: how many are to be paid for; ``None`` where only a number of rows is given.
    :param done: the places of the others, likewise.
    :param spent: what these have cost.
    """

    to_pay: int
    rows_done: int = 0
    batches: int | None = None
    done: list[int] | None = None
    spent: float = 0.0


def estimate_workflow(
    client: SixtyfourClient,
    *,
    workflow_id: str,
    rows: Any,
    batches: Any,
    destination: Any,
    specs_override: Any,
    landing: LandingOptions,
    cost_metric: str,
    rows_metric: str,
    pilot: Any = None,
    log: Log,
) -> dict[str, Any]:
    """
    Estimate what the rows of an input will cost; see `SixtyfourEstimateCostOperator` for the parameters and the value.

    :raises SixtyfourInputError: if a parameter can't be right.
    :raises SixtyfourTransferError: if the destination can't be read.
    :raises SixtyfourRefusedError: if the API refuses to list the workflow's runs.
    :raises SixtyfourUnavailableError: if it can't be reached.
    """
    calls.identifier(workflow_id, "workflow_id")
    if (rows is None) == (batches is None):
        raise SixtyfourInputError("Give rows, a number, or batches, and not both.")
    if batches is None:
        known = _Known(_checked_rows(rows))
    else:
        known = _look(batches, BatchOptions(workflow_id, destination, specs_override, landing), cost_metric)
    price = partial(estimate, known.to_pay, cost_metric=cost_metric, rows_metric=rows_metric)
    found = price([pilot_metrics(pilot)])
    is_pilot = found.per_row is not None
    if not is_pilot:
        listed = client.send(calls.list_runs(status=COMPLETED, workflow_id=workflow_id, limit=RUNS))
        found = price([run.metrics for run in listed])
    balance = _balance(client, log)
    log.info("%s Workflow %s.", _sentence(found, known, balance, is_pilot=is_pilot), workflow_id)
    return {
        **found.as_value(),
        "rows_done": known.rows_done,
        "batches": known.batches,
        "batches_done": None if known.done is None else len(known.done),
        "done": known.done,
        "spent": known.spent,
        "balance": balance,
        "pilot": _of_pilot(pilot),
    }


def _look(batches: Any, options: BatchOptions, cost_metric: str) -> _Known:
    """Look which batches are done."""
    every = list(references(batches, "batches", ("path", "rows", "bytes", "sha256")))
    states = options.of_each(options.done, every)
    done = [place for place, state in enumerate(states) if state is not None]
    to_pay = sum(batch["rows"] for batch, state in zip(every, states, strict=True) if state is None)
    return _Known(
        to_pay=to_pay,
        rows_done=sum(batch["rows"] for batch in every) - to_pay,
        batches=len(every) - len(done),
        done=done,
        spent=sum(used(state.metrics, cost_metric) or 0.0 for state in states if state is not None),
    )


def _of_pilot(pilot: Any) -> dict[str, Any] | None:
    """Return what whoever approves reads of the pilot."""
    if not isinstance(pilot, Mapping):
        return None
    return {"rows": pilot.get("rows"), "fill_rates": fill_rates(pilot.get("quality"))}


def _checked_rows(rows: Any) -> int:
    limit = read_limit(rows, "rows", "rows")
    if limit is None or not limit.is_integer():
        raise SixtyfourInputError(f"rows should be a number of rows, not {rows!r:.60}.")
    return int(limit)


def _balance(client: SixtyfourClient, log: Log) -> float | None:
    try:
        credits: float = client.send(calls.check_balance(), attempts=2)
    except SixtyfourNotFoundError:  # a server without that call
        return None
    except SixtyfourError as error:  # not worth failing for
        log.warning("Could not read the balance: %s", error)
        return None
    return credits


def _sentence(found: CostEstimate, known: _Known, balance: float | None, *, is_pilot: bool) -> str:
    has = "" if balance is None else f" Balance: {number(balance)} credits."
    of_batches = "" if known.batches is None else f" in {count(known.batches, 'batch', 'batches')}"
    also = f" ({count(known.rows_done, 'row')} more are done)" if known.rows_done else ""
    what = f"{count(found.rows, 'row')}{of_batches}{also}"
    if not found.rows:
        return f"Nothing is to be paid for: {count(known.rows_done, 'row')} are done.{has}"
    if found.per_row is None or found.total is None:
        names = f"; what runs do have: {', '.join(found.named)}" if found.named else ""
        return f"No estimate for {what}: the workflow has no completed run with {found.wanted}{names}.{has}"
    total, each = found.total, found.per_row
    if is_pilot:
        price = f"{each.median:.4g} a row in the pilot"
        return f"Estimate: {cost_text(total.median)} {found.metric} for {what}, at {price}.{has}"
    spread = f"{cost_text(total.lowest)} to {cost_text(total.highest)}"
    return (
        f"Estimate: {cost_text(total.median)} {found.metric} ({spread}) for {what}, "
        f"at {each.median:.4g} a row ({each.lowest:.4g} to {each.highest:.4g}) in {count(found.runs, 'completed run')}."
        f"{has}"
    )
