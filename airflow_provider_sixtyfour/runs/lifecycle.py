"""
What a task knows of its run, and what becomes of it once the task is killed: two state tables.

Theory of operation
-------------------
A task on a worker has one run at a time. `TrackedRun` holds what is needed to stop it: nothing, the request that is
starting it (its ``Idempotency-Key`` finds the run whose id is not known yet), or its id. A normal life is::

    IDLE -submitting-> SUBMITTING -started-> STARTED -concluded-> ENDED

- A try that adopts an earlier try's run, and a task that is resumed after a deferral, go from IDLE to STARTED.
- A run that turns out to have ended, or to be of other work and is cancelled, is ``over``: back to IDLE, and another
  may be started.
- ``stop`` hands id and request to whoever cancels the run. It may come in any state and, from the thread that cancels
  after a kill, at any time: the answer to a request may come after it. So STOPPED takes ``started`` (that id is
  stopped in turn), and ignores what else the task's own thread still does with the run.
- ``begin`` is the start of a slice of the task. The same operator object may live through several (``dag.test()``);
  what an earlier one knew was dealt with at its end.

The second table is about the kill. A signal handler can't ask, cancel or log: it moves ALIVE to DECIDING and wakes a
thread, which decides by the table in `cancellation` and moves on: to KEPT, LEFT or GIVEN_UP, the decisions of that
table. Where there is nothing to ask, the handler moves on itself. What is decided stands, also if the task is killed
again. The task waits while the state is DECIDING, and starts nothing from then on.

Invariants: an id or a request leaves `TrackedRun` by ``stop`` (who takes it cancels the run), or by an event that says
that nothing is left to stop. An event that a state does not allow changes nothing and raises `LifecycleError`, a bug of
this package: the task fails, and the run is kept or cancelled as after any other error. No run is lost by that:
nothing is sent before ``submitting`` has passed, and what is adopted is recorded.
"""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.calls import Call

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class LifecycleError(RuntimeError):
    """An event came in a state that does not allow it: a bug of this package."""


class RunState(Enum):
    """What a task knows of its run."""

    IDLE = "no run, and no request that may have started one"
    SUBMITTING = "a request that may have started a run, whose id is not known"
    STARTED = "the id of a run that is in progress, as far as is known"
    STOPPED = "the run was handed over to be cancelled"
    ENDED = "the wait is over, and nothing is left to stop"


class RunEvent(Enum):
    """What happens to a run, seen from its task."""

    BEGIN = "a slice of the task begins"
    SUBMITTING = "a request that starts a run is about to be sent"
    NOT_STARTED = "the API has refused that request"
    STARTED = "the id of the run is known"
    OVER = "the run needs no stopping, and another may follow"
    STOP = "the run is to be cancelled"
    CONCLUDED = "the wait for the run is over"


RUN_TRANSITIONS: dict[tuple[RunState, RunEvent], RunState] = {
    **{(state, RunEvent.BEGIN): RunState.IDLE for state in RunState},
    (RunState.IDLE, RunEvent.SUBMITTING): RunState.SUBMITTING,
    (RunState.IDLE, RunEvent.STARTED): RunState.STARTED,
    (RunState.IDLE, RunEvent.OVER): RunState.IDLE,
    (RunState.IDLE, RunEvent.STOP): RunState.STOPPED,
    (RunState.IDLE, RunEvent.CONCLUDED): RunState.ENDED,  # an event of the trigger that names no run
    (RunState.SUBMITTING, RunEvent.SUBMITTING): RunState.SUBMITTING,  # the same request again
    (RunState.SUBMITTING, RunEvent.NOT_STARTED): RunState.IDLE,
    (RunState.SUBMITTING, RunEvent.STARTED): RunState.STARTED,
    (RunState.SUBMITTING, RunEvent.STOP): RunState.STOPPED,
    (RunState.STARTED, RunEvent.OVER): RunState.IDLE,
    (RunState.STARTED, RunEvent.STOP): RunState.STOPPED,
    (RunState.STARTED, RunEvent.CONCLUDED): RunState.ENDED,
    # A kill came between the last check for one and the request: its run is stopped once it is started.
    (RunState.STOPPED, RunEvent.SUBMITTING): RunState.SUBMITTING,
    (RunState.STOPPED, RunEvent.NOT_STARTED): RunState.STOPPED,
    (RunState.STOPPED, RunEvent.STARTED): RunState.STARTED,
    (RunState.STOPPED, RunEvent.OVER): RunState.STOPPED,
    (RunState.STOPPED, RunEvent.STOP): RunState.STOPPED,
    (RunState.STOPPED, RunEvent.CONCLUDED): RunState.ENDED,
    (RunState.ENDED, RunEvent.STOP): RunState.ENDED,
}


class KillState(Enum):
    """Whether a task was killed, and what was decided about its run."""

    ALIVE = "nobody has killed the task"
    DECIDING = "the task is killed, and its run not dealt with yet"
    KEPT = "the next try reattaches to the run"
    LEFT = "the run keeps running, as cancel_on_kill is off"
    GIVEN_UP = "the run is cancelled, now or as soon as it is known"


class KillEvent(Enum):
    """What happens to a task that is killed."""

    KILLED = "Airflow calls on_kill"
    KEEP = "the run is kept for the next try"
    LEAVE = "the run is left alone"
    CANCEL = "the run is cancelled"


KILL_TRANSITIONS: dict[tuple[KillState, KillEvent], KillState] = {
    (KillState.ALIVE, KillEvent.KILLED): KillState.DECIDING,
    (KillState.DECIDING, KillEvent.KEEP): KillState.KEPT,
    (KillState.DECIDING, KillEvent.LEAVE): KillState.LEFT,
    (KillState.DECIDING, KillEvent.CANCEL): KillState.GIVEN_UP,
    # Killed again: what is decided stands.
    **{(state, KillEvent.KILLED): state for state in KillState if state is not KillState.ALIVE},
}


def next_state(transitions: dict[tuple[S, E], S], state: S, event: E) -> S:
    """
    Return the state that follows.

    :raises LifecycleError: if the state does not allow the event.
    """
    try:
        return transitions[state, event]
    except KeyError:
        raise LifecycleError(f"{event} is not possible in {state}.") from None


_NAMES_THE_RUN = (RunEvent.BEGIN, RunEvent.SUBMITTING, RunEvent.STARTED)  # or says that there is none yet


class Known(NamedTuple):
    """What is known of a run: its id, or else the request that may have started it, or neither."""

    job_id: str | None = None
    submission: Call[Any] | None = None


class TrackedRun:
    """The run of a task: its state and what is known of it, changed together by one event at a time."""

    def __init__(self) -> None:
        self.state = RunState.IDLE
        self.known = Known()
        self.last_job_id: str | None = None  # of the run, also when nothing is left to stop
        # Two threads change it after a kill. Reentrant: the thread that a signal handler interrupts may be in here.
        self._lock = threading.RLock()

    @property
    def is_to_stop(self) -> bool:
        """Whether a run is in progress, or may be."""
        return self.known != Known()

    def on(self, event: RunEvent, *, job_id: str | None = None, submission: Call[Any] | None = None) -> Known:
        """
        Take in an event, with what is known of the run from now on.

        :returns: what was known of it before.
        :raises LifecycleError: if the state does not allow the event; nothing has changed then.
        """
        with self._lock:
            self.state = next_state(RUN_TRANSITIONS, self.state, event)
            before, self.known = self.known, Known(job_id, submission)
            if event in _NAMES_THE_RUN:
                self.last_job_id = job_id
        return before
