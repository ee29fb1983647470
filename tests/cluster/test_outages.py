"""Outages are waited out: a minute without the API, a minute of 5xx and a minute of 429 end no task and no run."""

from __future__ import annotations

import time

import pytest

from tests.cluster.case import Case
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import OUTAGES
from tests.cluster.dag_ids import MODES, once

pytestmark = pytest.mark.together("nobody acts")

MINUTE = 60.0  # seconds
RUN_SECONDS = 45.0  # so that the run ends in the middle of it, and must be found completed afterwards
LATE = 75.0  # seconds after the outage in which the end is found: the longest pause, and a task's second slice

FAULTS = {
    "broken": {"action": "answer", "status": 503, "body": "<html>Service Unavailable</html>"},
    "busy": {"action": "answer", "status": 429, "body": {"error": "rate limit"}, "headers": {"Retry-After": "5"}},
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_of_a_minute_is_waited_out(cluster: Cluster, outage: str) -> None:
    cases = [Case(cluster, once(mode), RUN_SECONDS, conn=f"sixtyfour_{outage}").start() for mode in MODES]
    for case in cases:
        case.wait_until_watched()
    emulator = cluster.emulators[f"sixtyfour_{outage}"]
    if outage == "down":
        emulator.outage(MINUTE)
    else:
        emulator.fault(**FAULTS[outage], path="/workflows.*", seconds=MINUTE)
    over_at = time.time() + MINUTE
    time.sleep(MINUTE + 1)
    for case in cases:
        assert case.wait_for_end(limit=LATE) == "success", case.explain()
        assert time.time() > over_at
        assert case.statuses() == ["completed"], case.explain()
        assert case.task()["try_number"] == 1
        assert case.requests("POST", "/workflows/cancel") == []
