"""What a trigger's event reports about the end of a wait, whatever the event is."""

import pytest

from airflow_provider_sixtyfour.runs.status import RunOutcome
from airflow_provider_sixtyfour.runs.wait_end import DeadlinePassed, Found, NotReported, left_running, read_event

ENDED = RunOutcome("r1", "completed", workflow_id="w1", metrics={"credits_used": 2.0})


@pytest.mark.parametrize(
    ("entries", "end"),
    [
        ({"ended": ENDED.as_event()}, ENDED),
        ({"deadline": "Not completed."}, DeadlinePassed("Not completed.")),
        ({"refused": "401"}, NotReported("401", is_refused=True)),
        ({"broken": "a bug"}, NotReported("a bug", is_refused=False)),
    ],
)
def test_each_event_of_the_trigger(entries, end):
    assert read_event({"job_id": "r1", "host": "https://a", **entries}) == Found("r1", "https://a", end)
    assert read_event({"job_id": "r1", **entries}) == Found("r1", None, end)


@pytest.mark.parametrize(
    ("event", "job_id"),
    [
        (None, None),
        ({}, None),
        ("completed", None),
        ({"job_id": 7, "deadline": "Not completed."}, None),
        ({"job_id": "r1"}, "r1"),
        ({"job_id": "r1", "ended": {"status": "completed"}}, "r1"),
        ({"job_id": "r1", "ended": None}, "r1"),
        ({"job_id": "r1", "refused": 401}, "r1"),
    ],
)
def test_what_is_no_such_event_names_no_end(event, job_id):
    found = read_event(event)

    assert found.job_id == job_id
    assert isinstance(found.end, NotReported)
    assert not found.end.is_refused
    assert found.end.reason.startswith("Unreadable event of the trigger: ")


def test_a_long_event_is_cut():
    assert len(read_event({"x": "y" * 1000}).end.reason) < 250


@pytest.mark.parametrize("reason", ["HTTP 401", "HTTP 401."])
def test_a_reason_becomes_a_sentence(reason):
    assert NotReported(reason).sentence == "HTTP 401."


def test_a_run_that_was_left_is_named():
    assert left_running("Not completed.", "r1").endswith("may still be in progress. Run r1.")
