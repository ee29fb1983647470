"""
Refusals are not final at once: 75 s of 401 from the API itself, then 75 s of a proxy's 404 page, end no wait.

Twenty deferred tasks without retries, and two on workers, wait through both.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.case import Case
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import EMULATOR
from tests.cluster.dag_ids import usual, waiting
from tests.emulator_process import EmulatorProcess

pytestmark = pytest.mark.together("nobody acts", after=60)

COUNTS = {waiting(20): 20, usual("sync", "mapped"): 2}
START_LIMIT = 240.0  # seconds until all of them wait
LASTING = 75.0  # seconds of each refusal
ENDING = 50.0  # seconds from the beginning of the second one to the end of the runs, which must be found afterwards
LATE = 120.0  # seconds after it in which that is found: the longest pause, and twenty tasks' second slices
LONG = 900.0  # seconds of runs that a test ends itself
CONN = "sixtyfour_refusing"
PAGE = {"status": 404, "body": "<html><body>Not Found</body></html>", "headers": {"Content-Type": "text/html"}}
UNAUTHORIZED = {"status": 401, "body": {"detail": "Invalid API key"}}


def refuse(emulator: EmulatorProcess, answer: dict[str, object]) -> None:
    emulator.fault("answer", method="GET", path="/workflows/.*", seconds=LASTING, **answer)


def test_waits_outlast_refusals(cluster: Cluster) -> None:
    with EmulatorProcess(*EMULATOR) as emulator:
        cluster.connect(CONN, emulator)
        plan = {"seconds": LONG, "times": None}
        cases = {Case(cluster, dag_id, plan, conn=CONN, emulator=emulator): count for dag_id, count in COUNTS.items()}
        for case in cases:
            case.start()
        for case, count in cases.items():
            case.wait_until_watched(count, START_LIMIT)
        refuse(emulator, UNAUTHORIZED)
        time.sleep(LASTING)
        refuse(emulator, PAGE)
        for case in cases:
            assert set(case.states().values()) <= {"deferred", "running"}, case.explain()
        time.sleep(ENDING)
        for case in cases:
            assert set(case.statuses()) == {"running"}, case.explain()
            for run in case.runs():
                emulator.set_status(run["job_id"], "completed")
        time.sleep(LASTING - ENDING)
        for case in cases:
            # What one wait meets counts for all that share its poller, so not each of them has to ask.
            answers = {request["status"] for request in case.requests("GET", "/live_status")}
            assert {UNAUTHORIZED["status"], PAGE["status"]} <= answers, case.explain()
            case.assert_each_paid_once(limit=LATE)
