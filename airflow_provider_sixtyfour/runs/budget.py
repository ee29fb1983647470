"""
Which batches a number of credits pays for, and whether one more run may be started.

Invariant: batches are paid for in their order. One is left out only if what is spent, what those before it are expected
to cost and what it is expected to cost itself is more than the limit; so all tasks that ask come to the same answer,
whichever of them asks first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

ROUNDING = 1e-9  # a share of the limit: sums of prices are not exact


class Budget(NamedTuple):
    """
    What the batches of an input may cost together.

    :param limit: in the metric.
    :param per_row: what a row is expected to cost.
    :param metric: the API's name of what is counted.
    :param batches: those that may be enriched, in the order in which they are paid for.
    """

    limit: float
    per_row: float
    metric: str
    batches: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, value: Any) -> Budget | None:
        """
        Read what ``SixtyfourBudgetOperator`` puts into the XCom ``budget``; ``None`` if it sets no limit.

        :raises SixtyfourInputError: if it is something else.
        """
        match value:
            case {"limit": None}:
                return None
            case {"limit": float() | int() as limit, "per_row": float() | int() as per_row, "metric": str(metric)}:
                batches = value.get("to_pay")
                if isinstance(batches, list) and all(isinstance(one, Mapping) and "path" in one for one in batches):
                    return cls(limit, per_row, metric, tuple(batches))
        raise SixtyfourInputError(f"budget should be the XCom 'budget' of SixtyfourBudgetOperator, not {value!r:.120}.")

    def until(self, path: str) -> tuple[Mapping[str, Any], ...]:
        """
        Return the batches up to one.

        :param path: of that batch.
        :raises SixtyfourInputError: if it is none of them.
        """
        for place, batch in enumerate(self.batches):
            if batch["path"] == path:
                return self.batches[: place + 1]
        raise SixtyfourInputError(
            f"The budget doesn't know this batch: clear the task that sets it, with downstream. Batch {path}."
        )

    def refusal(self, costs: Sequence[BatchCost]) -> str | None:
        """
        Return why the last of some batches can't be paid for; ``None`` if it can.

        :param costs: of the batches up to it.
        """
        *before, own = costs
        due = sum(cost.expected for cost in before)
        spent = sum(cost.spent for cost in costs)
        if not exceeds(spent + due + own.expected, self.limit):
            return None
        return (
            f"The limit of {self.limit:,g} {self.metric} would be exceeded: {spent:,.2f} are spent, about {due:,.2f} "
            f"are due for batches before this one, and this one would take about {own.expected:,.2f}"
        )


class BatchCost(NamedTuple):
    """
    What a batch costs.

    :param spent: by runs that have ended, or are under way.
    :param expected: what it is going to take besides.
    """

    spent: float
    expected: float


class RunState(Enum):
    """What is to be expected of a run that was started for a batch."""

    COMPLETED = "completed"
    UNDER_WAY = "under way"
    USELESS = "useless"  # it has failed, or it did other work: the batch takes another one


class RunUse(NamedTuple):
    """
    What a run has used.

    :param used: in the metric of the budget; ``None`` if nobody knows.
    """

    used: float | None
    state: RunState


class Allotment(NamedTuple):
    """
    Which batches are paid for.

    :param fitting: their places, those that are done included, which cost nothing.
    :param left_out: the places of the others.
    :param cost: what those that fit are expected to cost.
    """

    fitting: tuple[int, ...]
    left_out: tuple[int, ...]
    cost: float


def allot(rows: Sequence[int], done: Collection[int], per_row: float, available: float) -> Allotment:
    """
    Allot credits to batches, in their order, up to the first that doesn't fit.

    :param rows: of each batch.
    :param done: the places of those that are paid for already.
    :param per_row: what a row is expected to cost.
    :param available: credits.
    """
    fitting, left_out, cost, is_open = [], [], 0.0, True
    for place, count in enumerate(rows):
        if place in done:
            fitting.append(place)
            continue
        is_open = is_open and not exceeds(cost + count * per_row, available)
        if is_open:
            fitting.append(place)
            cost += count * per_row
        else:
            left_out.append(place)
    return Allotment(tuple(fitting), tuple(left_out), cost)


def batch_cost(expected: float, done: RunUse | None, others: Iterable[RunUse]) -> BatchCost:
    """
    Return what a batch costs, from its runs.

    :param expected: of one run of it, and of each run of which nobody knows what it has used.
    :param done: the run whose results are there; ``None`` if there are none.
    :param others: the other runs that were started for it.
    """
    spent, left = 0.0, 0.0 if done else expected
    for run in others if done is None else (done, *others):
        cost = expected if run.used is None else run.used
        spent += cost
        if run.state is RunState.COMPLETED:  # its files are about to land
            left = 0.0
        elif run.state is RunState.UNDER_WAY:
            left = max(0.0, left - cost)
    return BatchCost(spent, left)


def exceeds(cost: float, limit: float) -> bool:
    """Return whether a cost is more than a limit, but for what rounding makes of it."""
    return cost > limit + abs(limit) * ROUNDING
