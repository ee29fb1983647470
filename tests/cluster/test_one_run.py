"""
A run is paid for once: whatever is lost on the way, the retry finds the run.

A new run is for new work, which a clear asks for, and in place of a failed one.
"""

from __future__ import annotations

import pytest

from tests.cluster.case import SUBMISSION, Case
from tests.cluster.cluster import DEAD_AFTER, Cluster
from tests.cluster.dag_ids import INSTANTS, MODES, dying, usual

pytestmark = pytest.mark.together("nobody acts")

ANSWER_DELAY = 40.0  # seconds; the client waits that long for an answer


def assert_one_run(case: Case, tries: int) -> None:
    assert case.wait_for_end() == "success", case.explain()
    assert case.statuses() == ["completed"], case.explain()
    assert case.task()["try_number"] == tries, case.explain()
    keys = [request["headers"]["idempotency-key"] for request in case.requests("POST", SUBMISSION)]
    assert len(set(keys)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_worker_killed_before_the_answer_arrives(cluster: Cluster, mode: str) -> None:
    case = Case(cluster, usual(mode), 30.0)
    case.delay_answers(ANSWER_DELAY)
    case.start().wait_for_runs(1)
    case.kill_task()
    assert_one_run(case, tries=2)
    assert len(case.requests("POST", SUBMISSION)) == 2


@pytest.mark.parametrize("instant", INSTANTS)
def test_a_worker_killed_around_the_request(cluster: Cluster, instant: str) -> None:
    case = Case(cluster, dying(instant), 30.0).start()
    assert_one_run(case, tries=2)
    assert len(case.requests("POST", SUBMISSION)) == (1 if instant == "before_the_request" else 2)


def test_a_worker_killed_while_it_waits(cluster: Cluster) -> None:
    case = Case(cluster, usual("sync"), 30.0).start()
    case.wait_until_watched()
    case.kill_task()
    assert_one_run(case, tries=2)
    assert len(case.requests("POST", SUBMISSION)) == 1


def test_a_worker_that_is_shut_down_while_it_waits(cluster: Cluster) -> None:
    case = Case(cluster, usual("sync"), 30.0).start()
    case.wait_until_watched()
    supervisor, _ = case.task_processes()
    supervisor.terminate()
    assert_one_run(case, tries=2)
    assert case.requests("POST", "/workflows/cancel") == []


def test_a_living_task_that_is_taken_for_dead(cluster: Cluster) -> None:
    """Its supervisor hangs, so it gives no sign of life; then it comes back, and stops what it supervises."""
    case = Case(cluster, usual("sync"), 2.0 * DEAD_AFTER).start()
    case.wait_until_watched()
    supervisor, process = case.task_processes()
    supervisor.suspend()
    case.wait_for("the next try has begun", lambda: case.task()["try_number"] == 2 and case.state() == "running")
    supervisor.resume()
    case.wait_for("the first try's process has ended", lambda: not process.is_running())
    assert case.statuses() == ["running"], case.explain()
    assert_one_run(case, tries=2)
    assert case.requests("POST", "/workflows/cancel") == []


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_is_lost(cluster: Cluster, mode: str) -> None:
    case = Case(cluster, usual(mode), 10.0)
    case.emulator.fault("drop", method="POST", path=SUBMISSION, query=case.workflow_id, when="after")
    assert_one_run(case.start(), tries=1)
    assert len(case.requests("POST", SUBMISSION)) == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_clear_after_success_starts_a_new_run(cluster: Cluster, mode: str) -> None:
    case = Case(cluster, usual(mode)).start()
    assert case.wait_for_end() == "success", case.explain()
    case.wait_for("the Dag run has ended", lambda: cluster.rest.run_state(case.dag_id, case.run_id) == "success")
    case.clear()
    case.wait_for_runs(2)
    assert case.wait_for_end() == "success", case.explain()
    assert case.statuses() == ["completed", "completed"]


@pytest.mark.parametrize("mode", MODES)
def test_a_retry_after_a_failed_run_starts_a_new_run(cluster: Cluster, mode: str) -> None:
    case = Case(cluster, usual(mode), {"error_message": "the source is empty", "seconds": 2}).start()
    case.wait_for_runs(2)
    assert case.wait_for_end() == "success", case.explain()
    assert case.statuses() == ["failed", "completed"]
    assert case.task()["try_number"] == 2
