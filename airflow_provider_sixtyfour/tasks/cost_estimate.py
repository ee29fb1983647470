"""What an enrichment would cost: the rows that are still to be paid for, times what a row has cost so far."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.batches.collect import references
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourInputError, SixtyfourNotFoundError
from airflow_provider_sixtyfour.inputs.limits import read_limit
from airflow_provider_sixtyfour.results.earlier_landing import landed_work
from airflow_provider_sixtyfour.results.options import LandingOptions
from airflow_provider_sixtyfour.runs.cost_estimate import RUNS, CostEstimate, estimate
from airflow_provider_sixtyfour.runs.status import COMPLETED
from airflow_provider_sixtyfour.tasks.batch_input import batch_folder, enrich_input
from airflow_provider_sixtyfour.tasks.batch_log import count, number

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.runs.log import Log

AT_ONCE = 8  # manifests that are read side by side


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
        to_pay, done, left, paid = _checked_rows(rows), 0, None, None
    else:
        every = list(references(batches, "batches", ("path", "rows", "bytes", "sha256")))
        is_done = partial(
            _is_done,
            workflow_id=workflow_id,
            destination=destination,
            specs_override=specs_override,
            landing=landing,
        )
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sixtyfour-estimate") as threads:
            states = list(threads.map(is_done, every))
        to_pay = sum(batch["rows"] for batch, state in zip(every, states, strict=True) if not state)
        done = sum(batch["rows"] for batch in every) - to_pay
        left, paid = states.count(False), states.count(True)
    listed = client.send(calls.list_runs(status=COMPLETED, workflow_id=workflow_id, limit=RUNS))
    found = estimate(to_pay, (run.metrics for run in listed), cost_metric=cost_metric, rows_metric=rows_metric)
    balance = _balance(client, log)
    log.info("%s Workflow %s.", _sentence(found, left, done, balance), workflow_id)
    return {**found.as_value(), "rows_done": done, "batches": left, "batches_done": paid, "balance": balance}


def _checked_rows(rows: Any) -> int:
    limit = read_limit(rows, "rows", "rows")
    if limit is None or not limit.is_integer():
        raise SixtyfourInputError(f"rows should be a number of rows, not {rows!r:.60}.")
    return int(limit)


def _is_done(
    batch: Mapping[str, Any], *, workflow_id: str, destination: Any, specs_override: Any, landing: LandingOptions
) -> bool:
    """Return whether the results of a batch are at its destination, so that its task would pay for nothing."""
    given = enrich_input(source=batch, rows=None, specs_override=specs_override, max_rows=sys.maxsize)
    digest = given.digest(workflow_id, landing.run_formats)
    return landed_work(batch_folder(destination, batch, None), replace(landing, input=digest)) is not None


def _balance(client: SixtyfourClient, log: Log) -> float | None:
    try:
        credits: float = client.send(calls.check_balance(), attempts=2)
    except SixtyfourNotFoundError:  # a server without that call
        return None
    except SixtyfourError as error:  # not worth failing for
        log.warning("Could not read the balance: %s", error)
        return None
    return credits


def _sentence(found: CostEstimate, left: int | None, done: int, balance: float | None) -> str:
    has = "" if balance is None else f" Balance: {number(balance)} credits."
    of_batches = "" if left is None else f" in {count(left, 'batch', 'batches')}"
    also = f" ({count(done, 'row')} more are done)" if done else ""
    what = f"{count(found.rows, 'row')}{of_batches}{also}"
    if not found.rows:
        return f"Nothing is to be paid for: {count(done, 'row')} are done.{has}"
    if found.per_row is None or found.total is None:
        names = f"; what runs do have: {', '.join(found.named)}" if found.named else ""
        return f"No estimate for {what}: the workflow has no completed run with {found.wanted}{names}.{has}"
    total, each = found.total, found.per_row
    spread = f"{_shown(total.lowest)} to {_shown(total.highest)}"
    return (
        f"Estimate: {_shown(total.median)} {found.metric} ({spread}) for {what}, "
        f"at {each.median:.4g} a row ({each.lowest:.4g} to {each.highest:.4g}) in {count(found.runs, 'completed run')}."
        f"{has}"
    )


def _shown(cost: float) -> str:
    return number(round(cost, 2))
