"""
From an input of any size to its results, in one call: split, enrich batch by batch, collect.

A batch that fails stops no other, and what is done is not paid for again; so the failed tasks are cleared, whatever
their number, and the group continues from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import TaskGroup, XComArg

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION
from airflow_provider_sixtyfour.operators._landing import LandingOperator
from airflow_provider_sixtyfour.operators.batches import SixtyfourSplitInputOperator
from airflow_provider_sixtyfour.operators.bulk import SixtyfourBulkEnrichOperator, check_way
from airflow_provider_sixtyfour.operators.collect import SixtyfourCollectBatchesOperator
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.storage.object_paths import SENT

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, ObjectStoragePath

BATCHES_AT_ONCE = 16
# What Airflow's grid shows of a mapped task in place of its number: "leads-00007 (5,000 rows)".
BATCH_LABEL = (
    "{{ task.source['path'].rsplit('/', 1)[-1].rsplit('.', 1)[0] }} ({{ '{:,}'.format(task.source['rows']) }} rows)"
)

# The parameters of the enrich tasks by which a batch is done or is paid for: the estimate needs the same.
_DECIDES_COST = (
    *("workflow_id", "destination", "specs_override", "format", "files", "output_format", "overwrite"),
    "sixtyfour_conn_id",
)
# What the pilot hasn't of them: it is not mapped, and the first batch's own task announces its results.
_NOT_OF_PILOT = ("max_active_tis_per_dagrun", "map_index_template", "outlets")


@dataclass(frozen=True)
class Enrichment:
    """
    The tasks of an enrichment, to put others before and after them.

    :param group: all of them: ``extract >> enrichment.group``.
    :param batches: what was sent, see ``SixtyfourSplitInputOperator``.
    :param results: what came back of each batch, see ``SixtyfourEnrichOperator``.
    :param output: the whole, see ``SixtyfourCollectBatchesOperator``: ``load(enrichment.output)``.
    """

    group: TaskGroup
    batches: XComArg
    results: XComArg
    output: XComArg


def sixtyfour_enrichment(
    *,
    workflow_id: str | XComArg | None = None,
    destination: str | ObjectStoragePath | XComArg,
    source: str | ObjectStoragePath | XComArg | None = None,
    rows: Any = None,
    merge_into: str | ObjectStoragePath | XComArg | None = None,
    max_rows: int | str | XComArg | None = None,
    max_runs: int | str | XComArg | None = None,
    validate_only: bool = False,
    approve_above_rows: float | str | XComArg | None = None,
    approve_above_credits: float | str | XComArg | None = None,
    pilot_rows: int | str | XComArg | None = None,
    min_fill_rate: Mapping[str, float | str] | XComArg | None = None,
    max_credits: float | str | XComArg | None = None,
    max_credits_per_day: float | str | XComArg | None = None,
    batches_at_once: int = BATCHES_AT_ONCE,
    split: Mapping[str, Any] | None = None,
    enrich: Mapping[str, Any] | None = None,
    bulk: Mapping[str, Any] | None = None,
    collect: Mapping[str, Any] | None = None,
    estimate: Mapping[str, Any] | None = None,
    approval: Mapping[str, Any] | None = None,
    group_id: str = "sixtyfour_enrichment",
    default_args: Mapping[str, Any] | None = None,
    sixtyfour_conn_id: str = DEFAULT_CONNECTION,
) -> Enrichment:
    """
    Add tasks to the Dag that split an input, enrich each batch in one mapped, deferred task, and collect the results.

    The tasks are ``split``, ``enrich`` and ``collect``; with a pilot, a limit or an approval, also ``pilot``,
    ``estimate``, ``budget`` and ``approve`` before ``enrich``, but not with ``validate_only``. Batches are sent from
    ``sent/`` below the destination, each lands in a folder of its own there, and ``_manifest.json`` summarises all of
    them. After batches have failed, ``collect`` fails too, and names them. Behind a skipped task all are skipped. Where
    a parameter is the output of an upstream task, the group waits for that task.

    :param workflow_id: the stored workflow; it begins with a ``read_csv`` block. (templated)
    :param bulk: instead, what to find by Bulk Intelligence: parameters of ``SixtyfourBulkEnrichOperator``, such as
        ``{"kind": "people", "struct": {"title": "Job title"}, "max_cost_cents": 500}``; each batch is then one job, and
        ``max_cost_cents`` holds for each.
    :param destination: the folder to write to, as a URL; the input's own. (templated)
    :param source: the input, as for ``SixtyfourSplitInputOperator``. (templated)
    :param rows: instead, rows of an upstream task, likewise. (templated)
    :param merge_into: a file for the rows of all batches, as for ``SixtyfourCollectBatchesOperator``. (templated)
    :param max_rows: fail before anything is sent if there are more rows than this. (templated)
    :param max_runs: fail before anything is sent if there would be more runs than this; a retry that replaces a failed
        run is not counted. (templated)
    :param validate_only: whether to only split and check, and log what would be sent. Asks the API for nothing.
    :param approve_above_rows: ask somebody before more rows than this are paid for, on Airflow 3.1 or later; see
        ``SixtyfourApprovalOperator``. After *Reject*, ``enrich`` and ``collect`` are skipped. (templated)
    :param approve_above_credits: the same by the estimated cost. (templated)
    :param pilot_rows: how many rows to enrich first, as a batch of their own, before the rest is estimated, approved
        and started; see ``SixtyfourPilotOperator``. They are not paid for again. (templated)
    :param min_fill_rate: the share of values of a column that has to be filled in the pilot: ``{"email": 0.3}``; if
        fewer are, the rest is not started. (templated)
    :param max_credits: what the input may cost, what is done included: batches that don't fit are left out, and
        ``collect`` fails and says so; see ``SixtyfourBudgetOperator``. (templated)
    :param max_credits_per_day: what all runs of the connection may cost since midnight UTC, likewise. (templated)
    :param batches_at_once: how many batches of one Dag run are under way at once. Airflow counts deferred tasks in from
        3.3 on; before, a pool that includes them does (``enrich={"pool": …}``).
    :param split: other parameters of ``SixtyfourSplitInputOperator``: ``delimiter``, ``rename_columns`` …
    :param enrich: other parameters of ``SixtyfourEnrichOperator`` or ``SixtyfourBulkEnrichOperator``: ``format``,
        ``timeout``, ``retries``, ``pool`` …
    :param collect: other parameters of ``SixtyfourCollectBatchesOperator``: ``outlets`` (one asset event for the whole
        input, where those of ``enrich`` make one for each batch), ``retries`` …
    :param estimate: other parameters of ``SixtyfourEstimateCostOperator``: ``cost_metric``, ``rows_metric`` …
    :param approval: other parameters of ``SixtyfourApprovalOperator``: ``assigned_users``, ``notifiers``,
        ``response_timeout`` …
    :param group_id: the group's name in the Dag.
    :param default_args: of the group's tasks, as for any ``TaskGroup``.
    :param sixtyfour_conn_id: the connection. (templated)
    :raises SixtyfourInputError: if a parameter can't be right.
    """
    check_way(workflow_id, bulk)
    limits = {
        "approve_above_rows": approve_above_rows,
        "approve_above_credits": approve_above_credits,
        "pilot_rows": pilot_rows,
        "max_credits": max_credits,
        "max_credits_per_day": max_credits_per_day,
    }
    given = [name for name, value in limits.items() if value is not None]
    _check_limits(given, bulk=bulk, approval=approval, min_fill_rate=min_fill_rate)
    if pilot_rows is not None and (enrich or {}).get("overwrite"):
        raise SixtyfourInputError("pilot_rows can't be with overwrite: the pilot's rows would be paid for twice.")
    operator: type[LandingOperator] = SixtyfourEnrichOperator if bulk is None else SixtyfourBulkEnrichOperator
    of_enrich: dict[str, Any] = {
        "task_id": "enrich",
        **({"workflow_id": workflow_id} if bulk is None else bulk),
        "destination": destination,
        "deferrable": True,
        "validate_only": validate_only,
        "max_active_tis_per_dagrun": batches_at_once,
        "map_index_template": BATCH_LABEL,
        "sixtyfour_conn_id": sixtyfour_conn_id,
        **(enrich or {}),
    }
    of_group: dict[str, Any] = {"group_id": group_id, "default_args": dict(default_args or {})}
    with TaskGroup(**of_group) as group:
        batches = SixtyfourSplitInputOperator(
            **{
                "task_id": "split",
                "source": source,
                "rows": rows,
                "destination": destination,
                "subfolder": SENT,
                "max_rows": max_rows,
                "max_runs": max_runs,
                "pilot_rows": pilot_rows,
                **(split or {}),
            }
        ).output
        before = _BeforeRuns(batches)
        if given and not of_enrich["validate_only"]:  # which pays for nothing
            before = _before_runs(batches, of_enrich, limits, min_fill_rate, estimate or {}, approval)
        enriched = operator.partial(**of_enrich, **before.for_enrich).expand(source=before.to_enrich)
        collected = SixtyfourCollectBatchesOperator(
            **{
                "task_id": "collect",
                "batches": batches,
                "results": enriched.output,
                "destination": destination,
                "merge_into": merge_into,
                "trigger_rule": "all_done",
                **before.for_collect,
                **(collect or {}),
            }
        )
        if before.approve is not None:
            before.approve >> [enriched, collected]  # both are directly downstream: Reject skips both
    return Enrichment(group, batches, enriched.output, collected.output)


@dataclass(frozen=True)
class _BeforeRuns:
    """
    What comes between the split and the runs.

    :param to_enrich: the batches that may be enriched.
    :param approve: the task that asks, if there is one.
    :param for_enrich: parameters of the enrich tasks that come of it.
    :param for_collect: parameters of the collection that come of it.
    """

    to_enrich: XComArg
    approve: BaseOperator | None = None
    for_enrich: Mapping[str, Any] = field(default_factory=dict)
    for_collect: Mapping[str, Any] = field(default_factory=dict)


def _check_limits(
    given: Sequence[str], *, bulk: Mapping[str, Any] | None, approval: Mapping[str, Any] | None, min_fill_rate: Any
) -> None:
    """
    Check which limits are given together.

    :param given: their names.
    :raises SixtyfourInputError: if they can't be.
    """
    if bulk is not None and given:
        raise SixtyfourInputError(
            f"{given[0]} is for a workflow, whose runs say what a row costs. Limit the cost of each bulk job by "
            "max_cost_cents in bulk."
        )
    if approval is not None and not {"approve_above_rows", "approve_above_credits"} & {*given}:
        raise SixtyfourInputError("approval is given without approve_above_rows or approve_above_credits.")
    if min_fill_rate is not None and "pilot_rows" not in given:
        raise SixtyfourInputError("min_fill_rate is given without pilot_rows, whose results it is about.")


def _before_runs(
    batches: XComArg,
    of_enrich: Mapping[str, Any],
    limits: Mapping[str, Any],
    min_fill_rate: Any,
    of_estimate: Mapping[str, Any],
    approval: Mapping[str, Any] | None,
) -> _BeforeRuns:
    # Imported here, since many Dags need none of it, and the approval loads Airflow's human-in-the-loop operators.
    from airflow_provider_sixtyfour.operators.budget import SixtyfourBudgetOperator
    from airflow_provider_sixtyfour.operators.costs import SixtyfourEstimateCostOperator

    pilot = None
    if limits["pilot_rows"] is not None:
        from airflow_provider_sixtyfour.operators.pilot import SixtyfourPilotOperator

        like_enrich = {name: value for name, value in of_enrich.items() if name not in _NOT_OF_PILOT}
        pilot = SixtyfourPilotOperator(
            **{
                **like_enrich,
                "task_id": "pilot",
                "batches": batches,
                "min_fill_rate": min_fill_rate,
                "max_credits": limits["max_credits"],
            }
        )
    decides = {name: value for name, value in of_enrich.items() if name in _DECIDES_COST}
    estimated = SixtyfourEstimateCostOperator(
        **{
            "task_id": "estimate",
            "batches": batches,
            "pilot": None if pilot is None else pilot.output,
            **decides,
            **of_estimate,
        }
    ).output
    budget = SixtyfourBudgetOperator(
        task_id="budget",
        batches=batches,
        estimate=estimated,
        max_credits=limits["max_credits"],
        max_credits_per_day=limits["max_credits_per_day"],
        sixtyfour_conn_id=of_enrich["sixtyfour_conn_id"],
    )
    above = {name: limits[name] for name in ("approve_above_rows", "approve_above_credits")}
    approve = None
    if any(limit is not None for limit in above.values()):
        from airflow_provider_sixtyfour.operators.approval import SixtyfourApprovalOperator

        approve = SixtyfourApprovalOperator(
            **{"task_id": "approve", "estimate": XComArg(budget, key="estimate"), **above, **(approval or {})}
        )
    is_limited = limits["max_credits"] is not None or limits["max_credits_per_day"] is not None
    return _BeforeRuns(
        budget.output,
        approve,
        for_enrich={"budget": XComArg(budget, key="budget")} if is_limited else {},
        for_collect={
            **({"budget": XComArg(budget, key="budget")} if is_limited else {}),
            **({} if approve is None else {"approval": approve.output}),
        },
    )
