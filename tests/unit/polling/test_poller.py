"""Many waits, one poller: with a virtual clock, against a fake API that uses the same clock."""

from __future__ import annotations

import asyncio
import contextvars
import re
from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api.calls import cancel_run
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourRefusedError,
    SixtyfourTimeoutError,
    SixtyfourUnavailableError,
    SixtyfourWaitError,
)
from airflow_provider_sixtyfour.polling import poller
from airflow_provider_sixtyfour.polling.failure_policy import REFUSAL_PATIENCE
from airflow_provider_sixtyfour.polling.poller import LAST_LOOK, shared_poller
from airflow_provider_sixtyfour.runs.status import RunOutcome
from tests.unit.api.properties import searched
from tests.unit.polling.virtual import EPOCH, NO_END, Connection, FakeApi, FakeRun, Wait, now, run, wait_for_all

LIST = "/workflows/runs"


def lists(api: FakeApi) -> list[dict[str, str]]:
    return [dict(call.query) for _, call in api.asked if call.path == LIST]


def most_in_a_minute(api: FakeApi) -> int:
    asked = [moment for moment, _ in api.asked]
    return max(bisect_left(asked, start + 60) - number for number, start in enumerate(asked))


def delays(api: FakeApi, waits: list[Wait]) -> list[float]:
    return sorted(wait.ended_at - api.runs[wait.job_id].ends_at for wait in waits)


def of(delays: list[float], share: float) -> float:
    return delays[int(share * len(delays)) - 1]


def refused(status: int, message: str = "No.") -> SixtyfourRefusedError:
    """Return a refusal in the API's own words."""
    return SixtyfourRefusedError(message, status=status, from_api=True, about_credential=status == 401)


def a_run(number: int, ends_at: float, **options: Any) -> FakeRun:
    return FakeRun(f"run-{number}", ends_at, starts_at=number * 1e-3 - 10, **options)


# One wait


def test_a_run_is_polled_at_once_then_at_the_poll_interval_and_logs_its_progress():
    api = FakeApi()
    api.add(FakeRun("a", 100.0))
    [wait] = run(wait_for_all(api))
    assert wait.outcome == RunOutcome("a", "completed", "w")
    asked = api.request_times("/live_status")
    assert asked[0] == 0.0
    assert all(8.9 < b - a < 11.2 for a, b in pairwise(asked) if a < 90.0)
    assert wait.log.lines[0] == "Running 0 %. Run a."
    assert wait.log.lines[-1] == "Completed 100 %. Run a."
    assert lists(api) == []


def test_a_long_run_is_asked_for_more_rarely_but_not_near_its_end():
    api = FakeApi()
    api.add(FakeRun("a", 3600.0))
    [wait] = run(wait_for_all(api))
    asked = api.request_times("/live_status")
    pauses = [b - a for a, b in pairwise(asked)]
    assert max(pauses) > 50
    assert max(b - a for a, b in pairwise(asked) if a > 0.9 * 3600) < 11.5
    assert wait.ended_at - 3600 < 11.5
    assert len(asked) < 180  # 360 at the poll interval


def test_a_short_run_is_asked_for_more_often_near_its_end():
    api = FakeApi()
    api.add(FakeRun("a", 100.0))
    [wait] = run(wait_for_all(api, poll_interval=5.0))
    pauses = [b - a for a, b in pairwise(api.request_times("/live_status")) if a > 90.0]
    assert pauses
    assert all(2.7 < pause < 4.0 for pause in pauses)  # a thirtieth of the wait; a quarter of the interval were less
    assert wait.ended_at - 100.0 < 4.0


def test_a_run_that_halts_near_its_end_is_asked_for_at_the_poll_interval():
    api = FakeApi()
    api.add(FakeRun("a", 100.0, live_lag=1000.0))  # 100 %, and not ended
    run(wait_for_all(api, poll_interval=5.0))
    assert all(4.4 < b - a < 5.6 for a, b in pairwise(api.request_times("/live_status")) if a > 170.0)


@pytest.mark.parametrize("status", ["failed", "cancelled", "timeout"])
@pytest.mark.parametrize("reason", ["stopped by hand", None])
def test_a_failure_that_no_block_explains_is_looked_up_once(status: str, reason: str | None):
    api = FakeApi()
    api.add(FakeRun("a", 15.0, status, block_message=None, reason=reason))
    [wait] = run(wait_for_all(api))
    assert wait.outcome == RunOutcome("a", status, "w", None, reason)
    assert lists(api) == [{"limit": "500", "workflow_id": "w"}]


@pytest.mark.parametrize("error", [refused(403), refused(401), SixtyfourUnavailableError("Away.", status=502)])
def test_the_outcome_stands_if_its_reason_can_not_be_fetched(error: Exception):
    api = FakeApi(fails=lambda call, _: error if call.path == LIST else None)
    api.add(FakeRun("a", 15.0, "timeout", block_message=None))
    [wait] = run(wait_for_all(api))
    assert wait.outcome == RunOutcome("a", "timeout", "w")
    assert wait.ended_at < 15 + 10 + 2 * 60 + 10


def test_the_deadline_is_kept_and_the_last_look_counts():
    api = FakeApi()
    api.add(FakeRun("a"), FakeRun("b", 24.9))
    [late, done] = run(wait_for_all(api, deadline=EPOCH + 25))
    assert isinstance(late.outcome, SixtyfourTimeoutError)
    assert re.fullmatch(r"Not completed by the task's deadline \(.* UTC\): running 0 %\.", str(late.outcome))
    assert late.ended_at == pytest.approx(25.1)
    assert done.status == "completed"


def test_no_outage_outlasts_the_deadline():
    api = FakeApi(fails=lambda *_: SixtyfourUnavailableError("Away."))
    api.add(FakeRun("a"))
    [wait] = run(wait_for_all(api, deadline=EPOCH + 60))
    assert isinstance(wait.outcome, SixtyfourTimeoutError)
    assert 60 <= wait.ended_at <= 60 + LAST_LOOK


def test_a_new_run_may_be_unknown_and_another_may_not():
    api = FakeApi()
    api.add(FakeRun("a", 30.0, known_at=5.0), FakeRun("b", 30.0, known_at=NO_END))
    [known, unknown] = run(wait_for_all(api, may_be_unknown=30.0))
    assert known.status == "completed"
    assert isinstance(unknown.outcome, SixtyfourWaitError)
    assert 0 <= unknown.ended_at - REFUSAL_PATIENCE < 30 + 11


def test_the_same_run_may_be_waited_for_twice():
    api = FakeApi()
    api.add(FakeRun("a", 30.0))

    async def main() -> list[Wait]:
        return list(await asyncio.gather(Wait(api, "a")(), Wait(api, "a", poll_interval=60.0)()))

    assert [wait.status for wait in run(main())] == ["completed"] * 2
    assert len(api.request_times("/live_status")) <= 5


# Many


def test_a_thousand_waits_stay_inside_the_rate_limit_and_receive_ends_in_time():
    api = FakeApi()
    api.add(*(a_run(n, 60 + n * 7 % 1000 / 50, status="completed" if n % 10 else "failed") for n in range(1000)))
    waits = run(wait_for_all(api, over=10.0))
    for wait in waits:
        assert wait.status == api.runs[wait.job_id].status
        assert wait.ended_at >= api.runs[wait.job_id].ends_at
    assert most_in_a_minute(api) <= 370
    assert of(delays(api, waits), 0.95) <= 100
    assert api.most_under_way <= poller.AT_ONCE
    assert (api.opened, api.closed) == (1, 1)


@pytest.mark.parametrize(("count", "spread", "limit"), [(300, 0, 15), (300, 600, 15), (1000, 600, 15), (1000, 0, 100)])
def test_how_late_an_end_is_known(count: int, spread: float, limit: float):
    api = FakeApi()
    api.add(*(a_run(n, 60 + spread * n / count, status="completed" if n % 10 else "failed") for n in range(count)))
    waits = run(wait_for_all(api, over=10.0))
    assert of(delays(api, waits), 0.95) <= limit
    assert most_in_a_minute(api) <= 370


def test_five_thousand_waits_end_right():
    api = FakeApi()
    api.add(*(a_run(n, 60.0 + n * 0.2, status="completed" if n % 10 else "timeout") for n in range(5000)))
    waits = run(wait_for_all(api, over=10.0))
    assert all(wait.status == api.runs[wait.job_id].status for wait in waits)
    assert most_in_a_minute(api) <= 370


def test_runs_of_others_do_not_hide_ours_in_many_workflows():
    api = FakeApi()
    api.add(*(a_run(n, 60 + n % 50, workflow_id=f"w-{n % 4}") for n in range(400)))
    mine = list(api.runs)
    api.add(*(FakeRun(f"other-{n}", 3600.0, starts_at=1.0, workflow_id="x") for n in range(3000)))

    async def main() -> list[Wait]:
        waits = [Wait(api, job_id) for job_id in mine]
        await asyncio.gather(*(wait() for wait in waits))
        return waits

    waits = run(main())
    assert {wait.status for wait in waits} == {"completed"}
    assert most_in_a_minute(api) <= 370
    assert of(delays(api, waits), 0.95) <= 15


def test_a_run_that_is_missing_among_those_that_go_on_is_asked_for_soon():
    """It failed, so no list of completed ones has it, and newer runs of others fill the list of all."""
    api = FakeApi()
    api.add(*(a_run(n, 100.0 if n % 20 else 60.0, status="failed") for n in range(400)))
    mine = list(api.runs)
    api.add(*(FakeRun(f"other-{n}", 2.0, starts_at=1.0, workflow_id="w") for n in range(1000)))

    async def main() -> list[Wait]:
        waits = [Wait(api, job_id) for job_id in mine]
        await asyncio.gather(*(wait() for wait in waits))
        return waits

    early = [wait for wait in run(main()) if api.runs[wait.job_id].ends_at == 60.0]
    assert of(delays(api, early), 1.0) <= 16


def test_a_run_that_no_list_has_is_not_asked_for_at_every_list():
    api = FakeApi(list_lag=NO_END)
    api.add(*(a_run(n, 3600.0) for n in range(10)))
    run(wait_for_all(api))
    assert len(api.request_times("/run-0/")) < 180  # as one that nobody misses in a list; 360 at every list


def test_a_slow_api_gets_a_few_requests_at_once():
    api = FakeApi(latency=5.0)
    api.add(*(a_run(n, 60.0) for n in range(100)))
    run(wait_for_all(api))
    assert api.most_under_way == poller.AT_ONCE


def test_where_no_list_helps_all_runs_have_their_turn():
    api = FakeApi(list_lag=NO_END)
    api.add(*(a_run(n, 1200.0) for n in range(600)))
    run(wait_for_all(api, over=10.0))
    asked = [len([call for _, call in api.asked if f"/{job_id}/" in call.path]) for job_id in list(api.runs)[::60]]
    assert min(asked) >= max(asked) / 2


def test_progress_takes_half_of_the_budget_at_most():
    api = FakeApi()
    api.add(*(a_run(n, 300.0) for n in range(300)))
    run(wait_for_all(api))
    asked = [moment for moment in api.request_times("/live_status") if 120 <= moment < 180]
    assert 150 <= len(asked) <= 185


def test_of_many_a_new_run_is_not_asked_for_at_once():
    """It has no progress yet, and two hundred batches would spend two hundred requests on that."""
    api = FakeApi()
    api.add(*(FakeRun(f"run-{n}", n * 2.0 + 60.0, starts_at=n * 2.0) for n in range(100)))
    waits = run(wait_for_all(api, over=200.0))
    asked = {
        job_id: [at - each.starts_at for at in api.request_times(f"/{job_id}/")] for job_id, each in api.runs.items()
    }
    assert [asked[f"run-{n}"][0] for n in range(5)] == pytest.approx([0.0] * 5, abs=1.0)
    assert min(at for n in range(5, 100) for at in asked[f"run-{n}"]) > 8.9
    assert sum(map(len, asked.values())) <= 100  # a request for each, and no more
    assert of(delays(api, waits), 1.0) <= 15


def test_where_one_list_shows_all_runs_it_is_read_often_and_the_last_ones_are_not_left_waiting():
    api = FakeApi()
    api.add(*(FakeRun(f"run-{n}", n * 0.3 + 60.0, starts_at=n * 0.3) for n in range(200)))
    waits = run(wait_for_all(api, over=60.0))
    late = delays(api, waits)
    assert of(late, 0.95) <= 3.0
    assert late[-1] <= 6.0  # when fewer than five are left, each is asked for
    read = [moment for moment, call in api.asked if call.path == LIST]
    assert all(2.2 <= b - a <= 3.0 for a, b in pairwise(read))


def test_no_poll_interval_is_so_short_that_lists_are_read_all_the_time():
    api = FakeApi()
    api.add(*(a_run(n, 60.0) for n in range(100)))
    run(wait_for_all(api, poll_interval=0.1))
    read = [moment for moment, call in api.asked if call.path == LIST]
    assert min(b - a for a, b in pairwise(read)) >= 2.2


def test_the_more_lists_a_round_needs_the_later_is_the_next():
    api = FakeApi()
    api.add(*(a_run(n, 600.0) for n in range(1200)))
    run(wait_for_all(api, over=10.0))
    read = [moment for moment, call in api.asked if call.path == LIST and 60 <= moment < 120]
    assert 12 <= len(read) <= 26  # 24 at a list for each quarter of the poll interval


def test_many_runs_that_ended_while_no_triggerer_was_up_are_found_in_the_first_list():
    api = FakeApi()
    api.add(*(a_run(n, -1.0) for n in range(100)))
    waits = run(wait_for_all(api))
    assert {wait.status for wait in waits} == {"completed"}
    assert max(wait.ended_at for wait in waits) < 2.0
    assert len(api.asked) <= 10


def test_a_run_that_no_list_ever_shows_is_found_by_its_own_status():
    api = FakeApi(list_lag=NO_END)
    api.add(*(a_run(n, 60.0) for n in range(50)))
    waits = run(wait_for_all(api))
    assert {wait.status for wait in waits} == {"completed"}
    assert of(delays(api, waits), 1.0) <= 30


def test_lists_that_may_not_be_read_are_left_alone():
    api = FakeApi(fails=lambda call, _: refused(403) if call.path == LIST else None)
    api.add(*(a_run(n, 300.0) for n in range(50)))
    assert {wait.status for wait in run(wait_for_all(api))} == {"completed"}
    assert 5 <= len(lists(api)) <= 9


def test_lists_that_the_credential_is_refused_for_end_nothing():
    api = FakeApi(fails=lambda call, _: refused(401) if call.path == LIST else None)
    api.add(*(a_run(n, 300.0) for n in range(50)))
    assert {wait.status for wait in run(wait_for_all(api))} == {"completed"}
    assert len(lists(api)) <= 9
    assert api.opened == 1


def test_a_failed_row_waits_for_the_details():
    """The lists show the end before the live status does; the details must still be reported."""
    api = FakeApi()
    api.add(*(a_run(n, 30.0, status="failed", live_lag=30.0) for n in range(10)))
    for wait in run(wait_for_all(api)):
        assert wait.outcome == RunOutcome(wait.job_id, "failed", "w", "'b' (1)", "no credits", blocks=("b",))


def test_a_failed_row_is_accepted_in_the_end():
    api = FakeApi()
    api.add(*(a_run(n, 30.0, status="failed", reason="too many rows", live_lag=NO_END) for n in range(10)))
    for wait in run(wait_for_all(api)):
        assert wait.outcome == RunOutcome(wait.job_id, "failed", "w", None, "too many rows")
        assert wait.ended_at < 30 + 10 + 60 + 30


# Outages


def between(start: float, end: float, error: Callable[[], Exception]) -> Callable[[Any, float], BaseException | None]:
    return lambda _, moment: error() if start < moment < end else None


@pytest.mark.parametrize(
    "error",
    [
        lambda: SixtyfourUnavailableError("No answer from the API."),
        lambda: SixtyfourUnavailableError("Sixtyfour answered 503.", status=503),
        lambda: SixtyfourUnavailableError("Sixtyfour answered 429.", status=429, retry_after=30.0),
    ],
    ids=["network", "503", "429"],
)
def test_an_outage_is_waited_out_quietly_and_logged_once(error: Callable[[], Exception]):
    api = FakeApi(fails=between(60.0, 360.0, error))
    api.add(*(a_run(n, 200.0) for n in range(200)))
    waits = run(wait_for_all(api))
    assert {wait.status for wait in waits} == {"completed"}
    during = [moment for moment, _ in api.asked if 75 < moment < 360]
    assert len(during) < 30
    for wait in waits:
        assert sum("Polling continues; the run is not affected" in line for line in wait.log.lines) == 1
        assert sum("Sixtyfour answers again" in line for line in wait.log.lines) == 1
        assert wait.ended_at < 360 + 100


def test_a_single_failure_is_logged_by_no_other_wait():
    failed: list[float] = []

    def once(call: Any, moment: float) -> BaseException | None:
        if moment > 20 and not failed and "live_status" in call.path:
            failed.append(moment)
            return SixtyfourUnavailableError("Reset.")
        return None

    api = FakeApi(fails=once)
    api.add(*(a_run(n, 60.0) for n in range(20)))
    waits = run(wait_for_all(api))
    assert sum("Polling continues" in line for wait in waits for line in wait.log.lines) == 1


def test_a_limit_that_others_use_up_is_kept_to():
    """Two triggerers, each with its own rate limiter, on one key."""
    api = FakeApi(per_minute=400)
    api.add(*(a_run(n, 300.0 + n) for n in range(1200)))

    async def main() -> list[Wait]:
        waits = [Wait(api, job_id, key=f"triggerer-{n % 2}") for n, job_id in enumerate(api.runs)]
        await asyncio.gather(*(wait() for wait in waits))
        return waits

    waits = run(main())
    assert {wait.status for wait in waits} == {"completed"}
    assert api.opened == 2
    assert len(api.asked) / (max(wait.ended_at for wait in waits) / 60) < 420  # of 720 that both would ask


def refusing(status: int, start: float, end: float) -> Callable[[Any, float], BaseException | None]:
    return between(start, end, lambda: refused(status, f"Sixtyfour answered {status}."))


@pytest.mark.parametrize("count", [1, 3, 100])
def test_a_credential_that_stays_refused_ends_all_waits_after_minutes(count: int):
    api = FakeApi(fails=refusing(401, 30.0, NO_END))
    api.add(*(a_run(n, 600.0) for n in range(count)))
    waits = run(wait_for_all(api))
    assert all(isinstance(wait.outcome, SixtyfourWaitError) and wait.outcome.status == 401 for wait in waits)
    assert all(REFUSAL_PATIENCE <= wait.ended_at - 30 <= REFUSAL_PATIENCE + 45 for wait in waits)
    during = [moment for moment, _ in api.asked if moment > 30]
    assert len(during) <= (REFUSAL_PATIENCE + 45) / 10 * min(count, 3) + poller.AT_ONCE
    assert all(len(wait.rereads) >= REFUSAL_PATIENCE / 20 for wait in waits)  # of the connection
    assert api.opened == api.closed == 1


def test_who_comes_in_the_middle_of_a_refusal_has_patience_of_its_own():
    api = FakeApi(fails=refusing(401, 0.0, NO_END))
    api.add(*(a_run(n, 600.0) for n in range(5)))

    async def main() -> list[Wait]:
        waits = [Wait(api, job_id) for job_id in api.runs]

        async def late(wait: Wait) -> None:
            await asyncio.sleep(REFUSAL_PATIENCE - 50)
            await wait()

        await asyncio.gather(*(wait() for wait in waits[:-1]), late(waits[-1]))
        return waits

    *early, late = run(main())
    assert all(wait.ended_at < REFUSAL_PATIENCE + 45 for wait in early)
    assert late.ended_at >= 2 * REFUSAL_PATIENCE - 50


@pytest.mark.parametrize("seconds", [5.0, 75.0, 250.0])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
@pytest.mark.parametrize(("count", "latency"), [(1, 0.1), (20, 0.1), (100, 2.0)])
def test_a_refusal_that_passes_ends_nothing(count: int, latency: float, status: int, seconds: float):
    api = FakeApi(fails=refusing(status, 30.0, 30.0 + seconds), latency=latency)
    api.add(*(a_run(n, 60.0) for n in range(count)))
    waits = run(wait_for_all(api))
    assert {wait.status for wait in waits} == {"completed"}
    assert max(wait.ended_at for wait in waits) <= max(60, 30 + seconds) + 60


@pytest.mark.parametrize("seconds", [75.0, 3600.0])
@pytest.mark.parametrize(
    "error",
    [
        SixtyfourRefusedError("Sixtyfour answered 404: nginx.", status=404),
        SixtyfourRefusedError("Sixtyfour answered 403: Blocked.", status=403),
        SixtyfourRefusedError("Sixtyfour answered 302.", status=302),
        SixtyfourRefusedError("The certificate is not trusted (it has expired)."),
    ],
    ids=str,
)
def test_an_error_that_is_not_the_apis_is_an_outage_however_long(error: Exception, seconds: float):
    api = FakeApi(fails=between(30.0, 30.0 + seconds, lambda: error))
    api.add(*(a_run(n, 60.0) for n in range(20)))
    waits = run(wait_for_all(api))
    assert {wait.status for wait in waits} == {"completed"}
    assert max(wait.ended_at for wait in waits) <= 30 + seconds + 70
    during = [moment for moment, _ in api.asked if 45 < moment < 30 + seconds]
    assert len(during) <= seconds / 10


def test_one_run_that_may_not_be_seen_ends_its_wait_only():
    def fails(call: Any, moment: float) -> BaseException | None:
        return refused(403, "Not yours.") if "/run-0/" in call.path else None

    api = FakeApi(fails=fails, list_lag=NO_END)
    api.add(*(a_run(n, 600.0) for n in range(4)))
    given_up, *others = run(wait_for_all(api))
    assert isinstance(given_up.outcome, SixtyfourWaitError)
    assert given_up.ended_at == pytest.approx(REFUSAL_PATIENCE, abs=15)
    assert str(given_up.outcome).startswith("Not yours. Repeated for ")
    assert {wait.status for wait in others} == {"completed"}
    assert not any(wait.rereads for wait in others)
    assert of(delays(api, others), 1.0) <= 22  # a thirtieth of the wait


def test_a_refused_run_that_a_list_shows_as_running_is_not_given_up():
    api = FakeApi(fails=lambda call, _: refused(404) if "/run-0/" in call.path else None)
    api.add(*(a_run(n, 900.0) for n in range(10)))
    assert {wait.status for wait in run(wait_for_all(api))} == {"completed"}


def test_one_run_that_meets_401_stops_nobody_else_and_is_not_believed():
    api = FakeApi(fails=lambda call, _: refused(401) if "/run-0/" in call.path else None)
    api.add(*(a_run(n, 900.0) for n in range(10)))
    waits = run(wait_for_all(api))
    assert {wait.status for wait in waits} == {"completed"}
    assert of(delays(api, waits), 1.0) <= 15


# A connection that changes


def test_a_rotated_credential_is_moved_to_and_no_wait_is_lost():
    rotated_at = {"old": 40.0, "new": 60.0}  # the old key is refused 20 s before the connection has the new one
    old = FakeApi(fails=refusing(401, rotated_at["old"], NO_END))
    new = FakeApi()
    for api in (old, new):
        api.add(*(a_run(n, 100.0 + n) for n in range(5)))
    connection = Connection(old, "old")

    async def rotate() -> None:
        await asyncio.sleep(rotated_at["new"])
        connection.api, connection.credential = new, "new"

    async def main() -> list[Wait]:
        waits = [Wait(old, job_id, connection=connection) for job_id in old.runs]
        await asyncio.gather(rotate(), *(wait() for wait in waits))
        return waits

    waits = run(main())
    assert {wait.status for wait in waits} == {"completed"}
    assert of(delays(new, waits), 1.0) <= 15
    assert min(new.asked)[0] <= rotated_at["new"] + 16
    assert (old.opened, old.closed, new.opened, new.closed) == (1, 1, 1, 1)


def test_a_connection_that_points_elsewhere_leaves_old_waits_where_their_runs_are():
    here, there = FakeApi(), FakeApi(host="there")
    here.add(*(a_run(n, 100.0 + n) for n in range(5)))
    there.add(*(FakeRun(f"new-{n}", 120.0 + n) for n in range(5)))
    here.fails = refusing(404, 30.0, 45.0)  # the host that is left behaves oddly for a while
    connection = Connection(here, "here")

    async def main() -> list[Wait]:
        old = [Wait(here, job_id, connection=connection) for job_id in here.runs]
        waiting = [asyncio.create_task(wait()) for wait in old]
        await asyncio.sleep(20)
        connection.api, connection.credential = there, "there"
        new = [Wait(there, job_id, connection=connection) for job_id in there.runs]
        await asyncio.gather(*waiting, *(wait() for wait in new))
        return [*old, *new]

    waits = run(main())
    assert {wait.status for wait in waits} == {"completed"}
    assert not any("new-" in call.path for _, call in here.asked)
    assert not any("run-" in call.path for _, call in there.asked)
    assert all(wait.rereads for wait in waits[:5])


def test_a_connection_that_can_not_be_read_again_is_used_as_it_is():
    api = FakeApi(fails=refusing(401, 30.0, 60.0))
    api.add(*(a_run(n, 100.0) for n in range(5)))

    async def fails() -> bool:
        raise LookupError("the secrets backend is away")

    class Unreadable(Wait):
        _reread = staticmethod(fails)  # type: ignore[assignment]

    async def main() -> list[Wait]:
        return list(await asyncio.gather(*(Unreadable(api, job_id)() for job_id in api.runs)))

    assert all(isinstance(wait.outcome, LookupError) for wait in run(main()))


# One bad run among many


def test_three_runs_that_ask_for_minutes_stop_nobody_else():
    slow = {"/run-0/", "/run-1/", "/run-2/"}

    def fails(call: Any, moment: float) -> BaseException | None:
        is_slow = any(each in call.path for each in slow)
        return SixtyfourUnavailableError("Busy.", status=503, retry_after=300.0) if is_slow else None

    api = FakeApi(fails=fails, list_lag=NO_END)  # the lists help nobody
    api.add(*(a_run(n, 200.0 + n % 50) for n in range(303)))
    waits = run(wait_for_all(api, over=5.0, deadline=EPOCH + 900))
    others = [wait for wait in waits if f"/{wait.job_id}/" not in slow]
    assert {wait.status for wait in others} == {"completed"}
    assert of(delays(api, others), 0.95) <= 75  # as without them: 4.5 a second for 300
    # Each is polled after its Retry-After, and at the deadline.
    assert all(len(api.request_times(path)) <= 4 for path in slow)


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_a_run_that_asks_for_minutes_is_left_alone_for_as_long(count: int):
    api = FakeApi(fails=lambda call, _: SixtyfourUnavailableError("Busy.", status=503, retry_after=300.0))
    api.add(*(a_run(n, 60.0) for n in range(count)))
    run(wait_for_all(api, deadline=EPOCH + 280))
    assert all(len(api.request_times(f"/run-{n}/")) <= 2 for n in range(count))


def test_an_outage_is_over_when_a_probe_succeeds():
    api = FakeApi(
        fails=between(60.0, 1800.0, lambda: SixtyfourUnavailableError("Busy.", status=503, retry_after=300.0))
    )
    api.add(*(a_run(n, 200.0 + n) for n in range(100)))
    waits = run(wait_for_all(api))
    assert {wait.status for wait in waits} == {"completed"}
    first = min(moment for moment, _ in api.asked if moment >= 1800)
    assert first <= 1800 + 15.1


@pytest.mark.parametrize("stuck", [1, 3, 6, 40])
def test_requests_that_never_end_hold_up_nobody_else(stuck: int):
    names = {f"/run-{n}/" for n in range(stuck)}

    def delays_of(call: Any, moment: float) -> float:
        return 100_000.0 if any(name in call.path for name in names) else 0.0

    api = FakeApi(delays=delays_of, list_lag=NO_END)
    api.add(*(a_run(n, 300.0 + n % 50) for n in range(100 + stuck)))
    waits = run(wait_for_all(api, over=5.0, deadline=EPOCH + 1200))
    others = waits[stuck:]
    assert {wait.status for wait in others} == {"completed"}
    assert of(delays(api, others), 0.95) <= 30
    assert api.most_under_way <= poller.AT_ONCE + 1
    assert all(isinstance(wait.outcome, SixtyfourTimeoutError) for wait in waits[:stuck])
    assert all("No whole answer within" in "".join(wait.log.lines) for wait in waits[:stuck])
    assert api.given_up >= stuck  # and so each is counted as an outage


def test_a_stuck_list_hides_no_end():
    api = FakeApi(delays=lambda call, moment: 100_000.0 if call.path == LIST and moment > 40 else 0.0)
    api.add(*(a_run(n, 60.0 + n) for n in range(20)))
    waits = run(wait_for_all(api))
    assert of(delays(api, waits), 1.0) <= 25


def test_the_answers_of_an_api_that_takes_longer_than_that_for_all_still_count():
    api = FakeApi(latency=30.0)
    api.add(*(a_run(n, 100.0) for n in range(10)))
    assert {wait.status for wait in run(wait_for_all(api))} == {"completed"}


# Lists that fail


def once_refused(at: float, status: int, *, workflow_id: bool | None = None) -> Callable[[Any, float], Any]:
    """Refuse the first list from a moment on."""
    met: list[float] = []

    def fails(call: Any, moment: float) -> BaseException | None:
        is_meant = workflow_id in (None, "workflow_id" in dict(call.query))
        if call.path == LIST and moment > at and is_meant and not met:
            met.append(moment)
            return refused(status)
        return None

    return fails


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_list_that_is_refused_once_hides_no_end(status: int):
    api = FakeApi(fails=once_refused(50.0, status))
    api.add(*(a_run(n, 55.0 + n / 2, workflow_id=f"w-{n % 2}") for n in range(40)))
    waits = run(wait_for_all(api))
    assert of(delays(api, waits), 1.0) <= 13


def test_a_refused_list_is_read_again_within_a_minute():
    api = FakeApi(fails=once_refused(50.0, 403))
    api.add(*(a_run(n, 600.0, workflow_id=f"w-{n % 2}") for n in range(40)))
    run(wait_for_all(api))
    read = [moment for moment, call in api.asked if call.path == LIST]
    longest = max(later - earlier for earlier, later in pairwise(read))
    assert 30 < longest < 60


@pytest.mark.parametrize("status", [403, 404])
def test_a_workflow_whose_list_is_refused_is_found_in_the_list_of_all(status: int):
    api = FakeApi(fails=lambda call, _: refused(status) if "workflow_id" in dict(call.query) else None)
    api.add(*(a_run(n, 300.0 + n, status="timeout" if n % 2 else "completed") for n in range(40)))
    for each in api.runs.values():
        each.block_message, each.reason = None, "limit"
    waits = run(wait_for_all(api))
    assert [query for query in lists(api) if "workflow_id" in query] == [{"limit": "500", "workflow_id": "w"}]
    assert of(delays(api, waits), 1.0) <= 15
    assert {wait.outcome.message for wait in waits if wait.status == "timeout"} == {"limit"}


def test_a_refused_workflow_leaves_the_lists_of_others():
    def fails(call: Any, moment: float) -> BaseException | None:
        return refused(404) if dict(call.query).get("workflow_id") == "v" else None

    api = FakeApi(fails=fails)
    api.add(*(a_run(n, 400.0 + n % 50, workflow_id="vw"[n % 2]) for n in range(200)))
    mine = list(api.runs)
    api.add(*(FakeRun(f"other-{n}", 3600.0, starts_at=1.0, workflow_id="x") for n in range(1000)))

    async def main() -> list[Wait]:
        return list(await asyncio.gather(*(Wait(api, job_id)() for job_id in mine)))

    assert {wait.status for wait in run(main())} == {"completed"}
    of_v = [query for query in lists(api) if query.get("workflow_id") == "v"]
    of_w = [query for query in lists(api) if query.get("workflow_id") == "w"]
    assert len(of_v) == 1
    assert len(of_w) > 10


def test_lists_that_are_down_hide_no_end():
    api = FakeApi(fails=lambda call, _: SixtyfourUnavailableError("Away.", status=503) if call.path == LIST else None)
    api.add(*(a_run(n, 60.0 + n) for n in range(40)))
    waits = run(wait_for_all(api))
    assert of(delays(api, waits), 1.0) <= 13
    assert len(lists(api)) <= 30


# A shared poller


def test_a_bug_in_one_wait_ends_that_wait_only(monkeypatch: pytest.MonkeyPatch):
    api = FakeApi()
    api.add(*(a_run(n, 60.0) for n in range(10)))

    class Broken(Wait):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.log = None  # type: ignore[assignment]

    async def main() -> list[Wait]:
        waits = [Broken(api, "run-0"), *(Wait(api, f"run-{n}") for n in range(1, 10))]
        await asyncio.gather(*(wait() for wait in waits))
        return waits

    broken, *others = run(main())
    assert isinstance(broken.outcome, AttributeError)
    assert {wait.status for wait in others} == {"completed"}


def test_an_answer_that_is_a_bug_ends_the_wait_that_it_concerns():
    api = FakeApi(fails=lambda call, _: ZeroDivisionError("a bug") if "/run-0/" in call.path else None)
    api.add(*(a_run(n, 60.0) for n in range(4)))
    broken, *others = run(wait_for_all(api))
    assert isinstance(broken.outcome, ZeroDivisionError)
    assert {wait.status for wait in others} == {"completed"}


def test_a_list_that_is_a_bug_ends_nothing():
    api = FakeApi(fails=lambda call, _: ZeroDivisionError("a bug") if call.path == LIST else None)
    api.add(*(a_run(n, 60.0) for n in range(20)))
    assert {wait.status for wait in run(wait_for_all(api))} == {"completed"}


def test_a_bug_in_the_poller_ends_all_waits(monkeypatch: pytest.MonkeyPatch):
    """Otherwise they would wait for ever."""
    monkeypatch.setattr("airflow_provider_sixtyfour.polling.schedule.PollSchedule.next", lambda *_: 1 / 0)
    api = FakeApi()
    api.add(*(a_run(n, 60.0) for n in range(3)))
    assert all(isinstance(wait.outcome, ZeroDivisionError) for wait in run(wait_for_all(api)))


def test_a_wait_that_is_given_up_leaves_the_others_and_the_last_one_closes():
    api = FakeApi()
    api.add(*(a_run(n, 60.0) for n in range(3)))

    async def main() -> None:
        tasks = [asyncio.create_task(Wait(api, job_id)()) for job_id in api.runs]
        await asyncio.sleep(25)
        tasks[0].cancel()
        await asyncio.sleep(0)
        asked = len(api.request_times("/run-0/"))
        await asyncio.sleep(25)
        assert len(api.request_times("/run-0/")) == asked
        assert api.closed == 0
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert api.closed == api.opened == 1
        asked = len(api.asked)
        await asyncio.sleep(100)
        assert len(api.asked) == asked
        assert len(asyncio.all_tasks()) == 1

    run(main())


def test_who_cancels_a_wait_again_and_again_does_not_keep_it_from_closing():
    api = FakeApi()
    api.add(FakeRun("a"))
    release = asyncio.Event()

    async def slow_close() -> None:
        await release.wait()
        api.closed += 1

    api.close = slow_close  # type: ignore[method-assign]

    async def main() -> None:
        task = asyncio.create_task(Wait(api, "a")())
        await asyncio.sleep(5)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(1)
        release.set()
        await asyncio.sleep(1)
        assert api.closed == 1

    run(main())


def test_connections_do_not_share():
    one, other = FakeApi(), FakeApi()
    one.add(FakeRun("a", 30.0))
    other.add(FakeRun("a", 50.0, "failed"))

    async def main() -> list[Wait]:
        return list(await asyncio.gather(Wait(one, "a", key="one")(), Wait(other, "a", key="other")()))

    assert [wait.status for wait in run(main())] == ["completed", "failed"]


def test_a_connection_that_can_not_be_opened_is_an_error_of_each_wait():
    api = FakeApi()
    api.add(FakeRun("a"), FakeRun("b"))

    async def fails() -> Any:
        raise LookupError("no such connection")

    api.open = fails  # type: ignore[method-assign]
    assert [str(wait.outcome) for wait in run(wait_for_all(api))] == ["no such connection"] * 2


def test_urgent_requests_come_before_all_status_checks():
    api = FakeApi(latency=0.2)
    api.add(*(a_run(n, 600.0) for n in range(600)))

    async def main() -> list[float]:
        waits = [asyncio.create_task(Wait(api, job_id)()) for job_id in api.runs]
        await asyncio.sleep(60)
        began = now()
        async with shared_poller("conn", api.open) as poller:
            await asyncio.gather(*(poller.send(cancel_run(f"run-{n}")) for n in range(40)))
        assert api.opened == 1
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        return [moment - began for moment in api.request_times("/cancel")]

    sent = run(main())
    assert len(sent) == 40
    assert max(sent) <= 40 * 60 / 480 + 0.1
    assert most_in_a_minute(api) <= 420


def test_what_is_urgent_and_meets_a_429_slows_all_down():
    refused = [SixtyfourUnavailableError("Sixtyfour answered 429.", status=429, retry_after=30.0)]
    api = FakeApi(fails=lambda *_: refused.pop() if refused else None)

    async def main() -> list[float]:
        async with shared_poller("conn", api.open) as poller:
            with pytest.raises(SixtyfourUnavailableError):
                await poller.send(cancel_run("run-1"), attempts=1)
            await poller.send(cancel_run("run-2"), attempts=1)
        return api.request_times("/cancel")

    first, second = run(main())
    assert 30.0 <= second - first < 32.0


place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")


def test_each_wait_logs_in_its_own_context():
    """A triggerer finds by context variables which task's log a line belongs to."""
    api = FakeApi()
    api.add(*(a_run(n, 60.0) for n in range(8)))
    seen: list[tuple[str, str]] = []

    class Placed(Wait):
        async def __call__(self) -> Wait:
            place.set(self.job_id)
            self.log.info = lambda event, *args: seen.append((place.get(), str(args[-1])))  # type: ignore[method-assign]
            return await super().__call__()

    async def main() -> None:
        await asyncio.gather(*(asyncio.create_task(Placed(api, job_id)()) for job_id in api.runs))

    run(main())
    assert {context for context, _ in seen} == set(api.runs)
    assert all(context == job_id for context, job_id in seen)


# Any history

ends = st.sampled_from(["completed", "completed", "failed", "cancelled", "timeout"])
a_history = st.builds(
    dict,
    ends_at=st.floats(0, 900),
    status=ends,
    workflow_id=st.sampled_from(["v", "w"]),
    known_at=st.floats(0, 20),
    live_lag=st.sampled_from([0.0, 0.0, 20.0]),
    starts_at=st.floats(-600, 0),
    block_message=st.sampled_from([None, "no credits"]),
    reason=st.sampled_from([None, "limit"]),
)
failures = st.sampled_from(
    [
        SixtyfourUnavailableError("Away."),
        SixtyfourUnavailableError("Sixtyfour answered 502.", status=502),
        SixtyfourUnavailableError("Sixtyfour answered 429.", status=429, retry_after=7.0),
        SixtyfourUnavailableError("Sixtyfour answered 429.", status=429),
    ]
)
outages = st.lists(st.tuples(st.floats(0, 900), st.floats(0, 200), failures, st.floats(0, 1)), max_size=4)


@settings(searched, max_examples=150)
@given(
    histories=st.lists(a_history, min_size=1, max_size=40),
    outages=outages,
    lag=st.sampled_from([0.0, 3.0, 45.0, NO_END]),
    latency=st.floats(0.001, 5),
    dice=st.randoms(use_true_random=True),
    deadline=st.none() | st.floats(1, 1200),
)
def test_every_wait_ends_with_the_right_outcome_in_time(
    histories: list[dict[str, Any]], outages: Any, lag: float, latency: float, dice: Any, deadline: float | None
):
    def fails(call: Any, moment: float) -> BaseException | None:
        for start, length, error, share in outages:
            if start < moment < start + length and dice.random() < share:
                return error
        return None

    api = FakeApi(latency=latency, list_lag=lag, fails=fails)
    api.add(*(FakeRun(f"run-{n}", **history) for n, history in enumerate(histories)))
    options = {} if deadline is None else {"deadline": EPOCH + deadline}
    waits = run(wait_for_all(api, over=5.0, may_be_unknown=40.0, **options))
    clear_at = max((start + length for start, length, _, _ in outages), default=0.0)
    for wait in waits:
        truth = api.runs[wait.job_id]
        if isinstance(wait.outcome, SixtyfourTimeoutError):
            assert deadline is not None
            # The clock of the loop adds up its sleeps, and rounds.
            assert deadline - 1e-6 <= wait.ended_at <= deadline + LAST_LOOK + 5 + latency
        else:
            assert isinstance(wait.outcome, RunOutcome)
            assert wait.outcome.status == truth.status
            assert wait.ended_at >= truth.ends_at
            if truth.status == "failed" and truth.block_message and clear_at == 0.0:
                assert wait.outcome.message == "no credits"
            if deadline is None:
                # The last answer of the outage may have asked for a pause of a minute; a reason may take one.
                assert wait.ended_at <= max(truth.ends_at, truth.known_at, clear_at) + 60 + 61 + 50 + 20 * latency
    assert most_in_a_minute(api) <= 370
