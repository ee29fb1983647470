"""What a run has used: numbers only, of a bounded number, that can be added up."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api.metrics import LONGEST_NAME, MOST, numbers, total

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
)


@pytest.mark.parametrize(
    ("metrics", "found"),
    [
        ({}, {}),
        (
            {"rows_in": 2, "credits": 0.5, "note": "x", "ok": True, "none": None, "list": [1]},
            {"rows_in": 2, "credits": 0.5},
        ),
        ({"costs": {"total": 3, "by": {"find_email": 1}}}, {"costs.total": 3, "costs.by.find_email": 1}),
        ({"a": {"b": {"c": {"d": 1}, "e": 2}}}, {"a.b.e": 2}),
        ({"nan": math.nan, "endless": math.inf, "huge": 10**400, "loss": -1}, {"loss": -1}),
    ],
)
def test_numbers_are_taken_and_all_else_is_left(metrics, found):
    assert numbers(metrics) == found


def test_there_is_an_end_to_them():
    found = numbers({f"{'long' * 100}{number}": number for number in range(10)} | {str(n): n for n in range(1000)})

    assert len(found) <= MOST
    assert max(map(len, found)) == LONGEST_NAME


@given(st.dictionaries(st.text(max_size=5), ANYTHING, max_size=5))
def test_any_metrics_of_the_api_can_be_serialized_and_added_up(metrics):
    found = numbers(metrics)

    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert total([found, found]) == {name: 2 * number for name, number in found.items()}


def test_sums_go_by_name():
    assert total([]) == {}
    assert total([{"a": 1}, {}, {"a": 2, "b": 0.5}]) == {"a": 3, "b": 0.5}
