"""
A run that takes too long is cancelled, and its task fails: at ``timeout`` and at ``execution_timeout`` alike.

Both count from the task's start, whether it waits on its worker or in a triggerer.
"""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from tests.cluster.case import END_LIMIT, Case
from tests.cluster.cluster import Cluster
from tests.cluster.dag_ids import EXECUTION_TIMEOUT, MODES, limited, once

pytestmark = pytest.mark.together("nobody acts")

LONG = 300.0  # seconds of a run that nobody waits for to its end
TIMEOUT = 20.0  # seconds
SLACK = 40.0  # seconds for a triggerer's first status check and a task's second slice on a busy machine


def assert_cancelled_at(case: Case, limit: float) -> None:
    assert case.wait_for_end() == "failed", case.explain()
    [run] = case.runs()
    assert run["status"] == "cancelled", case.explain()
    late = run["ended_at"] - datetime.fromisoformat(case.task()["start_date"]).timestamp() - limit
    assert -1 < late < SLACK, f"cancelled {late:.1f} s after its deadline. {case.explain()}"


@pytest.mark.parametrize("mode", MODES)
def test_a_timeout_cancels_the_run(cluster: Cluster, mode: str) -> None:
    case = Case(cluster, once(mode), LONG, timeout=TIMEOUT).start()
    assert_cancelled_at(case, TIMEOUT)


@pytest.mark.parametrize("mode", MODES)
def test_an_execution_timeout_cancels_the_run(cluster: Cluster, mode: str) -> None:
    case = Case(cluster, limited(mode), LONG).start()
    assert_cancelled_at(case, EXECUTION_TIMEOUT)


@pytest.mark.parametrize("mode", MODES)
def test_a_run_is_kept_at_the_deadline_where_the_dag_sets_that(cluster: Cluster, mode: str) -> None:
    case = Case(cluster, f"keeping_{mode}", LONG, timeout=TIMEOUT)
    began = time.time()
    case.start().wait_for(
        "the first try has failed",
        lambda: case.task()["try_number"] > 1 or case.state() == "failed",
        END_LIMIT,
    )
    assert time.time() - began > TIMEOUT
    assert case.statuses() == ["running"], case.explain()
    case.mark("failed")
