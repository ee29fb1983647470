from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.runs.deadline import check_poll_interval, deadline, seconds

BAD = [
    *(0, -1, 0.0, "0", "", "soon", "None", True, False, [], {}, b"", object(), float("nan"), float("inf"), "inf"),
    *("-inf", 10**400, timedelta(0), timedelta(seconds=-1)),
]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (90, 90.0),
        (0.25, 0.25),
        ("90", 90.0),
        (" 1.5 ", 1.5),
        (timedelta(minutes=2), 120.0),
        (timedelta(microseconds=1), 1e-6),
        (timedelta.max, timedelta.max.total_seconds()),
    ],
)
def test_a_duration_in_seconds(value: Any, expected: float | None):
    assert seconds(value, "timeout") == expected


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:20])
def test_a_duration_that_is_none_is_refused(value: Any):
    for check, name in ((lambda: seconds(value, "timeout"), "timeout"), (lambda: check_poll_interval(value), "poll_")):
        with pytest.raises(SixtyfourInputError, match=f"^{name}.*should be a positive number of seconds") as caught:
            check()
        assert len(str(caught.value)) < 200


def test_a_poll_interval_is_needed():
    assert check_poll_interval("10") == 10.0
    with pytest.raises(SixtyfourInputError, match="not None"):
        check_poll_interval(None)


START = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "limits", "expected"),
    [
        (START, (60.0, None), START.timestamp() + 60),
        (START, (60.0, 30.0), START.timestamp() + 30),
        (START, (None, None), None),
        (START, (), None),
        (None, (60.0,), None),
    ],
)
def test_the_earliest_limit_counts_from_the_first_start(start: Any, limits: Any, expected: float | None):
    assert deadline(start, *limits) == expected
