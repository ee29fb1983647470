"""Bad weather is waited out: a minute without the API, a minute of 5xx and a minute of 429 end no task and no run."""

from __future__ import annotations

import time

import pytest

from tests.cluster.case import Case
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import WEATHERS
from tests.cluster.dag_ids import MODES, once

pytestmark = pytest.mark.together("nobody acts")

MINUTE = 60.0  # seconds
RUN_SECONDS = 45.0  # so that the run ends in the middle of it, and must be found completed afterwards
LATE = 75.0  # seconds after the weather in which the end is found: the longest pause, and a task's second slice

ORDERS = {
    "broken": {"action": "answer", "status": 503, "body": "<html>Service Unavailable</html>"},
    "busy": {"action": "answer", "status": 429, "body": {"error": "rate limit"}, "headers": {"Retry-After": "5"}},
}


@pytest.mark.parametrize("weather", WEATHERS)
def test_a_minute_of_bad_weather_is_waited_out(cluster: Cluster, weather: str) -> None:
    cases = [Case(cluster, once(mode), RUN_SECONDS, conn=f"sixtyfour_{weather}").start() for mode in MODES]
    for case in cases:
        case.wait_until_watched()
    emulator = cluster.emulators[f"sixtyfour_{weather}"]
    if weather == "down":
        emulator.outage(MINUTE)
    else:
        emulator.fault(**ORDERS[weather], path="/workflows.*", seconds=MINUTE)
    cleared_up = time.time() + MINUTE
    time.sleep(MINUTE + 1)
    for case in cases:
        assert case.wait_for_end(limit=LATE) == "success", case.explain()
        assert time.time() > cleared_up
        assert case.statuses() == ["completed"], case.explain()
        assert case.task()["try_number"] == 1
        assert case.requests("POST", "/workflows/cancel") == []
