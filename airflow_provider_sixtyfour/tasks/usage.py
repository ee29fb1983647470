"""What a run has used: rows, credits, cost, as the API counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourError
from airflow_provider_sixtyfour.runs.status import COMPLETED, with_metrics

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.runs.log import Log
    from airflow_provider_sixtyfour.runs.status import RunOutcome


def measured(client: SixtyfourClient, ended: RunOutcome, log: Log) -> RunOutcome:
    """
    Return the outcome of a run with what the run has used, where the list of runs has it.

    The list is read unless whoever waited has read it already. Usage is no reason to fail a task.
    """
    if ended.metrics:
        return ended
    try:
        rows = client.send(calls.list_runs(status=COMPLETED, workflow_id=ended.workflow_id), attempts=2)
    except SixtyfourError as error:
        log.warning("Could not read what the run has used: %s Run %s.", error, ended.job_id)
        return ended
    return next((with_metrics(ended, row) for row in rows if row.job_id == ended.job_id), ended)
