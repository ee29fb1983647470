"""
What a workflow will probably cost for a number of rows: what a row has cost in its own completed runs.

The vendor documents no price of a workflow, and no names of a run's metrics; so which of them count are parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

RUNS = 50  # of a workflow, the newest that have completed
COST_METRIC = "credits_used"
ROWS_METRIC = "rows_in"


class CostRange(NamedTuple):
    """The median, lowest and highest of some costs."""

    median: float
    lowest: float
    highest: float

    def times(self, rows: int) -> CostRange:
        """Return the costs of so many rows."""
        return CostRange(*(cost * rows for cost in self))


class CostEstimate(NamedTuple):
    """
    What rows will probably cost.

    :param rows: how many.
    :param runs: from how many runs this is known.
    :param per_row: what a row cost in them; ``None`` if none of them says so.
    :param metric: in what, by the API's name.
    :param wanted: what a run has to say to be counted, as a reader reads it.
    :param named: the names of the metrics that runs do have, where ``per_row`` is ``None``.
    """

    rows: int
    runs: int
    per_row: CostRange | None
    metric: str
    wanted: str = ""
    named: tuple[str, ...] = ()

    @property
    def total(self) -> CostRange | None:
        """What all rows cost; nothing for no rows, whatever a row costs."""
        if self.rows == 0:
            return CostRange(0.0, 0.0, 0.0)
        return None if self.per_row is None else self.per_row.times(self.rows)

    def as_value(self) -> dict[str, Any]:
        """Return it as JSON types."""
        per_row, total = self.per_row, self.total
        return {
            "rows": self.rows,
            "metric": self.metric,
            "runs": self.runs,
            "per_row": None if per_row is None else per_row._asdict(),
            "cost": None if total is None else total._asdict(),
        }


def estimate(
    rows: int,
    metrics_of_runs: Iterable[Mapping[str, float]],
    *,
    cost_metric: str = COST_METRIC,
    rows_metric: str = ROWS_METRIC,
) -> CostEstimate:
    """
    Estimate what rows will cost.

    :param rows: how many will be paid for.
    :param metrics_of_runs: of each completed run, what it has used. A run that lacks one of the two numbers, or that
        had no rows, says nothing.
    :param cost_metric: the name of what a run has cost.
    :param rows_metric: the name of how many rows it had.
    """
    from statistics import median  # 8 ms that a Dag file need not pay

    of_runs = list(metrics_of_runs)
    costs = [
        metrics[cost_metric] / metrics[rows_metric]
        for metrics in of_runs
        if metrics.get(rows_metric, 0) > 0 and metrics.get(cost_metric, -1) >= 0
    ]
    wanted = f"{cost_metric} and {rows_metric}"
    if costs:
        return CostEstimate(rows, len(costs), CostRange(median(costs), min(costs), max(costs)), cost_metric, wanted)
    named = sorted({name for metrics in of_runs for name in metrics})
    return CostEstimate(rows, 0, None, cost_metric, wanted, tuple(named))
