"""
A user marks or clears a task: its run is stopped, within seconds, and only its run.

Each case on a deferred task and on one that waits on its worker, mapped and not.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.case import Case
from tests.cluster.cluster import Cluster
from tests.cluster.dag_ids import MODES, SHAPES, keeping, usual

pytestmark = pytest.mark.together("a user acts")
PROMPT = 10.0  # seconds from the act to the end of the run
LONG = 45.0  # seconds of a run that is still running when the user acts
SHORT_DELAY = 10.0  # seconds; two clears fall into them
BETWEEN_CLEARS = 0.4  # seconds
ANSWER_DELAY = 40.0  # seconds; more than Airflow gives a task to end


def watched(cluster: Cluster, mode: str, shape: str) -> tuple[Case, int]:
    """Return a case whose tasks all wait, and the map index of the one to act on."""
    mapped = shape == "mapped"
    plans = [LONG] * (2 if mapped else 1)
    case = Case(cluster, usual(mode, shape), *plans).start()
    case.wait_until_watched(len(plans))
    return case, 0 if mapped else -1


def assert_sibling_unharmed(case: Case, shape: str) -> None:
    if shape == "mapped":
        assert case.wait_for_end(1) == "success", case.explain()
        assert case.run_of(1)["status"] == "completed", case.explain()


@pytest.mark.parametrize("state", ["failed", "success"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", MODES)
def test_marking_a_waiting_task_cancels_its_run(cluster: Cluster, mode: str, shape: str, state: str) -> None:
    case, index = watched(cluster, mode, shape)
    run = case.run_of(max(index, 0))
    took = case.seconds_until_ended(run["job_id"], since=case.mark(state, index))
    assert took < PROMPT, case.explain()
    assert_sibling_unharmed(case, shape)
    assert case.state(index) == state
    assert sorted(case.statuses()) == (["cancelled", "completed"] if shape == "mapped" else ["cancelled"])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", MODES)
def test_clearing_a_waiting_task_cancels_its_run_and_starts_a_new_one(cluster: Cluster, mode: str, shape: str) -> None:
    case, index = watched(cluster, mode, shape)
    run = case.run_of(max(index, 0))
    took = case.seconds_until_ended(run["job_id"], since=case.clear(index))
    assert took < PROMPT, case.explain()
    case.wait_for_runs(3 if shape == "mapped" else 2)
    assert case.wait_for_end(index) == "success", case.explain()
    assert_sibling_unharmed(case, shape)
    ended = ["cancelled", "completed", "completed"] if shape == "mapped" else ["cancelled", "completed"]
    assert sorted(case.statuses()) == ended, case.explain()
    assert case.runs()[-1]["status"] == "completed"


@pytest.mark.parametrize("mode", MODES)
def test_a_run_is_kept_where_the_dag_sets_that(cluster: Cluster, mode: str) -> None:
    case = Case(cluster, keeping(mode), LONG).start()
    case.wait_until_watched()
    [run] = case.runs()
    took = case.seconds_until_ended(run["job_id"], since=case.mark("failed"), limit=2 * LONG)
    assert took > PROMPT
    assert case.state() == "failed"
    assert case.statuses() == ["completed"]
    assert case.requests("POST", "/workflows/cancel") == []


@pytest.mark.parametrize("mode", MODES)
def test_marking_a_task_cancels_a_run_whose_id_is_still_on_its_way(cluster: Cluster, mode: str) -> None:
    case = Case(cluster, usual(mode), 2 * LONG)
    case.delay_answers(ANSWER_DELAY)
    case.start().wait_for_runs(1)
    [run] = case.runs()
    took = case.seconds_until_ended(run["job_id"], since=case.mark("failed"))
    assert took < PROMPT, case.explain()
    assert case.statuses() == ["cancelled"], case.explain()
    assert case.state() == "failed"


@pytest.mark.parametrize("mode", MODES)
def test_two_clears_while_the_answer_is_on_its_way_leave_one_run(cluster: Cluster, mode: str) -> None:
    case = Case(cluster, usual(mode), 2 * LONG)
    case.delay_answers(SHORT_DELAY)
    case.start().wait_for_runs(1)
    case.clear()
    time.sleep(BETWEEN_CLEARS)
    case.clear()
    assert case.wait_for_end() == "success", case.explain()
    *others, last = case.runs()
    assert case.job_id() == last["job_id"], case.explain()
    assert last["status"] == "completed", case.explain()
    assert {run["status"] for run in others} <= {"cancelled"}, case.explain()
    assert len(case.keys()) == len(case.runs()), case.explain()
