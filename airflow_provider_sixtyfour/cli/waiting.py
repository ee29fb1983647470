"""Waiting for a run, for ``run --wait`` and for ``wait``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.cli import exit_codes
from airflow_provider_sixtyfour.cli.progress import RunProgress
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourTimeoutError
from airflow_provider_sixtyfour.polling.blocking import wait
from airflow_provider_sixtyfour.polling.run_watch import NEW_RUN_PERIOD, RunWatch
from airflow_provider_sixtyfour.runs.status import COMPLETED, RunOutcome, with_metrics, with_reason

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.cli.connecting import Account
    from airflow_provider_sixtyfour.cli.console import Console

_SHOWN = ("job_id", "workflow_id", "status", "block", "message", "metrics", "seconds")


def wait_and_print(
    account: Account,
    job_id: str,
    console: Console,
    *,
    timeout: float | None,
    poll_interval: float,
    kind: JobKind = WORKFLOW_RUN,
    more: Mapping[str, Any] | None = None,
) -> int:
    """
    Wait until a run has ended, and print how it did.

    :param timeout: seconds; ``None`` for no limit.
    :param poll_interval: seconds between two status checks.
    :param more: of the run, to be printed too.
    :return: the exit code.
    :raises SixtyfourRunFailedError: if it has not completed.
    :raises SixtyfourTimeoutError: at the timeout; the run keeps running.
    :raises SixtyfourWaitError: if the API keeps refusing to report the run.
    """
    deadline = None if timeout is None else time.time() + timeout
    how_to_cancel = f"cancel it with: {console.program} cancel {job_id}"
    try:
        with RunProgress(console) as progress:
            watch = RunWatch(
                job_id,
                poll_interval=poll_interval,
                deadline=deadline,
                log=progress,
                may_be_unknown=NEW_RUN_PERIOD if more else 0.0,
                on_progress=progress.took_in,
                kind=kind,
            )
            ended = wait(account.client, job_id, watch, reconnect=account.reconnect)
    except KeyboardInterrupt:
        console.note(f"Interrupted. The run keeps running; {how_to_cancel}")
        return exit_codes.INTERRUPTED
    except SixtyfourTimeoutError:
        raise SixtyfourTimeoutError(
            f"Not completed within {timeout:g} s: {progress.last or 'no status was received'}. The run keeps running; "
            f"{how_to_cancel}"
        ) from None
    ended = with_usage(account.client, ended)
    console.record({**(more or {}), **ended.as_event()}, _SHOWN)
    ended.raise_if_failed()
    console.note(f"Completed. {ended.ids()}")
    return exit_codes.SUCCESS


def with_usage(client: SixtyfourClient, ended: RunOutcome) -> RunOutcome:
    """Return an outcome with what the list of runs alone knows: what the run has used, and why it failed."""
    if ended.workflow_id is None or (ended.metrics and (ended.message or ended.status == COMPLETED)):
        return ended
    listing = calls.list_runs(workflow_id=ended.workflow_id, limit=calls.MAX_LISTED_RUNS)
    try:
        rows = client.send(listing, attempts=2)
    except SixtyfourError:  # the outcome stands
        return ended
    row = next((row for row in rows if row.job_id == ended.job_id), None)
    if row is None:
        return ended
    found = with_metrics(ended, row)
    return found if found.status == COMPLETED else with_reason(found, row)
