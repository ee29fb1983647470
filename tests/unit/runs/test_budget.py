"""Credits are allotted to batches in their order, and no run is started beyond the limit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.runs.budget import (
    BatchCost,
    Budget,
    RunState,
    RunUse,
    allot,
    batch_cost,
    exceeds,
)

BATCHES = [{"path": f"file:///sent/leads-{index:05d}.csv", "rows": 10} for index in range(20)]
VALUE = {"limit": 70.0, "per_row": 1.0, "metric": "credits_used", "to_pay": BATCHES}


def test_batches_are_paid_for_in_their_order_up_to_the_first_that_does_not_fit():
    allotted = allot([10, 10, 30, 10], {0}, 1.0, 25)

    assert (allotted.fitting, allotted.left_out, allotted.cost) == ((0, 1), (2, 3), 10.0)


def test_what_is_done_costs_nothing_wherever_it_is():
    allotted = allot([10, 10, 10], {2}, 1.0, 0)

    assert (allotted.fitting, allotted.left_out) == ((2,), (0, 1))


def test_what_just_fits_fits_whatever_rounding_makes_of_it():
    assert allot([1] * 10, (), 0.1, 1.0).left_out == ()
    assert allot([7] * 7, (), 0.07, 7 * 7 * 0.07).left_out == ()


@given(
    st.lists(st.integers(1, 100_000), max_size=30),
    st.sets(st.integers(0, 29)),
    st.floats(0, 1000),
    st.floats(0, 1e7),
)
def test_what_is_allotted_never_exceeds_what_there_is(rows, done, per_row, available):
    allotted = allot(rows, done, per_row, available)

    assert sorted([*allotted.fitting, *allotted.left_out]) == list(range(len(rows)))
    assert not exceeds(allotted.cost, available)
    assert allotted.cost == pytest.approx(sum(rows[place] for place in allotted.fitting if place not in done) * per_row)
    assert {place for place in done if place < len(rows)} <= {*allotted.fitting}
    if allotted.left_out:
        assert exceeds(allotted.cost + rows[allotted.left_out[0]] * per_row, available)


DONE, UNDER_WAY, USELESS = RunState.COMPLETED, RunState.UNDER_WAY, RunState.USELESS


@pytest.mark.parametrize(
    ("done", "others", "cost"),
    [
        (None, [], (0, 10)),
        (8.0, [], (8, 0)),
        ("unknown", [], (10, 0)),  # done, but nobody knows what it has used
        (None, [(4.0, USELESS)], (4, 10)),  # it failed, and the batch will be paid for again
        (None, [(4.0, UNDER_WAY)], (4, 6)),
        (None, [(14.0, UNDER_WAY)], (14, 0)),  # dearer than expected
        (None, [(None, UNDER_WAY)], (10, 0)),
        (None, [(8.0, DONE)], (8, 0)),  # completed at Sixtyfour, not landed yet
        (None, [(4.0, USELESS), (8.0, DONE)], (12, 0)),
        (8.0, [(4.0, USELESS), (None, USELESS)], (22, 0)),
    ],
    ids=str,
)
def test_what_a_batch_costs_by_its_runs(done, others, cost):
    there = None if done is None else RunUse(None if done == "unknown" else done, DONE)

    assert batch_cost(10.0, there, [RunUse(*each) for each in others]) == BatchCost(*cost)


def costs(*pairs: tuple[float, float]) -> list[BatchCost]:
    return [BatchCost(*pair) for pair in pairs]


def test_a_run_is_started_within_the_limit_and_none_beyond_it():
    budget = Budget.read(VALUE)
    assert budget is not None

    assert budget.refusal(costs((35, 0), (10, 5), (0, 20))) is None
    refusal = budget.refusal(costs((35, 0), (10, 5), (0, 20.5)))

    assert refusal == (
        "The limit of 70 credits_used would be exceeded: 45.00 are spent, about 5.00 are due for batches before this "
        "one, and this one would take about 20.50"
    )


def test_only_the_batches_before_count_so_that_all_tasks_come_to_the_same_answer():
    budget = Budget.read(VALUE)
    assert budget is not None

    assert budget.until(BATCHES[2]["path"]) == tuple(BATCHES[:3])
    with pytest.raises(SixtyfourInputError, match="The budget doesn't know this batch"):
        budget.until("file:///sent/other.csv")


def test_without_a_limit_there_is_no_budget():
    assert Budget.read({**VALUE, "limit": None}) is None


@pytest.mark.parametrize(
    "value",
    [
        *("x", 7, [], {}, {"limit": 70}, None),
        {**VALUE, "to_pay": None},
        {**VALUE, "to_pay": ["x"]},
        {**VALUE, "to_pay": [{}]},
        {**VALUE, "limit": "70"},
        {**VALUE, "per_row": None},
        {**VALUE, "metric": None},
    ],
    ids=str,
)
def test_what_is_no_budget(value: Any):
    with pytest.raises(SixtyfourInputError, match="budget should be the XCom 'budget' of SixtyfourBudgetOperator"):
        Budget.read(value)
