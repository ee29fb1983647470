"""Which spending somebody has to agree to, and what that person reads."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.runs.approval import Limits, Spending
from airflow_provider_sixtyfour.runs.cost_estimate import estimate

RUNS = [{"credits_used": 20, "rows_in": 10}, {"credits_used": 40, "rows_in": 10}]  # 2 and 4 a row, 3 in the middle


def spending(rows: int, runs: Any = RUNS, **more: Any) -> Spending:
    return Spending.read({**estimate(rows, runs).as_value(), **more})


@pytest.mark.parametrize(
    ("rows", "limits", "message"),
    [
        (100, (100, None), None),
        (101, (100, None), "101 rows would be paid for, above approve_above_rows (100)"),
        (100, (None, 300), None),
        (101, (None, 300), "about 303.00 credits_used would be spent, above approve_above_credits (300)"),
        (100, (1000, 10), "about 300.00 credits_used would be spent, above approve_above_credits (10)"),
        (100, (10, 1000), "100 rows would be paid for, above approve_above_rows (10)"),
        (1, (0, None), "1 row would be paid for, above approve_above_rows (0)"),
        (0, (0, 0), None),  # all is done: nobody is asked
    ],
)
def test_what_exceeds_a_limit(rows: int, limits: tuple[float | None, float | None], message: str | None):
    assert spending(rows).exceeds(Limits.read(*limits)) == message


def test_an_unknown_cost_exceeds_any_limit_of_it_and_none_of_rows():
    unknown = spending(10, [])

    assert unknown.exceeds(Limits.read(None, 10**9)) == "the cost is unknown, and approve_above_credits is 1e+09"
    assert unknown.exceeds(Limits.read(100, None)) is None
    assert unknown.question() == "Enrich 10 rows for an unknown cost?"


def test_limits_come_as_numbers_or_as_the_text_of_a_template():
    assert Limits.read("100", None) == Limits.read(100, "None") == Limits.read(100.0, "None")


@pytest.mark.parametrize("value", ["", "many", -1, True, float("nan"), float("inf"), 10**400, [1], {}], ids=str)
@pytest.mark.parametrize("name", ["approve_above_rows", "approve_above_credits"])
def test_what_is_no_limit(name: str, value: Any):
    given = {"approve_above_rows": 1, "approve_above_credits": 1, name: value}

    with pytest.raises(SixtyfourInputError, match=f"{name} should be a number"):
        Limits.read(*given.values())


@pytest.mark.parametrize("limits", [(None, None), ("None", None), ("None", "None"), (None, "None")], ids=str)
def test_without_limits_nobody_would_be_asked_also_where_templates_have_rendered_to_nothing(limits: tuple[Any, Any]):
    with pytest.raises(SixtyfourInputError, match="Give approve_above_rows or approve_above_credits"):
        Limits.read(*limits)


@pytest.mark.parametrize(
    "value",
    [
        *(None, {}, [], "x", {"rows": 1}),
        {"rows": "1", "cost": None, "metric": "c", "runs": 0},
        {"rows": -1, "cost": None, "metric": "c", "runs": 0},
    ],
    ids=str,
)
def test_what_is_no_estimate(value: Any):
    with pytest.raises(SixtyfourInputError, match="estimate should be what SixtyfourEstimateCostOperator returns"):
        Spending.read(value)


@pytest.mark.parametrize("median", [float("nan"), float("inf"), 10**400, "x", None, []], ids=str)
def test_a_cost_that_is_no_number_is_unknown_and_so_asked_about(median: Any):
    cost = {"median": median, "lowest": 1, "highest": 2}
    found = Spending.read({"rows": 1, "cost": cost, "metric": "c", "runs": 1, "balance": "much"})

    assert (found.cost, found.balance) == (None, None)
    assert found.exceeds(Limits.read(None, 10**9)) is not None


def test_whoever_decides_reads_the_price_and_where_it_is_from():
    text = spending(100, balance=1234.5).explanation("100 rows would be paid for, above approve_above_rows (10)")
    plain = re.sub(r"\\(.)", r"\1", text)

    assert spending(100).question() == "Enrich 100 rows for about 300.00 credits_used?"
    assert "Asked since 100 rows would be paid for, above approve_above_rows (10)." in plain
    assert "Estimated from 2 completed runs of the workflow: 200.00 to 400.00 credits_used." in plain
    assert "Balance: 1,234.50 credits." in plain


def test_no_name_is_markup():
    value = {**estimate(1, RUNS).as_value(), "metric": "[x](javascript:alert(1))<img src=x>*_`"}

    text = Spending.read(value).explanation("why <b>")

    assert not re.search(r"(?<!\\)[\[\]()<>*_`]", text)


def test_a_decision_is_plain_data_with_the_price():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    decided = spending(100).decided(approved=True, asked=True, by={"id": "1", "name": "viewer"}, at=at)

    assert json.loads(json.dumps(decided)) == {
        "approved": True,
        "asked": True,
        "by": "viewer",
        "at": "2026-01-01T00:00:00+00:00",
        "rows": 100,
        "cost": 300.0,
        "metric": "credits_used",
    }
    assert spending(0).decided(approved=True, asked=False)["by"] is None
