"""A pilot whose results have too few values stops the rest."""

from typing import Any

import pytest

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourQualityError
from airflow_provider_sixtyfour.inputs.limits import read_shares
from airflow_provider_sixtyfour.runs.pilot import (
    check_fill_rates,
    described,
    fill_rates,
    pilot_metrics,
)

QUALITY = {"email": {"filled": 30, "empty": 70}, "phone": {"filled": 0, "empty": 100}}


def test_the_fill_rate_is_the_share_of_filled_values():
    assert fill_rates(QUALITY) == {"email": 0.3, "phone": 0.0}


@pytest.mark.parametrize(
    "quality", [None, {}, [], "x", {"email": None}, {"email": {"filled": 0, "empty": 0}}, {"email": {"filled": "1"}}]
)
def test_of_what_is_not_known_there_is_no_rate(quality: Any):
    assert fill_rates(quality) == {}


def test_what_is_good_enough_passes():
    check_fill_rates(fill_rates(QUALITY), {"email": 0.3, "phone": 0}, 100)
    check_fill_rates({}, {}, 0)


def test_too_few_values_stop_the_rest():
    with pytest.raises(SixtyfourQualityError) as stopped:
        check_fill_rates(fill_rates(QUALITY), {"email": 0.301, "phone": 0.5}, 1000)

    assert str(stopped.value).startswith(
        "The pilot has too few values: email 30.0% (at least 30.1%), phone 0.0% (at least 50.0%) of its 1,000 rows."
    )


def test_a_column_that_is_not_there_is_a_mistake_and_no_low_rate():
    with pytest.raises(SixtyfourInputError, match=r"names 'emial'.*They have: email, phone"):
        check_fill_rates(fill_rates(QUALITY), {"emial": 0.1}, 100)


@pytest.mark.parametrize(("rows", "why"), [(0, "it has no rows"), (5, "columns are not counted")])
def test_rates_that_are_not_known_stop_the_rest(rows: int, why: str):
    with pytest.raises(SixtyfourQualityError, match=why):
        check_fill_rates({}, {"email": 0.1}, rows)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, {}),
        ("None", {}),
        ({}, {}),
        ({"email": "0.3"}, {"email": 0.3}),
        ({"a": 1}, {"a": 1.0}),
        ('{"a": 1}', {"a": 1.0}),
    ],
    ids=str,
)
def test_rates_are_read_also_as_templates_render_them(given: Any, read: dict[str, float]):
    assert read_shares(given, "min_fill_rate") == read


@pytest.mark.parametrize(
    "given",
    [
        "",
        0.3,
        "x",
        ["email"],
        {"email": 30},
        {"email": -0.1},
        {"email": None},
        {"email": True},
        {"": 1},
        {1: 1},
        {"a": float("nan")},
    ],
    ids=str,
)
def test_what_is_no_rate(given: Any):
    with pytest.raises(SixtyfourInputError, match="min_fill_rate"):
        read_shares(given, "min_fill_rate")


def test_the_lowest_rates_are_shown_first():
    assert described({"email": 0.934, "phone": 0.1}) == "phone 10%, email 93%"
    assert described({f"c{number:02d}": number / 100 for number in range(12)}).endswith("c09 9% and 2 more")


@pytest.mark.parametrize("pilot", [None, {}, "x", {"metrics": None}, {"metrics": {"credits_used": "x"}}], ids=str)
def test_a_pilot_that_does_not_report_what_it_used(pilot: Any):
    assert pilot_metrics(pilot) == {}
