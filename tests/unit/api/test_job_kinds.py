from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.job_kinds import BULK_JOB, CHARGE, KINDS, WORKFLOW_RUN
from airflow_provider_sixtyfour.runs.status import outcome_of


def job(**more: Any) -> dict[str, Any]:
    return {"status": "running", "id": "t", "run_id": "temporal-run-t", "start_time": "2026-06-10T10:00:00Z", **more}


def ended(**more: Any) -> Any:
    return outcome_of("t", BULK_JOB.status("t").read(job(**more), Cleaner()))


@pytest.mark.parametrize("status", ["running", "RUNNING", "queued", "pending", "continued_as_new", "finalizing"])
def test_a_job_that_has_not_ended(status: str):
    assert ended(status=status) is None


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("completed", "completed"),
        ("COMPLETED", "completed"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
        ("canceled", "cancelled"),
        ("terminated", "terminated"),
        ("timed_out", "timeout"),
        ("TIMED_OUT", "timeout"),
    ],
)
def test_every_end_of_a_job_is_that_of_a_run(status: str, end: str):
    assert ended(status=status).status == end


@pytest.mark.parametrize("results", [{}, {"files": []}, "none yet", 7, [None], [["a.csv"]]], ids=str)
def test_a_job_has_ended_whatever_its_results_are(results: Any):
    assert ended(status="completed", results=results).status == "completed"


def test_a_job_has_its_charge_and_the_reason_of_its_failure():
    assert ended(status="completed", charge_amount=5).metrics == {CHARGE: 5}
    assert ended(status="completed").metrics == {}
    assert ended(status="failed", error="no balance").message == "no balance"


def test_the_files_of_one_format():
    results = [
        {"filename": "a.csv", "block_number": 2},
        {"filename": "a.ndjson", "block_number": 2},
        {"filename": "b", "format": "json"},
        {"filename": "c"},  # CSV is always made
    ]
    found = {
        name: [file.filename for file in BULK_JOB.result_files("t", name).read(job(results=results), Cleaner())]
        for name in ("csv", "json", "ndjson")
    }
    assert found == {"csv": ["a.csv", "c"], "json": ["b"], "ndjson": ["a.ndjson"]}
    assert BULK_JOB.result_files("t", "csv").read(job(), Cleaner()) == ()


def test_each_kind_has_calls_of_its_own():
    assert {name: kind.status("t").path for name, kind in KINDS.items()} == {
        "run": "/workflows/runs/t/live_status",
        "bulk": "/job-status/t",
    }
    assert WORKFLOW_RUN.cancel("t").path == BULK_JOB.cancel("t").path == "/workflows/cancel"
