from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api.models import ListedRun, LiveStatus
from airflow_provider_sixtyfour.exceptions import SixtyfourRunFailedError
from airflow_provider_sixtyfour.runs.status import (
    RunOutcome,
    canonical,
    describe_progress,
    is_known,
    outcome_of,
    outcome_of_row,
    with_metrics,
    with_reason,
)
from tests.unit.api.properties import searched


def live(status: str, *blocks: dict[str, Any], **more: Any) -> LiveStatus:
    return LiveStatus.read({"overall_status": status, "workflow_id": "w", "blocks": list(blocks), **more})


def block(name: str, number: int | None = None, **more: Any) -> dict[str, Any]:
    return {"block_name": name, "sequence_number": number, **more}


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("queued", None),
        ("running", None),
        ("RUNNING", None),
        ("completed", "completed"),
        ("Completed ", "completed"),
        ("failed", "failed"),
        ("FAILED", "failed"),
        ("cancelled", "cancelled"),
        ("canceled", "cancelled"),
        ("Canceled", "cancelled"),
        ("timeout", "timeout"),
        ("paused", None),
        ("succeeded", None),
        ("complete", None),
        ("error", None),
    ],
)
def test_a_status_ends_a_run_or_it_goes_on(status: str, ended: str | None):
    found = outcome_of("j", live(status))
    assert (found.status if found else None) == ended
    if found:
        assert (found.job_id, found.workflow_id) == ("j", "w")


@searched
@given(st.text())
def test_only_the_statuses_that_a_page_names_are_known(status: str):
    known = {"queued", "running", "completed", "failed", "cancelled", "canceled", "timeout", "timed_out", "terminated"}
    assert is_known(status) == (re.sub(r"[\s-]+", "_", status.strip().lower()) in known)
    if not is_known(status) and status.strip():
        assert outcome_of("j", live(status)) is None
    assert canonical(canonical(status)) == canonical(status)


@pytest.mark.parametrize(
    ("status", "canonically"),
    [
        *(("timed_out", "timeout"), ("TIMED OUT", "timeout"), ("Timed-Out", "timeout"), ("Timeout", "timeout")),
        *(("terminated", "terminated"), ("TERMINATED ", "terminated"), ("Canceled", "cancelled")),
    ],
)
def test_every_spelling_of_a_terminal_status_is_recognised(status: str, canonically: str):
    found = outcome_of("j", live(status, block("a", 1, status=status, error_message="why")))
    assert found is not None
    assert (found.status, found.block, found.message) == (canonically, "'a' (1)", "why")
    with pytest.raises(SixtyfourRunFailedError):
        found.raise_if_failed()


@pytest.mark.parametrize(
    ("ended_ago", "is_end"),
    [(None, False), (0.0, False), (30.0, False), (61.0, True), (86_400.0, True), ("nonsense", False), (-60.0, False)],
)
@pytest.mark.parametrize("zone", ["Z", "+00:00", ""])
def test_an_unknown_status_is_an_end_once_the_run_has_been_over_for_a_minute(
    ended_ago: float | str | None, is_end: bool, zone: str
):
    ended_at = ended_ago
    if isinstance(ended_ago, float):
        ended_at = f"{datetime.now(UTC) - timedelta(seconds=ended_ago):%Y-%m-%dT%H:%M:%S.%f}{zone}"
    found = outcome_of("j", live("archived", completed_at=ended_at))
    assert (found is not None) == is_end
    if found is not None:
        with pytest.raises(
            SixtyfourRunFailedError, match=r"^Ended with the unknown status 'archived', so not as compl"
        ):
            found.raise_if_failed()


@pytest.mark.parametrize("status", ["running", "queued"])
def test_a_run_that_is_running_has_not_ended_whatever_its_times(status: str):
    assert outcome_of("j", live(status, completed_at="2020-01-01T00:00:00Z")) is None


@pytest.mark.parametrize(
    ("status", "blocks", "named", "message"),
    [
        (
            "failed",
            [block("webhook", 1, status="completed"), block("find", 2, status="failed", error_message="no mailbox")],
            *("'find' (2)", "no mailbox"),
        ),
        ("failed", [block("a", status="FAILED")], "'a'", None),
        ("failed", [block("a", 1, error_message="hint"), block("b", 2, status="failed")], "'b' (2)", None),
        ("failed", [block("a", 1), block("b", 2, error_message="shown here")], "'b' (2)", "shown here"),
        ("timeout", [block("a", 1, status="timeout", error_message="too slow")], "'a' (1)", "too slow"),
        ("cancelled", [block("a", 1, status="canceled")], "'a' (1)", None),
        ("failed", [block("a", 1), block("b", 2)], None, None),
        ("failed", [], None, None),
        ("completed", [block("a", 1, status="failed", error_message="skipped a row")], None, None),
    ],
)
def test_the_block_that_failed_is_named(status: str, blocks: list[Any], named: str | None, message: str | None):
    found = outcome_of("j", live(status, *blocks))
    assert found is not None
    assert (found.block, found.message) == (named, message)


@pytest.mark.parametrize(
    ("ended", "text"),
    [
        (
            RunOutcome("j", "failed", "w", "'find_email' (2)", "no mailbox."),
            "Failed in block 'find_email' (2): no mailbox. Run j, workflow w.",
        ),
        (
            RunOutcome("j", "failed"),
            "Failed; the API gives no reason. Run j.",
        ),
        (
            RunOutcome("j", "cancelled", "w"),
            "Cancelled at Sixtyfour; the API gives no reason. Run j, workflow w.",
        ),
        (
            RunOutcome("j", "timeout", None, "'a'", "slow"),
            "Stopped by Sixtyfour's own time limit in block 'a': slow. Run j.",
        ),
    ],
)
def test_the_error_of_a_failed_run_names_run_block_and_reason(ended: RunOutcome, text: str):
    with pytest.raises(SixtyfourRunFailedError) as caught:
        ended.raise_if_failed()
    assert str(caught.value) == text
    assert (caught.value.job_id, caught.value.status) == ("j", ended.status)


def test_the_error_of_a_failed_run_has_the_retry_before_the_ids():
    with pytest.raises(SixtyfourRunFailedError) as caught:
        RunOutcome("j", "failed", "w", "'a'", "why").raise_if_failed("It is not retried.")
    assert str(caught.value) == "Failed in block 'a': why. It is not retried. Run j, workflow w."


def test_a_completed_run_raises_nothing():
    RunOutcome("j", "completed").raise_if_failed()


def row(**fields: Any) -> ListedRun:
    [found] = ListedRun.read_all([{"job_id": "j", "status": "failed", **fields}])
    return found


@pytest.mark.parametrize(
    ("ended", "listed", "message", "workflow_id"),
    [
        (RunOutcome("j", "failed"), row(status_reason="r", error_message="e", workflow_id="w"), "r - e", "w"),
        (RunOutcome("j", "failed", "v"), row(error_message="e", workflow_id="w"), "e", "v"),
        (RunOutcome("j", "failed"), row(), None, None),
        (RunOutcome("j", "failed"), None, None, None),
        (RunOutcome("j", "failed", message="the block's"), row(error_message="e"), "the block's", None),
    ],
)
def test_the_list_gives_a_reason_where_no_block_does(
    ended: RunOutcome, listed: ListedRun | None, message: str | None, workflow_id: str | None
):
    found = with_reason(ended, listed)
    assert (found.message, found.workflow_id) == (message, workflow_id)
    assert (found.job_id, found.status) == ("j", "failed")


def test_a_message_stays_small_enough_for_airflows_database():
    found = outcome_of("j", live("failed", block("a", status="failed", error_message="x" * 10**6)))
    assert found is not None
    assert found.message == "x" * 496 + " […]"
    message = with_reason(RunOutcome("j", "failed"), row(error_message="y" * 10**6)).message
    assert message == "y" * 496 + " […]"


texts = st.none() | st.text()


@searched
@given(st.text(), st.text(), texts, texts, texts, st.dictionaries(st.text(min_size=20), st.integers()))
def test_an_outcome_survives_serialization(
    job_id: str, status: str, workflow_id: str | None, name: str | None, message: str | None, later: dict[str, Any]
):
    ended = RunOutcome(job_id, status, workflow_id, name, message)
    event = json.loads(json.dumps(ended.as_event()))
    assert RunOutcome.from_event({**event, **later}) == ended


def test_an_event_of_an_earlier_version_is_read():
    assert RunOutcome.from_event({"job_id": "j", "status": "failed"}) == RunOutcome("j", "failed")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (live("queued"), "queued 0 %"),
        (live("running", overall_progress_percentage=41.67), "running 42 %"),
        (live("running", current_block="find_email"), "running 0 %, block 'find_email'"),
        (
            live("running", block("a", 1, status="completed"), block("b", 2, status="running", processed_count=5)),
            "running 0 %, block 'b' (2)",
        ),
        (
            live("running", block("b", 2, status="Running", processed_count=5, total_count=20), current_block="b"),
            "running 0 %, block 'b' (2), 5 of 20 rows",
        ),
        (live("running", block("b", status="running", total_count=20)), "running 0 %, block 'b', 0 of 20 rows"),
    ],
)
def test_progress_in_one_line(status: LiveStatus, line: str):
    assert describe_progress(status) == line


TIMES = {"started_at": "2026-11-01T10:00:00Z", "completed_at": "2026-11-01T10:01:30.5Z"}


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        (TIMES, 90.5),
        ({**TIMES, "completed_at": TIMES["started_at"]}, 0.0),
        ({**TIMES, "started_at": None}, None),
        ({**TIMES, "completed_at": "soon"}, None),
        ({**TIMES, "completed_at": "2026-11-01T10:01:30-99:99"}, None),
        ({**TIMES, "started_at": "1:"}, None),
        ({"started_at": TIMES["completed_at"], "completed_at": TIMES["started_at"]}, None),
        ({}, None),
    ],
)
def test_a_duration_is_known_where_both_times_are(times: dict[str, Any], seconds: float | None):
    ended = outcome_of("j", live("completed", **times))
    [row] = ListedRun.read_all([{"job_id": "j", "status": "completed", **times}])

    assert ended is not None
    assert RunOutcome.from_event(json.loads(json.dumps(ended.as_event()))).seconds == seconds
    assert outcome_of_row(row).seconds == with_metrics(RunOutcome("j", "completed"), row).seconds == seconds
    assert with_metrics(RunOutcome("j", "completed", seconds=1.0), row).seconds == 1.0
