"""
Who cancels a run, and who keeps it: one table, and `decide`, which looks a case up in it.

What ends a task, or finds a run that is not its own, describes the case and does what the table says. Worker, trigger
and submission look it up here; how a run is cancelled is in `cancel`. What a user asks for by other means (a limit of
costs, an operator that cancels) needs no rule.

Invariants: with ``cancel_on_kill=False`` nothing is cancelled. A run keeps running only if a task waits for it, or will
(`Decision.KEEP`), or the user has asked for that (`Decision.LEAVE`). Where Airflow does not answer, the run is kept:
work that somebody may wait for is not stopped on a guess.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import NamedTuple, TypeAlias


class Event(Enum):
    """What has happened to a task whose run is in progress, as far as it is known."""

    SIGNAL = "a signal ends the task on its worker"
    EXCEPTION = "an exception ends the task"
    DEADLINE = "timeout or execution_timeout has passed"
    WAIT_GIVEN_UP = "the API does not report the run's status, or the wait has failed"
    RESUMED_TO_FAIL = "Airflow resumes a deferred task only to fail it"
    TRIGGER_STOPPED = "Airflow calls the trigger's on_kill"
    CLEARED = "a try finds a run that was started before a user cleared the task"
    INPUT_CHANGED = "a try finds a run that was started for other input"


class Unread(Enum):
    """Why the state of a task instance is not known."""

    NOT_YET = "nobody has asked Airflow"
    NO_ANSWER = "Airflow gives no answer"
    UNAVAILABLE = "Airflow can't be asked from here (before 3.3, or without a task instance)"


class Decision(Enum):
    """What to do about the run."""

    CANCEL = "cancel it"
    KEEP = "keep it: a task waits for it, or the next try reattaches to it"
    LEAVE = "let it run, though no task waits for it: cancel_on_kill is off"
    ASK_AGAIN = "read the state of the task instance, then decide again"


# What is logged where a task ends by an error while its run is in progress.
LEFT_BY_ERROR = {
    Decision.CANCEL: "The task ends while its run is in progress: cancelling the run.",
    Decision.KEEP: "The task failed, but its run is kept: the next try reattaches to it.",
    Decision.LEAVE: "The task failed; its run keeps running, as cancel_on_kill is off.",
}

# Airflow's name of the state; ``None`` for none, also of a task instance that is gone.
TaskState: TypeAlias = str | Unread | None

DEFERRED = "deferred"
# "running": nobody has acted on the task, so its end will be taken for a failure, and retried. The others: Airflow
# has given the try up already. A user's acts give "failed", "success" or, a clear, "restarting".
RETRIED = frozenset({"running", "up_for_retry", "scheduled", "queued", DEFERRED})


class Case(NamedTuple):
    """
    All that a decision depends on.

    :param cancel_on_kill: the operator's option.
    :param has_next_try: whether Airflow will try the task again if it fails, and that try reattaches to this run.
    :param is_final: whether the error that ends the task is one that Airflow does not retry.
    :param is_late: whether the task's deadline has passed.
    :param task_state: the state of the task instance, or why it is not known.
    :param is_its_run: whether this run is the one that the task instance names as its own.
    """

    event: Event
    cancel_on_kill: bool = True
    has_next_try: bool = False
    is_final: bool = False
    is_late: bool = False
    task_state: TaskState = Unread.NOT_YET
    is_its_run: bool = True


class Rule(NamedTuple):
    """
    One row of the table.

    :param when: the values that a case must have, by the name of its field; a field that is not named may have any.
    :param reason: why, in one line.
    """

    events: Collection[Event]
    when: Mapping[str, Collection[TaskState | bool]]
    decision: Decision
    reason: str

    def matches(self, case: Case) -> bool:
        """Return whether the rule is about the case."""
        return case.event in self.events and all(getattr(case, name) in values for name, values in self.when.items())


_NO, _YES = (False,), (True,)
_CALLS = (Event.SIGNAL, Event.TRIGGER_STOPPED)  # Airflow makes the same call for a user's act and for its own reasons
_FAILURES = (Event.EXCEPTION, Event.WAIT_GIVEN_UP, Event.RESUMED_TO_FAIL)
_RETRY = {"has_next_try": _YES, "is_late": _NO}

# The first row that matches a case decides it.
RULES: tuple[Rule, ...] = (
    Rule(_CALLS, {"cancel_on_kill": _NO}, Decision.LEAVE, "the option decides it, and Airflow need not be asked"),
    # On the worker
    Rule(_FAILURES, {**_RETRY, "is_final": _NO}, Decision.KEEP, "the next try reattaches to the run"),
    Rule((Event.SIGNAL,), {**_RETRY, "task_state": (Unread.NOT_YET,)}, Decision.ASK_AGAIN, "the state says who it was"),
    Rule((Event.SIGNAL,), {**_RETRY, "task_state": RETRIED}, Decision.KEEP, "no user's act: Airflow retries the task"),
    Rule((Event.SIGNAL,), {**_RETRY, "task_state": (Unread.NO_ANSWER,)}, Decision.KEEP, "it may be no user's act"),
    # In the triggerer
    Rule(
        (Event.TRIGGER_STOPPED,),
        {"task_state": (Unread.NOT_YET,)},
        Decision.ASK_AGAIN,
        "the trigger may only have moved",
    ),
    Rule(
        (Event.TRIGGER_STOPPED,),
        {"task_state": (DEFERRED,), "is_its_run": _YES},
        Decision.KEEP,
        "the trigger has moved to another triggerer, which waits for the run",
    ),
    Rule((Event.TRIGGER_STOPPED,), {"task_state": (Unread.NO_ANSWER,)}, Decision.KEEP, "a task may wait for it still"),
    # No task waits for the run from here on
    Rule(tuple(Event), {"cancel_on_kill": _NO}, Decision.LEAVE, "the user wants runs to survive their tasks"),
    Rule((Event.SIGNAL, Event.TRIGGER_STOPPED), {}, Decision.CANCEL, "a user has stopped the task, or no try is left"),
    Rule((Event.DEADLINE,), {}, Decision.CANCEL, "a retry would have no time left either"),
    Rule(_FAILURES, {}, Decision.CANCEL, "no try is left that could reattach to it"),
    Rule((Event.CLEARED,), {}, Decision.CANCEL, "a clear asks for new work"),
    Rule((Event.INPUT_CHANGED,), {}, Decision.CANCEL, "the run does not answer what the task asks for now"),
)


def decide(case: Case) -> Decision:
    """Return what to do about the run of a case: what the first rule says that matches it."""
    return next(rule.decision for rule in RULES if rule.matches(case))
