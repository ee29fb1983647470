"""The blocking wait of a task on its worker; in a triggerer a `RunPoller` waits, by the same `RunWatch`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.models import ListedRun
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourTimeoutError, SixtyfourWaitError
from airflow_provider_sixtyfour.polling.run_watch import RunWatch
from airflow_provider_sixtyfour.runs.status import RunOutcome, has_reason, with_reason
from airflow_provider_sixtyfour.runs.wait_end import DeadlinePassed, NotReported, WaitEnd

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient


def wait(
    client: SixtyfourClient,
    job_id: str,
    watch: RunWatch,
    *,
    sleep: Callable[[float], None] = time.sleep,
    reconnect: Callable[[], SixtyfourClient | None] | None = None,
) -> RunOutcome:
    """
    Wait until the run has ended.

    :param reconnect: reads the connection again, before the retry of a refused status check; returns another client
        if the connection has another credential for the same base URL by now, else ``None``.
    :raises SixtyfourTimeoutError: at the watch's deadline; the run keeps running.
    :raises SixtyfourWaitError: if the API refuses to answer, for as long as `failure_policy` says.
    """
    query = watch.kind.status(job_id)
    while True:
        try:
            ended = watch.answered(client.send(query, attempts=1))
        except SixtyfourError as error:
            watch.failed(error)  # raises if that ends the wait
        else:
            if ended is not None:
                break
        sleep(watch.pause())
        if watch.wants_connection and reconnect is not None and (renewed := reconnect()) is not None:
            client = renewed
            watch.reconnected()
    if has_reason(ended):
        return ended
    try:
        return with_reason(ended, _row(job_id, client.send(_list_call(ended), attempts=2)))
    except SixtyfourError:  # the outcome stands; only its reason is missing
        return ended


def wait_for_end(
    client: SixtyfourClient,
    job_id: str,
    watch: RunWatch,
    *,
    sleep: Callable[[float], None],
    reconnect: Callable[[], SixtyfourClient | None],
) -> WaitEnd:
    """Wait as `wait` does, and return how the wait ended, also where that is before the run has."""
    try:
        return wait(client, job_id, watch, sleep=sleep, reconnect=reconnect)
    except SixtyfourTimeoutError as error:
        return DeadlinePassed(str(error))
    except SixtyfourWaitError as error:
        return NotReported(str(error))


def _list_call(ended: RunOutcome) -> calls.Call[tuple[ListedRun, ...]]:
    """Return the call for the run's row in the list, the only place where a run itself has a reason."""
    return calls.list_runs(workflow_id=ended.workflow_id, limit=calls.MAX_LISTED_RUNS)


def _row(job_id: str, rows: tuple[ListedRun, ...]) -> ListedRun | None:
    return next((row for row in rows if row.job_id == job_id), None)
