"""What a watcher stores: runs to announce and runs to poll, a bounded number of them."""

import json

import pytest

from airflow_provider_sixtyfour.api.models import ListedRun
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.runs.ended import (
    ASKED_AT_ONCE,
    BELIEVED_AFTER,
    MOST_ACTIVE,
    MOST_SEEN,
    STATUSES,
    EndedRuns,
    read_statuses,
)
from airflow_provider_sixtyfour.runs.status import RunOutcome

HOST = "https://api.example.com"


def row(job_id, status="completed", **metrics):
    return ListedRun(job_id, "w", status, None, None, metrics)


def rows(*numbers, status="completed"):
    """Rows as the API lists them: the youngest, which has the highest number, first."""
    return [row(f"r{number}", status) for number in sorted(numbers, reverse=True)]


def begun(*over, statuses=("completed",)):
    runs = EndedRuns(statuses)
    runs.looked(over, HOST)
    return runs


def ids(looked):
    return [run.job_id for run in looked.new]


def test_what_is_over_at_the_start_is_counted_and_not_announced():
    looked = EndedRuns(["completed"]).looked([*rows(3, status="running"), *rows(1, 2)], HOST)

    assert (looked.new, looked.over) == ([], 2)


def test_what_ends_later_is_announced_once_and_oldest_first():
    runs = begun(*rows(1))

    assert ids(runs.looked(rows(1, 2, 3), HOST)) == ["r2", "r3"]
    assert ids(runs.looked(rows(1, 2, 3), HOST)) == []


@pytest.mark.parametrize("spelling", ["canceled", "Cancelled", " CANCELLED "])
def test_any_spelling_of_a_status_is_that_status(spelling):
    runs = begun(statuses=read_statuses([spelling]))

    [found] = runs.looked([row("a", spelling), row("b", "completed"), row("c", "finalizing")], HOST).new

    assert found.as_payload() == {"job_id": "a", "workflow_id": "w", "status": "cancelled", "metrics": {}}


def test_statuses_are_read_in_one_order_each_once():
    assert read_statuses("Completed") == ["completed"]
    assert read_statuses(("timed_out", "FAILED", "completed", "timeout")) == ["completed", "failed", "timeout"]
    assert read_statuses(STATUSES) == list(STATUSES)


@pytest.mark.parametrize("wrong", [(), "", "running", ["completed", "done"], [7], None, 7, ["queued"]], ids=str)
def test_a_status_that_no_run_ends_with_is_refused(wrong):
    with pytest.raises(SixtyfourInputError, match="statuses"):
        read_statuses(wrong)


def test_what_another_process_remembered_is_taken_up():
    runs = begun(*rows(1))
    runs.looked([*rows(3, status="running"), *rows(1, 2)], HOST)
    later = EndedRuns(["completed"])

    assert later.restore(json.loads(json.dumps(runs.value())))
    assert ids(later.looked(rows(1, 2, 3, 4), HOST)) == ["r3", "r4"]


HOSTILE = [
    *(7, "x", [], ["r1"], True, {}),
    {"host": HOST, "seen": ["r1"]},
    {"host": None, "seen": [], "active": []},
    {"host": HOST, "seen": {"r1": 1}, "active": []},
    {"host": HOST, "seen": ["r1", 7], "active": []},
    {"host": HOST, "seen": [], "active": ["../x"]},
]


@pytest.mark.parametrize("value", HOSTILE, ids=str)
def test_a_memory_of_another_form_counts_as_none_and_announces_nothing_old(value):
    runs = EndedRuns(["completed"])

    assert not runs.restore(value)
    looked = runs.looked(rows(*range(500)), HOST)
    assert (looked.new, looked.over) == ([], 500)
    assert ids(runs.looked(rows(*range(1, 501)), HOST)) == ["r500"]


def test_a_run_that_left_the_list_is_asked_for_and_announced_when_it_ends():
    runs = begun(*rows(1, 2, status="running"))
    runs.looked(rows(*range(3, 503)), HOST)

    assert runs.to_ask() == ["r1", "r2"]
    assert runs.answered("r1", None) is None
    assert runs.to_ask() == ["r2", "r1"]
    assert runs.answered("r2", RunOutcome("r2", "failed", "w")) is None  # not of the wanted statuses
    found = runs.answered("r1", RunOutcome("r1", "completed", "w"))
    assert found is not None
    assert found.job_id == "r1"
    assert runs.to_ask() == []


def test_of_many_that_left_the_list_some_are_asked_for_at_a_time_in_turn():
    runs = begun(*rows(*range(50), status="queued"))
    runs.looked(rows(*range(50, 550)), HOST)
    asked = []
    for _ in range(3):
        for job_id in runs.to_ask():
            asked.append(job_id)
            runs.answered(job_id, None)

    assert len(asked) == 3 * ASKED_AT_ONCE
    assert len(set(asked)) == 50


def test_a_run_that_the_api_does_not_know_any_more_is_given_up_after_some_answers():
    runs = begun(*rows(1, status="running"))
    runs.looked([], HOST)

    assert [runs.unknown("r1") for _ in range(BELIEVED_AFTER)] == [*[False] * (BELIEVED_AFTER - 1), True]
    assert runs.to_ask() == []


def test_one_that_is_listed_again_is_known_again():
    runs = begun(*rows(1, status="running"))
    for _ in range(BELIEVED_AFTER - 1):
        runs.looked([], HOST)
        runs.unknown("r1")
    runs.looked(rows(1, status="running"), HOST)
    runs.looked([], HOST)

    assert not runs.unknown("r1")


def test_the_running_ones_beyond_a_full_list_are_wanted_at_the_start_and_after_a_gap():
    runs = EndedRuns(["completed"])
    assert not runs.needs_running(rows(1, 2))
    assert runs.needs_running(rows(*range(10, 510)))

    runs.looked(rows(*range(10, 510)), HOST, running=rows(3, 4, status="running"))

    assert runs.to_ask() == ["r3", "r4"]
    assert not runs.needs_running(rows(*range(11, 511)))
    assert runs.needs_running(rows(*range(1000, 1500)))
    looked = runs.looked(rows(*range(1000, 1500)), HOST)
    assert looked.has_gap
    assert len(looked.new) == 500


def test_a_gap_is_also_seen_over_a_restart():
    runs = begun(*rows(1, 2))
    later = EndedRuns(["completed"])
    later.restore(runs.value())

    assert later.needs_running(rows(*range(100, 600)))
    assert later.looked(rows(*range(100, 600)), HOST).has_gap


def test_another_api_has_other_runs_so_there_it_begins_again():
    runs = begun(*rows(1, 2))

    looked = runs.looked([row("x"), row("y")], "https://other.example.com")

    assert (looked.new, looked.over) == ([], 2)
    assert ids(runs.looked([row("z"), row("x"), row("y")], "https://other.example.com")) == ["z"]


def test_another_address_of_the_same_api_is_no_new_start():
    runs = begun(*rows(1, 2))

    assert ids(runs.looked(rows(2, 3), "https://proxy.example.com")) == ["r3"]


def test_what_is_remembered_is_bounded_and_fits_into_airflow_s_store():
    runs, announced = EndedRuns(["completed"]), []
    for begin in range(0, 5000, 250):
        numbers = [f"{number:036d}" for number in reversed(range(begin, begin + 500))]
        listed = [row(job_id, "running" if number < 400 else "completed") for number, job_id in enumerate(numbers)]
        announced += ids(runs.looked(listed, HOST))

    value = runs.value()
    assert len(value["seen"]) <= MOST_SEEN
    assert len(value["active"]) <= MOST_ACTIVE
    assert len(json.dumps(value)) < 65535  # [state_store] max_value_storage_bytes
    assert len(announced) == len(set(announced))


def test_what_is_forgotten_is_counted():
    runs = begun(*rows(*range(500), status="running"))

    looked = runs.looked(rows(*range(500, 700), status="running"), HOST)

    assert looked.forgotten == 200
    assert "r0" not in runs.value()["active"]
    assert "r499" in runs.value()["active"]


def test_ids_that_can_not_be_ids_are_left_out():
    runs = begun()

    assert ids(runs.looked([row("../../x"), row("a b"), row("x" * 300), row("good")], HOST)) == ["good"]
    runs.looked([row("a/b", "running")], HOST)
    assert runs.value()["active"] == []
