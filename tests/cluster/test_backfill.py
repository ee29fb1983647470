"""A year of days, in small: in Airflow's own backfills a day is paid for once, whatever dies and is run again."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.dag_ids import DAILY, DAILY_ONCE, LISTENING, PARTITIONED, REGIONS
from tests.cluster.days import Days, states
from tests.cluster.waiting import eventually

MONTH = 30  # days
AT_ONCE = 12  # Dag runs
EVENT_LIMIT = 60.0  # seconds
side_by_side = pytest.mark.together("backfills")  # each waits half a minute until Airflow lets it backfill again


@pytest.fixture(scope="module")
def month(cluster: Cluster) -> tuple[Days, list[str]]:
    """A month that has been backfilled while three workers were killed, and the keys of the answers they didn't get."""
    days = Days(cluster, DAILY, MONTH)
    days.backfill(AT_ONCE)
    lost = []
    for started in (4, 10, 16):
        days.wait_for_runs(started)
        lost.append(days.lose_a_worker_to_which_an_answer_is_on_its_way())
    days.wait_for_end()
    return days, lost


def test_thirty_days_and_three_killed_workers_cost_thirty_runs(month: tuple[Days, list[str]]) -> None:
    days, lost = month
    assert days.states() == {day: ["success"] for day in days.all}, days.explain()
    assert Counter(days.statuses()) == {"completed": MONTH}, days.explain()
    assert sorted(days.landed()) == days.all
    assert set(days.landed().values()) == {run["job_id"] for run in days.runs()}
    # Each kill hit a try that waited for an answer: the next try repeated the request. A kill may have hit such a next
    # try too, and others on the same worker.
    for key, kills in Counter(lost).items():
        assert days.submissions(key) > kills, days.explain()


def test_the_same_backfill_again_asks_the_api_for_nothing(month: tuple[Days, list[str]]) -> None:
    days, _ = month
    landed, asked = days.landed(), len(days.requests())
    days.backfill(AT_ONCE, "completed")
    days.wait_for_end()
    assert days.states() == {day: ["success"] for day in days.all}, days.explain()
    assert days.requests()[asked:] == []
    assert days.landed() == landed


@side_by_side
def test_a_backfill_of_what_failed_starts_as_many_runs_as_failed(cluster: Cluster) -> None:
    days = Days(cluster, DAILY_ONCE, 10)
    days.fail(3)
    days.backfill(AT_ONCE)
    days.wait_for_end()
    assert Counter(days.statuses()) == {"completed": 7, "failed": 3}, days.explain()
    assert Counter(state for [state] in days.states().values()) == {"success": 7, "failed": 3}, days.explain()
    landed = days.landed()
    assert len(landed) == 7

    days.backfill(AT_ONCE, "failed")
    days.wait_for_end()
    assert Counter(days.statuses()) == {"completed": 10, "failed": 3}, days.explain()
    assert days.states() == {day: ["success"] for day in days.all}, days.explain()
    assert sorted(days.landed()) == days.all
    assert landed.items() <= days.landed().items()


@side_by_side
def test_partitions_are_paid_for_once_and_start_the_next_dag(cluster: Cluster) -> None:
    """For a partition that is backfilled again Airflow makes a new Dag run; it knows of no earlier try, just files."""
    days = Days(cluster, PARTITIONED, 3)
    expected = {day: ["success"] for day in days.all}
    days.backfill(AT_ONCE)
    days.wait_for_end()
    eventually("each partition has started the next Dag", lambda: states(cluster, LISTENING) == expected, EVENT_LIMIT)
    assert Counter(days.statuses()) == {"completed": 3}, days.explain()
    assert sorted(days.landed()) == days.all
    events = cluster.rest.asset_events(PARTITIONED)
    assert sorted((each["name"], each["partition_key"], each["extra"]["rows"]) for each in events) == [
        *(("enriched_days", day, 1) for day in days.all),
        *(("enriched_regions", f"{day}|{region}", 1) for day in days.all for region in REGIONS),
    ]

    days.backfill(AT_ONCE, "completed")
    days.wait_for_end()
    assert days.states() == {day: ["success", "success"] for day in days.all}, days.explain()
    assert Counter(days.statuses()) == {"completed": 3}, days.explain()
