"""
Airflow's API server is away just after a run was started, and the task has no try left.

No run is left running without its task, and a Clear afterwards does not pay for a second one.
"""

from __future__ import annotations

import time

from tests.cluster.case import TERMINAL_STATES, Case
from tests.cluster.cluster import Cluster
from tests.cluster.dag_ids import MODES, once

AWAY = 10.0  # seconds until it is started again, which takes another 12 or more
ANSWER_DELAY = 8.0  # seconds from a run's start to the answer that has its id: the API server is gone by then
SETTLING = 10.0  # seconds in which the supervisors of tasks that Airflow has given up are notified
LONG = 900.0  # seconds of runs that the test ends itself
PER_MODE = 2


def test_no_run_is_left_behind_when_the_api_server_is_away(cluster: Cluster) -> None:
    cases = [Case(cluster, once(mode), LONG) for mode in MODES for _ in range(PER_MODE)]
    for case in cases:
        case.delay_answers(ANSWER_DELAY)
    for case in cases:
        case.start()
    for case in cases:
        case.wait_for_runs(1)
    cluster.lose_api_server(AWAY)
    time.sleep(SETTLING)
    back = time.time()
    for case in cases:
        case.wait_for("its task has ended, or waits for its run", lambda case=case: has_ended_or_polled(case, back))
    for case in cases:
        [run] = case.runs()
        if case.state() in TERMINAL_STATES:
            assert run["status"] == "cancelled", case.explain()
            case.clear()
        else:
            assert run["status"] == "running", case.explain()
            case.emulator.set_status(run["job_id"], "completed")
    for case in cases:
        assert case.wait_for_end() == "success", case.explain()
        *others, last = case.statuses()
        assert last == "completed", case.explain()
        assert others in ([], ["cancelled"]), case.explain()


def has_ended_or_polled(case: Case, since: float) -> bool:
    """Whether a task has ended, or has polled its run since a time."""
    asked = [request["at"] for request in case.requests("GET", "/live_status")]
    return case.state() in TERMINAL_STATES or max(asked, default=0.0) > since
