"""The table of who cancels a run: its invariants over all cases, and the pages' tables that describe it."""

import re
from itertools import product
from pathlib import Path

import pytest

from airflow_provider_sixtyfour.runs import idempotency
from airflow_provider_sixtyfour.runs.cancellation import RULES, Case, Decision, Event, Unread, decide

PAGES = Path(__file__).parents[3] / "docs" / "explanation"
PAID_ONCE, CANCELLATION = PAGES / "paid-once.md", PAGES / "cancellation.md"

BY_AIRFLOW = ("running", "up_for_retry", "scheduled", "queued", "deferred")  # states that no user has caused
BY_A_USER = ("failed", "success", "restarting", "skipped", "removed", None)  # None: no such task instance
STATES = (*BY_AIRFLOW, *BY_A_USER, *Unread)
FLAGS = (False, True)
# The exhaustive space: every value of every field.
CASES = [Case(*values) for values in product(Event, FLAGS, FLAGS, FLAGS, FLAGS, STATES, FLAGS)]
FOUND = (Event.CLEARED, Event.INPUT_CHANGED)


def those(decision, **fields):
    return [c for c in CASES if decide(c) is decision and all(getattr(c, name) == v for name, v in fields.items())]


def test_every_case_is_decided_and_every_rule_decides_some():
    deciding = {next(index for index, rule in enumerate(RULES) if rule.matches(case)) for case in CASES}

    assert deciding == set(range(len(RULES)))


def test_with_the_option_off_nothing_is_cancelled():
    assert those(Decision.CANCEL, cancel_on_kill=False) == []


def test_a_run_is_left_without_a_waiting_task_only_where_the_option_is_set():
    assert those(Decision.LEAVE, cancel_on_kill=True) == []


def test_on_the_worker_a_run_is_kept_for_a_next_try_and_for_nothing_else():
    kept = [case for case in those(Decision.KEEP) if case.event is not Event.TRIGGER_STOPPED]

    assert kept
    assert all(case.has_next_try and not case.is_late for case in kept)
    assert {case.event for case in kept} == {
        Event.SIGNAL,
        Event.EXCEPTION,
        Event.WAIT_GIVEN_UP,
        Event.RESUMED_TO_FAIL,
    }


def test_an_error_that_is_not_retried_keeps_no_run():
    assert not [case for case in those(Decision.KEEP, is_final=True) if case.event is Event.EXCEPTION]


@pytest.mark.parametrize("event", [Event.SIGNAL, Event.TRIGGER_STOPPED])
def test_a_users_act_cancels_whatever_else_holds(event):
    for state in BY_A_USER:
        cases = [case for case in CASES if case.event is event and case.task_state == state and case.cancel_on_kill]
        assert cases
        assert {decide(case) for case in cases} == {Decision.CANCEL}


def test_a_state_that_could_not_be_read_keeps_a_run_that_a_task_may_wait_for():
    for case in CASES:
        if case.task_state is Unread.NO_ANSWER and case.cancel_on_kill:
            if case.event is Event.TRIGGER_STOPPED:
                assert decide(case) is Decision.KEEP, case
            if case.event is Event.SIGNAL and case.has_next_try and not case.is_late:
                assert decide(case) is Decision.KEEP, case


def test_the_state_is_asked_for_only_where_it_is_not_read_and_decides():
    for case in those(Decision.ASK_AGAIN):
        answers = {decide(case._replace(task_state=state, is_its_run=True)) for state in STATES}
        assert case.task_state is Unread.NOT_YET
        assert {Decision.KEEP, Decision.CANCEL} <= answers, case


def test_asking_ends_with_an_answer_of_any_kind():
    for case in CASES:
        assert case.task_state is Unread.NOT_YET or decide(case) is not Decision.ASK_AGAIN


def test_a_trigger_keeps_only_the_run_that_its_task_waits_for():
    kept = [case for case in those(Decision.KEEP) if case.event is Event.TRIGGER_STOPPED]

    assert {(case.task_state, case.is_its_run) for case in kept if case.task_state is not Unread.NO_ANSWER} == {
        ("deferred", True)
    }


@pytest.mark.parametrize("event", [Event.DEADLINE, *FOUND], ids=lambda event: event.name)
def test_what_no_next_try_can_change_is_cancelled(event):
    assert {decide(case) for case in CASES if case.event is event and case.cancel_on_kill} == {Decision.CANCEL}


def test_every_rule_has_a_reason_of_one_line():
    assert all(rule.reason and "\n" not in rule.reason and not rule.reason.endswith(".") for rule in RULES)


# The documentation


def on_worker(*states, has_next_try=FLAGS, event=Event.SIGNAL):
    return [Case(event, has_next_try=flag, task_state=state) for flag in has_next_try for state in states]


def in_triggerer(*states, is_its_run=True):
    return [Case(Event.TRIGGER_STOPPED, task_state=state, is_its_run=is_its_run) for state in states]


def retried(*events):
    return [Case(event, has_next_try=True) for event in events]


def late(*events):
    return [
        Case(event, has_next_try=flag, is_late=True, task_state=state)
        for event in events
        for flag in FLAGS
        for state in STATES
    ]


NO_CODE_RUNS: list[Case] = []  # nothing decides: the process has died, or nothing has happened to the task
# The table "what happens | waiting on the worker | deferred": for each row the cases of each clause of its two cells.
WHAT_HAPPENS = {
    "mark failed, mark success, clear": (
        [on_worker("failed", "success", "restarting")],
        [in_triggerer("failed", "success", None, "queued") + in_triggerer("deferred", is_its_run=False)],
    ),
    "`timeout` or `execution_timeout` passes, counted from the task's start": (
        [late(Event.DEADLINE, Event.SIGNAL)],
        [late(Event.DEADLINE, Event.RESUMED_TO_FAIL)],
    ),
    "the task is retried while its run is running": (
        [retried(Event.EXCEPTION, Event.WAIT_GIVEN_UP)],
        [retried(Event.EXCEPTION, Event.WAIT_GIVEN_UP, Event.RESUMED_TO_FAIL)],
    ),
    "the worker is killed (SIGKILL, out of memory)": ([NO_CODE_RUNS], [NO_CODE_RUNS]),
    "the worker is shut down (SIGTERM), or Airflow takes a live task for dead": (
        [on_worker(*BY_AIRFLOW, has_next_try=(True,)), on_worker(*BY_AIRFLOW, has_next_try=(False,))],
        [NO_CODE_RUNS],
    ),
    "the triggerer is restarted or dies, or its triggers move": ([NO_CODE_RUNS], [in_triggerer("deferred")]),
    "the API is down, or answers 5xx, 429 or unreadably": ([NO_CODE_RUNS], [NO_CODE_RUNS]),
}
DECISIONS = {"cancelled": Decision.CANCEL, "reattaches": Decision.KEEP, "the run keeps running": Decision.KEEP}
NO_DECISION = ("\u2013", "polling continues until the API is back")

# The rows of the table "an earlier try left | the retry" in which a run is cancelled.
FOUND_BY_A_RETRY = {
    "a run for other rows or another workflow": Event.INPUT_CHANGED,
    "anything, but a user has cleared the task since": Event.CLEARED,
}


def table(page, header):
    """Return the rows of a page's table under a header, by their first cells."""
    _, found, after = page.read_text().partition(f"\n{header}\n")
    assert found, f"{page.name} has no table {header!r}"
    lines = after.split("\n\n")[0].splitlines()[1:]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("| "))] for line in lines]
    return {row[0]: row[1:] for row in rows}


def test_the_page_names_the_cases_that_are_tested_here():
    assert set(table(CANCELLATION, "| what happens | waiting on the worker | deferred |")) == set(WHAT_HAPPENS)
    assert set(FOUND_BY_A_RETRY) <= set(table(PAID_ONCE, "| an earlier try left | the retry |"))


@pytest.mark.parametrize("row", WHAT_HAPPENS)
@pytest.mark.parametrize("column", [0, 1], ids=["on the worker", "deferred"])
def test_the_page_documents_what_the_table_decides(row, column):
    clauses = table(CANCELLATION, "| what happens | waiting on the worker | deferred |")[row][column].split("; ")
    cases = WHAT_HAPPENS[row][column]
    assert len(clauses) == len(cases)
    for clause, decided in zip(clauses, cases, strict=True):
        documented = {decision for words, decision in DECISIONS.items() if words in clause}
        if decided is NO_CODE_RUNS:
            assert clause in NO_DECISION or (documented == {Decision.KEEP} and retry_of_a_killed_worker_adopts())
        else:
            assert {decide(case) for case in decided} == documented, clause


def retry_of_a_killed_worker_adopts():
    record = idempotency.Record("key", "digest", 3, "run")
    action = idempotency.decide(record, max_tries=3, digest="digest", status="running")
    return action is idempotency.Action.ADOPT


@pytest.mark.parametrize("row", FOUND_BY_A_RETRY)
def test_the_page_documents_what_a_retry_does_with_a_run_that_it_does_not_want(row):
    (documented,) = table(PAID_ONCE, "| an earlier try left | the retry |")[row]

    assert ("cancels the old" in documented) is (decide(Case(FOUND_BY_A_RETRY[row])) is Decision.CANCEL)


def test_the_page_documents_what_the_option_does():
    assert "`cancel_on_kill=False` switches every cancellation off." in CANCELLATION.read_text()
