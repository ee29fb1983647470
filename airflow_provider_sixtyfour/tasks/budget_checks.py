"""Whether one more run may be started: by a limit for one run, and by what the batches of an input have used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.metrics import used
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.inputs.limits import read_limit
from airflow_provider_sixtyfour.runs.budget import BatchCost, Budget, RunState, RunUse, batch_cost, exceeds
from airflow_provider_sixtyfour.runs.cost_estimate import COST_METRIC, RUNS, estimate
from airflow_provider_sixtyfour.runs.status import COMPLETED, FAILED, canonical
from airflow_provider_sixtyfour.tasks.batch_log import cost_text
from airflow_provider_sixtyfour.tasks.done_batches import BatchOptions, BatchWork
from airflow_provider_sixtyfour.tasks.started_runs import StartedRun, started_runs

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.api.models import ListedRun
    from airflow_provider_sixtyfour.results.manifest import Manifest
    from airflow_provider_sixtyfour.runs.log import Log

MOST_LISTED = 500  # runs, all that the API lists


class _State(NamedTuple):
    """
    What is at the destination of a batch.

    :param work: what is to be done with it.
    :param done: the manifest of its results; ``None`` if there are none.
    :param started: the runs that were started for it.
    """

    work: BatchWork
    done: Manifest | None
    started: list[StartedRun]


def check_budget(client: SixtyfourClient, budget: Any, source: Any, options: BatchOptions, log: Log) -> None:
    """
    Check that a run of a batch can be paid for, from what the batches up to it have really used.

    :param budget: the XCom ``budget`` of ``SixtyfourBudgetOperator``; ``None`` for no limit.
    :param source: the batch.
    :raises SixtyfourInputError: if it can't, or ``budget`` is something else.
    :raises SixtyfourTransferError: if the destination can't be read.
    :raises SixtyfourRefusedError: if the API refuses to list the runs.
    :raises SixtyfourUnavailableError: if it can't be reached.
    """
    limits = None if budget is None else Budget.read(budget)
    if limits is None:
        return
    if not isinstance(source, Mapping):
        raise SixtyfourInputError("budget is for the batches of a split: source should be one of them.")

    def look(work: BatchWork) -> _State:
        return _State(work, options.done(work), started_runs(work.folder))

    states = options.of_each(look, limits.until(source["path"]))
    listed = _listed(client, options.workflow_id) if any(state.started for state in states) else {}
    costs = [_cost(state, listed, limits) for state in states]
    if refusal := limits.refusal(costs):
        raise SixtyfourInputError(
            f"{refusal}. No run was started. Raise max_credits and clear the task that sets the budget, with "
            "downstream: what is done is not paid for again."
        )
    spent, limit = sum(cost.spent for cost in costs), limits.limit
    log.info("Within the budget: %s of %s %s are spent.", cost_text(spent), cost_text(limit), limits.metric)


def _listed(client: SixtyfourClient, workflow_id: str) -> dict[str, ListedRun]:
    """Return the runs of a workflow, as far as the API lists them."""
    return {run.job_id: run for run in client.send(calls.list_runs(workflow_id=workflow_id, limit=MOST_LISTED))}


def _cost(state: _State, listed: Mapping[str, ListedRun], limits: Budget) -> BatchCost:
    metric, there = limits.metric, state.done
    done = None if there is None else RunUse(used(there.metrics, metric), RunState.COMPLETED)
    others = (run for run in state.started if there is None or run.job_id != there.job_id)
    uses = [_use(run, listed.get(run.job_id), state.work.digest, metric) for run in others]
    return batch_cost(state.work.rows * limits.per_row, done, uses)


def _use(started: StartedRun, listed: ListedRun | None, work: str, metric: str) -> RunUse:
    if listed is None:  # too old for the list
        return RunUse(None, RunState.USELESS)
    status = canonical(listed.status)
    state = RunState.COMPLETED if status == COMPLETED else RunState.UNDER_WAY
    is_useless = status in FAILED or started.work != work
    return RunUse(used(listed.metrics, metric), RunState.USELESS if is_useless else state)


def check_cost(
    client: SixtyfourClient, max_credits: Any, rows: int | None, workflow_id: str, *, unknown_passes: bool = False
) -> None:
    """
    Check that a run of some rows is not expected to cost more than a limit.

    :param unknown_passes: whether it may be started where no completed run says what a row costs.
    :raises SixtyfourInputError: if it is, or that isn't known, or the limit is no number.
    :raises SixtyfourRefusedError: if the API refuses to list the runs.
    :raises SixtyfourUnavailableError: if it can't be reached.
    """
    limit = read_limit(max_credits, "max_credits", "credits")
    if limit is None:
        return
    listed = client.send(calls.list_runs(status=COMPLETED, workflow_id=workflow_id, limit=RUNS))
    found = estimate(rows or 0, (run.metrics for run in listed))
    if found.per_row is None or rows is None:
        if unknown_passes and rows is not None:
            return
        why = "how many rows there are" if rows is None else f"what a row costs in {COST_METRIC}"
        raise SixtyfourInputError(
            f"max_credits can't be enforced: it isn't known {why}. No run was started. Leave the limit out for the "
            f"first input. Workflow {workflow_id}."
        )
    cost = found.per_row.times(rows).median
    if exceeds(cost, limit):
        raise SixtyfourInputError(
            f"The run would take about {cost_text(cost)} {COST_METRIC}, above max_credits ({cost_text(limit)}). No "
            f"run was started. Raise the limit, or send fewer rows. Workflow {workflow_id}."
        )
