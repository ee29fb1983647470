"""
A connection is edited while tasks wait: another host, another API key. Each run ends where it was started.

Five deferred tasks without retries each, or one on a worker.
"""

from __future__ import annotations

import time

import pytest

from tests.cluster.case import Case
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import EMULATOR
from tests.cluster.dag_ids import MODES, usual, waiting
from tests.emulator_process import EmulatorProcess

pytestmark = pytest.mark.together("nobody acts", after=140)

COUNTS = {"deferred": 5, "sync": 1}
PROMPT = 10.0  # seconds from a user's act to the end of the run
LONG = 900.0  # seconds of runs that a test ends itself
REVOKED = 20.0  # seconds between a key's end and its successor's entry into the connection
PLAN = {"seconds": LONG, "times": None}


def several(mode: str) -> str:
    """Return the Dag with as many tasks as `COUNTS` has for a mode."""
    return waiting(COUNTS["deferred"]) if mode == "deferred" else usual(mode)


def complete(case: Case) -> None:
    for run in case.runs():
        if run["status"] == "running":
            case.emulator.set_status(run["job_id"], "completed")


def assert_nothing_refused_or_exposed(emulator: EmulatorProcess) -> None:
    """Assert that an emulator was sent its own key and asked for its own runs, by everyone."""
    assert {request["headers"]["x-api-key"] for request in emulator.requests()} == {emulator.api_key}
    assert [each for each in emulator.requests() if each["status"] >= 400] == []


@pytest.mark.parametrize("mode", MODES)
def test_waits_keep_to_their_host_when_the_connection_gets_another(cluster: Cluster, mode: str) -> None:
    conn = f"sixtyfour_moved_{mode}"
    with EmulatorProcess(*EMULATOR) as first, EmulatorProcess(*EMULATOR) as second:
        cluster.connect(conn, first)
        earlier = Case(cluster, several(mode), PLAN, conn=conn, emulator=first).start()
        marked = Case(cluster, usual(mode), PLAN, conn=conn, emulator=first).start()
        earlier.wait_until_watched(COUNTS[mode])
        marked.wait_until_watched()
        cluster.connect(conn, second)
        later = Case(cluster, usual(mode), PLAN, conn=conn, emulator=second).start()
        later.wait_until_watched()
        [run] = marked.runs()
        assert marked.seconds_until_ended(run["job_id"], since=marked.mark("failed")) < PROMPT, marked.explain()
        assert marked.statuses() == ["cancelled"], marked.explain()
        for case in (earlier, later):
            complete(case)
        for case in (earlier, later):
            case.assert_each_paid_once()
        assert (len(first.runs()), len(second.runs())) == (COUNTS[mode] + 1, 1)
        for emulator in (first, second):
            assert_nothing_refused_or_exposed(emulator)


@pytest.mark.parametrize("mode", MODES)
def test_waits_outlast_the_rotation_of_their_key(cluster: Cluster, mode: str) -> None:
    conn = f"sixtyfour_rotated_{mode}"
    with EmulatorProcess(*EMULATOR) as emulator:
        cluster.connect(conn, emulator)
        case = Case(cluster, several(mode), PLAN, conn=conn, emulator=emulator).start()
        case.wait_until_watched(COUNTS[mode])
        emulator.rotate_key()
        time.sleep(REVOKED)
        assert 401 in {request["status"] for request in case.requests("GET", "/live_status")}, case.explain()
        cluster.connect(conn, emulator)
        complete(case)
        case.assert_each_paid_once()
