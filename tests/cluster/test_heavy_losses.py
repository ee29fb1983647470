"""Fifty mapped tasks, and all workers and triggerers killed twice on the way: fifty runs, no more."""

from __future__ import annotations

from collections import Counter

from tests.cluster.case import SUBMISSION, Case
from tests.cluster.cluster import Cluster
from tests.cluster.dag_ids import FIFTY

COUNT = 50
RUN_SECONDS = 60.0
ANSWER_DELAY = 3.0  # seconds from a run's start to the answer that has its id: the losses fall into that of several
END_LIMIT = 600.0  # seconds


def test_fifty_tasks_pay_for_fifty_runs(cluster: Cluster) -> None:
    case = Case(cluster, FIFTY, {"seconds": RUN_SECONDS, "times": None})
    case.delay_answers(ANSWER_DELAY, times=None)
    case.start()
    for started in (12, 35):  # in the middle of the submissions, then with most of the tasks deferred
        case.wait_for_runs(started, END_LIMIT)
        cluster.lose_everything()
    case.wait_for("all tasks rest", lambda: set(case.states().values()) <= {"success", "failed"}, END_LIMIT)
    assert Counter(case.states().values()) == {"success": COUNT}, case.explain()
    assert Counter(case.statuses()) == {"completed": COUNT}, case.explain()
    assert len(case.requests("POST", SUBMISSION)) > COUNT, "no loss fell between a run's start and its answer"
    assert len({run["body"]["webhook_payload"][0]["number"] for run in case.runs()}) == COUNT
