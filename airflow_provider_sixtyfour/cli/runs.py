"""The commands about runs that exist: waited for, looked at, listed, cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.job_kinds import BULK_JOB, WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.cli import exit_codes
from airflow_provider_sixtyfour.cli.connecting import connect
from airflow_provider_sixtyfour.cli.waiting import wait_and_print, with_usage
from airflow_provider_sixtyfour.runs.status import COMPLETED, canonical, outcome_of

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_sixtyfour.api.models import ListedRun
    from airflow_provider_sixtyfour.cli.console import Console

_STATUS_SHOWN = (
    *("job_id", "workflow_id", "status", "percent", "current_block", "block", "message"),
    *("metrics", "started_at", "completed_at"),
)


def wait(given: Namespace, console: Console) -> int:
    """Wait for a run."""
    calls.identifier(given.job_id, "JOB")
    account, kind = connect(given.conn_id, console), _kind(given)
    # A run that isn't known is a mistake here; who waits for one that was known doubts a 404 for minutes.
    account.client.send(kind.status(given.job_id))
    return wait_and_print(
        account, given.job_id, console, timeout=given.timeout, poll_interval=given.poll_interval, kind=kind
    )


def status(given: Namespace, console: Console) -> int:
    """Print how far a run is."""
    calls.identifier(given.job_id, "JOB")
    client = connect(given.conn_id, console).client
    live = client.send(_kind(given).status(given.job_id))
    ended = outcome_of(given.job_id, live)
    found: dict[str, Any] = {} if ended is None else with_usage(client, ended).as_event()
    console.record(
        {
            "job_id": given.job_id,
            "workflow_id": live.workflow_id,
            "status": canonical(live.status),
            "percent": live.percent,
            "current_block": live.current_block,
            "block": found.get("block"),
            "message": found.get("message"),
            "metrics": found.get("metrics", dict(live.metrics)),
            "started_at": live.timestamps.get("started_at"),
            "completed_at": live.timestamps.get("completed_at"),
            "blocks": [block._asdict() for block in live.blocks],
        },
        _STATUS_SHOWN,
    )
    return exit_codes.SUCCESS if ended is None or ended.status == COMPLETED else exit_codes.RUN_FAILED


def runs(given: Namespace, console: Console) -> int:
    """List runs."""
    client = connect(given.conn_id, console).client
    is_failed = given.status == "failed"  # which the API has no filter for
    listing = calls.list_runs(
        status=None if is_failed else given.status,
        workflow_id=given.workflow_id,
        limit=calls.MAX_LISTED_RUNS if is_failed else given.limit,
    )
    found = [run for run in client.send(listing) if not is_failed or canonical(run.status) == "failed"]
    columns = ("job_id", "status", "workflow_id", "created_at", "metrics", "error")
    console.records([_listed(run) for run in found[: given.limit]], columns)
    return exit_codes.SUCCESS


def cancel(given: Namespace, console: Console) -> int:
    """Cancel a run."""
    from airflow_provider_sixtyfour.runs import cancel as cancelling

    calls.identifier(given.job_id, "JOB")
    client = connect(given.conn_id, console).client
    outcome = cancelling.cancel(client, given.job_id, kind=_kind(given))
    console.record(
        {
            "job_id": given.job_id,
            "cancelled": outcome.is_cancelled,
            "status": None if outcome.ended is None else outcome.ended.status,
        }
    )
    console.note(outcome.describe(client.base_url))
    return exit_codes.INVALID if outcome.answer is cancelling.Answer.UNKNOWN else exit_codes.SUCCESS


def _kind(given: Namespace) -> JobKind:
    return BULK_JOB if given.bulk else WORKFLOW_RUN


def _listed(run: ListedRun) -> dict[str, Any]:
    reasons = [text for text in (run.status_reason, run.error_message) if text]
    return {
        "job_id": run.job_id,
        "workflow_id": run.workflow_id,
        "status": canonical(run.status),
        "error": " - ".join(reasons) or None,
        "metrics": dict(run.metrics),
        **{name: run.timestamps.get(name) for name in ("created_at", "started_at", "completed_at")},
    }
