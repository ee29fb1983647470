"""The state tables of a task's run and of its kill: what they allow, and that no event loses a run."""

from itertools import product
from typing import Any, cast

import pytest

from airflow_provider_sixtyfour.runs.lifecycle import (
    KILL_TRANSITIONS,
    RUN_TRANSITIONS,
    KillEvent,
    KillState,
    Known,
    LifecycleError,
    RunEvent,
    RunState,
    TrackedRun,
    next_state,
)

CALL = cast(Any, "a request")
KNOWN_IN = {
    RunState.IDLE: Known(),
    RunState.SUBMITTING: Known(submission=CALL),
    RunState.STARTED: Known(job_id="r1"),
    RunState.STOPPED: Known(),
    RunState.ENDED: Known(),
}
WITH = {RunEvent.SUBMITTING: {"submission": CALL}, RunEvent.STARTED: {"job_id": "r2"}}
# Events by which nothing of a run is left to stop, or that hand it to whoever cancels it.
GIVES_UP_RUN = {RunEvent.BEGIN, RunEvent.NOT_STARTED, RunEvent.OVER, RunEvent.STOP, RunEvent.CONCLUDED}


def in_state(state: RunState) -> TrackedRun:
    run = TrackedRun()
    run.state, run.known = state, KNOWN_IN[state]
    return run


def test_a_run_that_is_started_and_waited_for():
    run = TrackedRun()
    run.on(RunEvent.BEGIN)
    run.on(RunEvent.SUBMITTING, submission=CALL)
    assert (run.state, run.known) == (RunState.SUBMITTING, Known(None, CALL))
    run.on(RunEvent.STARTED, job_id="r1")
    assert (run.state, run.known) == (RunState.STARTED, Known("r1"))
    run.on(RunEvent.CONCLUDED)
    assert (run.state, run.is_to_stop) == (RunState.ENDED, False)


@pytest.mark.parametrize(("state", "event"), list(product(RunState, RunEvent)), ids=lambda each: each.name)
def test_an_event_leads_on_or_changes_nothing(state, event):
    run = in_state(state)

    if (state, event) in RUN_TRANSITIONS:
        assert run.on(event, **WITH.get(event, {})) == KNOWN_IN[state]
        assert run.state is RUN_TRANSITIONS[state, event]
        # The state determines what is known.
        assert (run.known.job_id is not None) is (run.state is RunState.STARTED)
        assert (run.known.submission is not None) is (run.state is RunState.SUBMITTING)
    else:
        with pytest.raises(LifecycleError, match="is not possible in"):
            run.on(event, **WITH.get(event, {}))
        assert (run.state, run.known) == (state, KNOWN_IN[state])


@pytest.mark.parametrize("state", RunState, ids=lambda state: state.name)
def test_a_run_can_be_stopped_in_every_state(state):
    assert in_state(state).on(RunEvent.STOP) == KNOWN_IN[state]


def test_a_run_that_may_be_in_progress_is_dropped_by_no_other_event():
    for (state, event), _ in RUN_TRANSITIONS.items():
        if KNOWN_IN[state] != Known() and event not in GIVES_UP_RUN:
            # The same request again, or the id of its run.
            assert state is RunState.SUBMITTING
            assert event in (RunEvent.SUBMITTING, RunEvent.STARTED)


def test_a_request_whose_answer_is_to_come_is_neither_over_nor_concluded():
    for event in (RunEvent.OVER, RunEvent.CONCLUDED):
        assert (RunState.SUBMITTING, event) not in RUN_TRANSITIONS


def test_an_answer_after_the_stop_is_stopped_in_turn():
    run = in_state(RunState.SUBMITTING)
    run.on(RunEvent.STOP)
    run.on(RunEvent.STARTED, job_id="r1")

    assert run.on(RunEvent.STOP) == Known("r1")


@pytest.mark.parametrize("event", [KillEvent.KEEP, KillEvent.LEAVE, KillEvent.CANCEL], ids=lambda event: event.name)
def test_a_kill_is_decided_once(event):
    state = next_state(KILL_TRANSITIONS, KillState.ALIVE, KillEvent.KILLED)
    assert state is KillState.DECIDING
    decided = next_state(KILL_TRANSITIONS, state, event)

    assert next_state(KILL_TRANSITIONS, decided, KillEvent.KILLED) is decided
    for other in KillEvent:
        if other is not KillEvent.KILLED:
            with pytest.raises(LifecycleError):
                next_state(KILL_TRANSITIONS, decided, other)


def test_a_task_that_is_alive_has_nothing_decided():
    allowed = {event for (state, event) in KILL_TRANSITIONS if state is KillState.ALIVE}

    assert allowed == {KillEvent.KILLED}


def test_every_state_is_reached():
    assert set(RUN_TRANSITIONS.values()) == set(RunState)
    assert set(KILL_TRANSITIONS.values()) | {KillState.ALIVE} == set(KillState)
