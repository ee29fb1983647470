"""
A triggerer is lost, restarted, or loses its triggers: the runs that are waited for in it keep running.

What is distinguished: a user's act on the task, which stops its run, and Airflow's own moves, which must not.
"""

from __future__ import annotations

from datetime import datetime

from tests.cluster.case import Case
from tests.cluster.cluster import FLEET, STALE_AFTER, Cluster
from tests.cluster.dag_ids import BARE, BARE_KILLED, keeping, once, usual

MOVED_LIMIT = STALE_AFTER + 60.0  # seconds until another triggerer has taken over
PROMPT = 10.0  # seconds from a user's act to the end of the run
ON_KILL = "invoking on_kill"  # Airflow's own words in a trigger's log
GUARDED = "its task still waits for it"


def waiting(cluster: Cluster, seconds: float, count: int = 3) -> list[Case]:
    cases = [Case(cluster, usual("deferred"), seconds).start() for _ in range(count)]
    for case in cases:
        case.wait_until_watched()
    return cases


def assert_went_on(case: Case) -> None:
    assert case.wait_for_end() == "success", case.explain()
    assert case.statuses() == ["completed"], case.explain()
    assert case.task()["try_number"] == 1
    # Of two triggerers that hold a trigger, one may see the other's end of it: then the run has ended too.
    assert [each for each in case.requests("POST", "/workflows/cancel") if each["status"] == 200] == []


def test_a_killed_triggerers_runs_go_on(cluster: Cluster) -> None:
    cases = waiting(cluster, 45.0)
    lost = cases[0].triggerer()
    cluster.triggerers.kill(cluster.triggerers.labelled(lost))
    moved = [case for case in cases if case.triggerer() == lost]
    cluster.start_triggerer()
    for case in moved:
        case.wait_for("another triggerer has it", lambda case=case: case.triggerer() != lost, MOVED_LIMIT)
    for case in cases:
        assert_went_on(case)


def test_runs_go_on_and_deadlines_hold_when_all_triggerers_are_restarted(cluster: Cluster) -> None:
    timeout = 60.0
    limited = Case(cluster, once("deferred"), 600.0, timeout=timeout).start()
    cases = waiting(cluster, 60.0)
    limited.wait_until_watched()
    for name in list(cluster.triggerers.names):
        cluster.triggerers.terminate(name)
        cluster.start_triggerer()
    for case in cases:
        assert_went_on(case)
    assert limited.wait_for_end() == "failed", limited.explain()
    [run] = limited.runs()
    assert run["status"] == "cancelled", limited.explain()
    late = run["ended_at"] - datetime.fromisoformat(limited.task()["start_date"]).timestamp() - timeout
    assert -1 < late < 40, f"cancelled {late:.1f} s after its deadline. {limited.explain()}"


def test_what_users_do_while_no_triggerer_is_up(cluster: Cluster) -> None:
    """A clear's new try makes up for it; a mark has no next try, and Airflow notifies no trigger of it afterwards."""
    cleared, kept, marked = (
        Case(cluster, dag_id, 150.0).start() for dag_id in (usual("deferred"), keeping("deferred"), usual("deferred"))
    )
    bare = Case(cluster, BARE).start()
    for case in (cleared, kept, marked):
        case.wait_until_watched()
    bare.wait_for("the bare task is deferred", lambda: bare.state() == "deferred")
    for name in list(cluster.triggerers.names):
        cluster.triggerers.kill(name)
    for case in (cleared, kept):
        case.clear()
    for case in (marked, bare):
        case.mark("failed")
    for case in (cleared, kept):
        case.wait_for_runs(2)
    for _ in range(FLEET):
        cluster.start_triggerer()
    for case in (cleared, kept):
        assert case.wait_for_end() == "success", case.explain()
    assert cleared.statuses() == ["cancelled", "completed"], cleared.explain()
    assert kept.statuses() == ["running", "completed"], kept.explain()
    assert marked.statuses() == ["running"], marked.explain()
    assert BARE_KILLED not in bare.logs(), "Airflow notifies the trigger: remove this limitation from the docs"
    marked.emulator.set_status(marked.runs()[0]["job_id"], "cancelled")
    kept.emulator.set_status(kept.runs()[0]["job_id"], "cancelled")


def test_a_bare_trigger_is_notified_of_a_mark_while_a_triggerer_holds_it(cluster: Cluster) -> None:
    """Shows that the bare trigger of the test above does log a kill."""
    bare = Case(cluster, BARE).start()
    bare.wait_for("the bare trigger has begun", lambda: bare.state() == "deferred" and "starting" in bare.logs())
    bare.mark("failed")
    bare.wait_for("the bare trigger is notified", lambda: BARE_KILLED in bare.logs())


def test_a_run_goes_on_when_its_trigger_moves_while_its_first_triggerer_lives(cluster: Cluster) -> None:
    cases = waiting(cluster, 80.0)
    stolen_from = cases[0].triggerer()
    stolen = [case for case in cases if case.triggerer() == stolen_from]
    name = cluster.triggerers.labelled(stolen_from)
    cluster.triggerers.freeze(name)
    for case in stolen:
        case.wait_for("another triggerer has it", lambda case=case: case.triggerer() != stolen_from, MOVED_LIMIT)
    cluster.triggerers.thaw(name)
    for case in stolen:
        case.wait_for("Airflow took the act for a user's", lambda case=case: ON_KILL in case.log(stolen_from))
        case.wait_for("the run was kept", lambda case=case: GUARDED in case.log(stolen_from))
        assert case.statuses() == ["running"], case.explain()
    # The new owner still acts on a user's mark.
    took = stolen[0].seconds_until_ended(stolen[0].runs()[0]["job_id"], since=stolen[0].mark("failed"))
    assert took < PROMPT, stolen[0].explain()
    for case in cases[1:]:
        assert_went_on(case)
