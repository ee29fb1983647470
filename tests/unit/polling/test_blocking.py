from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api.models import ListedRun, LiveStatus
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourInputError,
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourTimeoutError,
    SixtyfourUnavailableError,
    SixtyfourWaitError,
)
from airflow_provider_sixtyfour.polling.failure_policy import REFUSAL_PATIENCE, RETRY_IN_DOUBT
from airflow_provider_sixtyfour.polling.run_watch import NEW_RUN_PERIOD
from airflow_provider_sixtyfour.runs.status import RunOutcome
from tests.unit.api.properties import searched
from tests.unit.polling.conftest import World

MakeWorld = Callable[..., World]


def live(status: str, percent: float = 0.0, *blocks: dict[str, Any]) -> LiveStatus:
    return LiveStatus.read(
        {"overall_status": status, "overall_progress_percentage": percent, "workflow_id": "w", "blocks": list(blocks)}
    )


def bad(text: str = "No answer from the API.", **options: Any) -> SixtyfourUnavailableError:
    return SixtyfourUnavailableError(text, **options)


def refused(status: int) -> SixtyfourRefusedError:
    """Return a refusal in the API's own words."""
    return SixtyfourRefusedError("No.", status=status, from_api=True, about_credential=status == 401)


NOT_FOUND = SixtyfourNotFoundError("No such run.", status=404, from_api=True)
PAGE = SixtyfourNotFoundError("Sixtyfour answered 404: nginx.", status=404)
QUEUED, RUNNING, DONE = live("queued"), live("running", 50), live("completed", 100)
BLOCK = {"block_name": "find_email", "sequence_number": 2, "status": "failed", "error_message": "no credits"}


def test_it_asks_at_the_poll_interval_and_logs_what_changed(world: MakeWorld):
    blocks = [{"block_name": "b", "sequence_number": 1, "status": "running", "processed_count": 3, "total_count": 9}]
    here = world(QUEUED, QUEUED, live("running", 30, *blocks), live("running", 30, *blocks), live("running", 60), DONE)
    assert here.wait() == RunOutcome("job", "completed", "w")
    assert here.asked_at == [1000.0 + 10 * n for n in range(6)]
    assert here.log.lines == [
        "Queued 0 %. Run job.",
        "Running 30 %, block 'b' (1), 3 of 9 rows. Run job.",
        "Running 60 %. Run job.",
        "Completed 100 %. Run job.",
    ]
    assert here.story_calls == []


def test_a_run_that_has_ended_is_not_waited_for(world: MakeWorld):
    here = world(DONE)
    here.wait(poll_interval=3600)
    assert here.now == 1000.0


def test_an_outage_logs_one_warning_and_one_recovery(world: MakeWorld):
    here = world(RUNNING, bad("Sixtyfour answered 502."), bad("Reset."), bad(), RUNNING, bad("Again."), DONE)
    here.wait()
    assert here.log.lines == [
        "Running 50 %. Run job.",
        "WARNING Sixtyfour answered 502. Polling continues; the run is not affected.",
        "Sixtyfour answers again.",
        "WARNING Again. Polling continues; the run is not affected.",
        "Sixtyfour answers again.",
        "Completed 100 %. Run job.",
    ]


def test_an_outage_is_waited_out_however_long(world: MakeWorld):
    here = world(*[bad()] * 500, DONE)
    assert here.wait().status == "completed"
    pauses = [later - earlier for earlier, later in zip(here.asked_at, here.asked_at[1:], strict=False)]
    rounding = 1e-6  # of a difference of two sums
    assert all(10.0 - rounding <= pause <= 60.0 + rounding for pause in pauses)
    assert len(set(pauses)) > 100  # many waiters don't come back at once


def test_retry_after_is_waited_for_and_a_slow_poller_stays_slow(world: MakeWorld):
    here = world(bad(retry_after=45.0, status=429), bad(retry_after=10.0**9), DONE)
    here.wait()
    first, second = (b - a for a, b in zip(here.asked_at, here.asked_at[1:], strict=False))
    assert 45 <= first <= 46
    assert 300 <= second <= 301
    slow = world(bad(), bad(retry_after=1.0), DONE)
    slow.wait(poll_interval=600.0)
    assert slow.asked_at == [1000.0, 1600.0, 2200.0]


def test_after_an_outage_the_poll_interval_is_the_usual_one(world: MakeWorld):
    here = world(*[bad()] * 20, RUNNING, RUNNING, DONE)
    here.wait()
    assert here.asked_at[-1] - here.asked_at[-3] == pytest.approx(20.0)


def test_a_new_run_may_be_unknown(world: MakeWorld):
    here = world(NOT_FOUND, NOT_FOUND, NOT_FOUND, RUNNING, DONE)
    here.wait(may_be_unknown=NEW_RUN_PERIOD)
    # It is asked for soon, not at the poll interval.
    assert here.asked_at[3] - 1000.0 <= 1.5 + 2.5 + 4.5
    assert here.log.lines[0] == "WARNING No such run. Polling continues; the run is not affected."
    assert here.log.lines[1] == "Sixtyfour answers again."


def test_a_run_that_stays_unknown_is_given_up(world: MakeWorld):
    here = world(NOT_FOUND)
    with pytest.raises(SixtyfourWaitError) as caught:
        here.wait(may_be_unknown=NEW_RUN_PERIOD)
    assert str(caught.value) == "No such run. Repeated for 300 s, so the run is no longer waited for."
    assert (caught.value.job_id, caught.value.status) == ("job", 404)
    assert REFUSAL_PATIENCE <= here.now - 1000.0 <= REFUSAL_PATIENCE + NEW_RUN_PERIOD + 10


@pytest.mark.parametrize("was_known", [True, False])
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 422])
def test_a_refusal_is_believed_once_it_was_repeated_for_minutes(world: MakeWorld, status: int, was_known: bool):
    error = NOT_FOUND if status == 404 else refused(status)
    here = world(*[RUNNING] * was_known, error)
    with pytest.raises(SixtyfourWaitError) as caught:
        here.wait()
    assert caught.value.status == status
    assert here.asked_at[-1] - here.asked_at[was_known] == pytest.approx(REFUSAL_PATIENCE)
    warnings = [line for line in here.log.lines if line.startswith("WARNING")]
    assert warnings == [
        f"WARNING {error} Polling continues for 300 s, in case this is temporary; the connection is read again before "
        "each retry."
    ]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 422])
def test_a_refusal_that_passes_costs_nothing(world: MakeWorld, status: int):
    error = NOT_FOUND if status == 404 else refused(status)
    here = world(RUNNING, *[error] * 29, RUNNING, *[error] * 29, DONE)
    assert here.wait().status == "completed"


def test_the_patience_is_a_parameter(world: MakeWorld):
    here = world(refused(403))
    with pytest.raises(SixtyfourWaitError):
        here.wait(patience=50.0)
    assert here.now == pytest.approx(1050.0)


def test_a_slow_poller_is_quicker_in_doubt_and_still_believes_no_two_answers(world: MakeWorld):
    here = world(refused(403))
    with pytest.raises(SixtyfourWaitError):
        here.wait(poll_interval=3600.0)
    assert here.asked_at[1] - here.asked_at[0] == RETRY_IN_DOUBT
    assert len(here.asked_at) > 10


@pytest.mark.parametrize(
    "error", [PAGE, SixtyfourRefusedError("The certificate is not trusted."), SixtyfourRefusedError("!", status=302)]
)
def test_an_error_that_is_not_the_apis_is_waited_out_however_long(world: MakeWorld, error: SixtyfourError):
    here = world(*[error] * 500, DONE)
    assert here.wait().status == "completed"
    assert here.now > 1000.0 + 10 * REFUSAL_PATIENCE


def test_what_can_never_be_sent_ends_the_wait_after_one_request(world: MakeWorld):
    error = SixtyfourInputError("No.")
    here = world(error)
    with pytest.raises(SixtyfourInputError) as caught:
        here.wait(may_be_unknown=NEW_RUN_PERIOD)
    assert caught.value is error
    assert len(here.asked_at) == 1
    assert here.log.lines == []


@pytest.mark.parametrize("error", [refused(401), refused(403), NOT_FOUND, PAGE, SixtyfourRefusedError("TLS.")])
def test_the_connection_is_read_again_before_each_retry_of_a_refusal(world: MakeWorld, error: SixtyfourError):
    here = world(RUNNING, bad(), error, error, error)
    another = world(RUNNING, DONE)
    read_at: list[int] = []

    def reconnect() -> Any:
        read_at.append(len(here.asked_at))
        return another if len(read_at) == 3 else None

    assert here.wait(reconnect=reconnect).status == "completed"
    assert read_at == [3, 4, 5]
    assert len(another.asked_at) == 2


def test_another_credential_has_patience_of_its_own(world: MakeWorld):
    here, another = world(refused(401)), world(refused(401))
    another.now = 0.0
    clients = iter([*[None] * 20, another])
    with pytest.raises(SixtyfourWaitError):
        here.wait(reconnect=lambda: next(clients, None))
    assert len(another.asked_at) == 31


def test_a_bug_is_not_taken_for_an_outage(world: MakeWorld):
    here = world(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        here.wait()
    assert len(here.asked_at) == 1


def test_the_deadline_is_kept_to_the_instant(world: MakeWorld):
    here = world(RUNNING)
    with pytest.raises(SixtyfourTimeoutError) as caught:
        here.wait(deadline=1025.0)
    assert here.now == 1025.0
    assert here.asked_at == [1000.0, 1010.0, 1020.0, 1025.0]  # the last request is sent at the deadline itself
    assert str(caught.value) == "Not completed by the task's deadline (1970-01-01 00:17:05 UTC): running 50 %."


def test_a_run_that_ends_at_the_deadline_has_ended(world: MakeWorld):
    here = world(RUNNING, RUNNING, RUNNING, DONE)
    assert here.wait(deadline=1025.0).status == "completed"


def test_a_deadline_that_has_passed_asks_once(world: MakeWorld):
    here = world(RUNNING)
    with pytest.raises(SixtyfourTimeoutError):
        here.wait(deadline=10.0)
    assert (len(here.asked_at), here.now) == (1, 1000.0)
    assert world(DONE).wait(deadline=10.0).status == "completed"


def test_no_outage_outlasts_the_deadline(world: MakeWorld):
    here = world(bad(retry_after=300.0))
    with pytest.raises(
        SixtyfourTimeoutError, match=r"Not completed by the task's deadline .*: no status was received\."
    ):
        here.wait(deadline=1060.0)
    assert here.now == 1060.0


@pytest.mark.parametrize("status", ["paused", "Paused", "succeeded"])
def test_an_unknown_status_is_still_running_and_logged_once(world: MakeWorld, status: str):
    here = world(RUNNING, live(status), live(status, 10), RUNNING, live(status.upper(), 20), DONE)
    assert here.wait().status == "completed"
    warnings = [line for line in here.log.lines if line.startswith("WARNING")]
    assert warnings == [f"WARNING Unrecognised status {status!r}, treated as still running. Run job."]


def test_two_unknown_statuses_in_turn_are_logged_once_each(world: MakeWorld):
    here = world(*[live("paused"), live("held")] * 5, DONE)
    here.wait()
    assert sum(line.startswith("WARNING") for line in here.log.lines) == 2


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        *(("failed", "failed"), ("Failed", "failed"), ("timeout", "timeout")),
        *(("cancelled", "cancelled"), ("canceled", "cancelled")),
    ],
)
def test_every_end_is_an_end(world: MakeWorld, status: str, ended: str):
    here = world(RUNNING, live(status, 50, BLOCK))
    assert here.wait() == RunOutcome("job", ended, "w", "'find_email' (2)", "no credits", blocks=("find_email",))
    assert here.story_calls == []  # the block has the reason


def row(job_id: str, **fields: Any) -> ListedRun:
    [found] = ListedRun.read_all([{"job_id": job_id, "status": "failed", **fields}])
    return found


def test_a_reason_that_no_block_has_is_looked_up(world: MakeWorld):
    rows = (row("another", error_message="not this"), row("job", status_reason="limit", error_message="too many rows"))
    here = world(live("failed"), rows=rows)
    assert here.wait() == RunOutcome("job", "failed", "w", None, "limit - too many rows")
    [(call, attempts)] = here.story_calls
    assert (call.path, dict(call.query)["workflow_id"], attempts) == ("/workflows/runs", "w", 2)


@pytest.mark.parametrize("rows", [(), (row("another", error_message="x"),), bad(), SixtyfourRefusedError("No.")])
def test_the_outcome_stands_if_its_reason_can_not_be_fetched(world: MakeWorld, rows: Any):
    assert world(live("failed"), rows=rows).wait() == RunOutcome("job", "failed", "w")


outages = st.sampled_from([bad(), bad(retry_after=5.0), bad(status=502), bad(may_have_worked=False)])
refusals = st.sampled_from([NOT_FOUND, NOT_FOUND, PAGE, refused(401), refused(403)])
still_running = st.builds(live, st.sampled_from(["queued", "running", "Running", "paused", "new"]), st.floats(0, 100))
ends = st.sampled_from(["completed", "failed", "cancelled", "canceled", "timeout", "COMPLETED", "Failed"])
histories = st.lists(outages | still_running | refusals, max_size=40)
MEANT = {"canceled": "cancelled", "COMPLETED": "completed", "Failed": "failed"}


@searched
@given(history=histories, end=ends, is_new=st.booleans(), seconds=st.none() | st.floats(0.001, 2000))
@example(history=[live("running", 0.0), live("Running", 0.0)], end="completed", is_new=False, seconds=None)
def test_any_history_ends_as_it_should(history: list[Any], end: str, is_new: bool, seconds: float | None):
    here = World(*history, live(end, 100, BLOCK))
    deadline = None if seconds is None else 1000.0 + seconds
    try:
        outcome: Any = here.wait(deadline=deadline, may_be_unknown=NEW_RUN_PERIOD if is_new else 0.0).status
    except SixtyfourTimeoutError:
        outcome = "deadline"
    except SixtyfourWaitError:
        outcome = "unknown"
    asked = history[: len(here.asked_at)]
    if outcome == "deadline":
        assert deadline is not None
        assert here.now == pytest.approx(deadline)
    elif outcome == "unknown":
        assert asked[-1] is not PAGE
        assert asked[-1].status in (401, 403, 404)
        assert here.now >= 1000.0 + REFUSAL_PATIENCE
    else:
        assert outcome == MEANT.get(end, end)
        assert len(here.asked_at) == len(history) + 1
    assert deadline is None or here.now <= deadline + 1e-6
    # One warning when an outage begins, one more when it turns into a doubt, one line when it is over.
    is_bad = [isinstance(answer, Exception) for answer in asked]
    is_over = outcome not in ("deadline", "unknown")
    falls = sum(now and not before for before, now in zip([False, *is_bad], is_bad, strict=False))
    rises = sum(before and not now for before, now in pairwise([*is_bad, not is_over]))
    assert falls <= sum("Polling continues" in line for line in here.log.lines) <= 2 * falls
    assert sum("answers again" in line for line in here.log.lines) == rises
    assert all(one != other for one, other in zip(here.log.lines, here.log.lines[1:], strict=False))
