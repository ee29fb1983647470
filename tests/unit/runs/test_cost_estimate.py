"""What a row has cost, and so what rows will cost: from runs as they are, with odd numbers and without any."""

import json
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.runs.cost_estimate import CostRange, estimate

costs = st.integers(0, 10**6)
runs = st.lists(st.fixed_dictionaries({"credits_used": costs, "rows_in": st.integers(1, 10**6)}), min_size=1)


def test_it_is_the_median_the_lowest_and_the_highest_of_a_row_times_the_rows():
    found = estimate(100, [{"credits_used": cost, "rows_in": 10} for cost in (10, 20, 60)])

    assert (found.per_row, found.runs) == (CostRange(2.0, 1.0, 6.0), 3)
    assert found.total == CostRange(200.0, 100.0, 600.0)
    assert found.as_value() == {
        "rows": 100,
        "metric": "credits_used",
        "runs": 3,
        "per_row": {"median": 2.0, "lowest": 1.0, "highest": 6.0},
        "cost": {"median": 200.0, "lowest": 100.0, "highest": 600.0},
    }


@given(runs, st.integers(0, 10**6))
def test_each_run_counts_once_whatever_its_size(of_runs, rows):
    each = [run["credits_used"] / run["rows_in"] for run in of_runs]

    found = estimate(rows, of_runs)

    assert found.per_row == (median(each), min(each), max(each))
    assert found.total.lowest <= found.total.median <= found.total.highest
    json.dumps(found.as_value(), allow_nan=False)


def test_runs_without_the_metric_are_left_out():
    of_runs = [
        {},
        {"credits_used": 5},
        {"rows_in": 5},
        {"credits_used": 5, "rows_in": 0},
        {"credits_used": -5, "rows_in": 5},
        {"credits_used": 0, "rows_in": 5},
    ]

    assert estimate(7, of_runs).per_row == CostRange(0.0, 0.0, 0.0)
    assert estimate(7, of_runs).runs == 1


def test_without_such_runs_there_is_none_and_the_available_metrics_are_named():
    found = estimate(7, [{"cost_cents": 5, "rows": 1}, {"tokens": 2}])

    assert (found.per_row, found.total, found.runs) == (None, None, 0)
    assert found.named == ("cost_cents", "rows", "tokens")
    assert found.as_value()["cost"] is None


def test_no_rows_cost_nothing_also_where_the_cost_of_a_row_is_unknown():
    assert estimate(0, []).total == CostRange(0.0, 0.0, 0.0)


def test_other_names_of_the_metrics():
    found = estimate(10, [{"cost_cents": 30, "rows": 3}], cost_metric="cost_cents", rows_metric="rows")

    assert (found.total.median, found.metric) == (100.0, "cost_cents")
