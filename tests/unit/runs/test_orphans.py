"""A run is an orphan only where it is certain that nobody waits for it."""

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_sixtyfour.api.models import ListedRun
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.runs.orphans import Starter, candidates, check_older_than, has_left, orphans

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def run(job_id="j", minutes=60, **more):
    created = (NOW - timedelta(minutes=minutes)).isoformat()
    return ListedRun(job_id, "w", "running", None, None, {}, {"created_at": created, **more})


def starter(state, *, active=True, left=False, dag_id="d", index=-1):
    return Starter(dag_id, "r", "t", index, state, active, left)


TERMINAL_STATES = ["failed", "upstream_failed", "removed", "skipped", "success"]
WAITING = [
    *("running", "deferred", "queued", "scheduled", "restarting", "up_for_retry", "up_for_reschedule"),
    *("awaiting_input", "a_state_of_a_later_airflow"),
]


@pytest.mark.parametrize(
    ("its", "is_orphan"),
    [
        *(([starter(state)], True) for state in TERMINAL_STATES),
        *(([starter(state, active=False)], True) for state in TERMINAL_STATES),
        *(([starter(state)], False) for state in WAITING),
        *(([starter(state, active=False)], False) for state in WAITING),
        ([starter(None)], False),
        ([starter(None, active=False)], True),
        ([starter("success", left=True)], False),
        ([], False),  # started elsewhere
        ([starter("failed"), starter("deferred", dag_id="another")], False),
        ([starter("running"), starter("failed")], False),
        ([starter("failed"), starter("success", left=True)], False),
        ([starter("failed"), starter("success")], True),
    ],
)
def test_who_waits_decides(its, is_orphan):
    found = list(orphans({"j": run()}, {"j": its}))
    assert [orphan.job_id for orphan in found] == (["j"] if is_orphan else [])


@pytest.mark.parametrize(("minutes", "is_candidate"), [(0, False), (14.9, False), (15.1, True), (-5, False)])
def test_a_young_run_is_none(minutes, is_candidate):
    assert bool(candidates([run(minutes=minutes)], now=NOW.timestamp())) is is_candidate


def test_a_run_of_unknown_age_is_none():
    assert candidates([run()._replace(timestamps={})], now=NOW.timestamp()) == {}
    assert candidates([run(created_at="yesterday")], now=NOW.timestamp()) == {}


def test_dags_that_are_not_asked_for_may_wait_all_the_same():
    both = {"j": [starter("failed"), starter("deferred", dag_id="another")]}
    assert list(orphans({"j": run()}, both, ["d"])) == []
    assert list(orphans({"j": run()}, {"j": [starter("failed")]}, ["another"])) == []
    assert len(list(orphans({"j": run()}, {"j": [starter("failed")]}, ["d"]))) == 1


@pytest.mark.parametrize(
    ("state", "returned", "left"),
    [
        ("success", "j", True),
        ("success", {"job_id": "j"}, True),
        ("success", None, False),
        ("success", "k", False),
        ("success", ["j"], False),
        ("failed", "j", False),
    ],
)
def test_a_task_that_returned_the_id_has_left_its_run(state, returned, left):
    assert has_left("j", state, returned) is left


def test_an_age_is_a_duration():
    assert check_older_than(timedelta(minutes=1), "older_than") == 60.0
    assert check_older_than(0, "older_than") == 0.0
    for wrong in (-1, "900", None, True, float("inf")):
        with pytest.raises(SixtyfourInputError, match="older_than should be"):
            check_older_than(wrong, "older_than")
