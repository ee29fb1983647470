"""
What is counted of a task's runs, and that each is counted once.

A run is started and cancelled by one request, whoever makes it: it is counted with the answer. Its end is counted by
the task that concludes it, on a worker, and not by the trigger that has found it. Where files are landed, a landing
that fails is tried again with the same run: the record of the submission then says that it is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api.job_kinds import CHARGE, WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.hooks import metrics
from airflow_provider_sixtyfour.runs.status import COMPLETED
from airflow_provider_sixtyfour.tasks.batch_log import credits_of
from airflow_provider_sixtyfour.tasks.submission_records import RECORD_KEY, recorded

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sixtyfour.runs.cancel import Cancellation
    from airflow_provider_sixtyfour.runs.log import Log
    from airflow_provider_sixtyfour.runs.status import RunOutcome


class RunMetrics:
    """
    Counts what becomes of the runs of a task.

    :param workflow_id: ``None`` if it isn't known, or for a job without a workflow, whose kind then takes its place.
    """

    def __init__(self, conn_id: str, workflow_id: str | None, kind: JobKind = WORKFLOW_RUN) -> None:
        of = workflow_id or (None if kind == WORKFLOW_RUN else kind.name)
        self._tags = {"conn_id": conn_id, "workflow_id": of}

    def started(self) -> None:
        """Count a run that the API has started."""
        metrics.emit(metrics.RUNS_STARTED, **self._tags)

    def reattached(self) -> None:
        """Count that a try continues with the run of an earlier one."""
        metrics.emit(metrics.RUNS_REATTACHED, **self._tags)

    def cancelled(self, outcome: Cancellation) -> None:
        """Count a cancellation, if it has cancelled something."""
        if outcome.is_cancelled:
            metrics.emit(metrics.RUNS_CANCELLED, **self._tags)

    def stopped(self, outcome: Cancellation) -> None:
        """Count what came of a cancellation by the task that has waited for the run, which had ended already or not."""
        self.cancelled(outcome)
        if outcome.ended is not None and not outcome.is_cancelled:
            self.failed(outcome.ended)

    def failed(self, ended: RunOutcome) -> None:
        """Count a run that has ended, unless it completed."""
        if ended.status != COMPLETED:
            self.ended(ended)

    def ended(self, ended: RunOutcome, rows: int | None = None) -> None:
        """
        Count a run that has ended, and what it has used.

        :param rows: how many it was sent; counted where the API gives no number.
        """
        is_completed = ended.status == COMPLETED
        metrics.emit(metrics.RUNS_COMPLETED if is_completed else metrics.RUNS_FAILED, **self._tags)
        if ended.seconds is not None:
            metrics.emit(metrics.RUN_DURATION, ended.seconds, **self._tags)
        used = (
            (metrics.ROWS, ended.metrics.get("rows_in", rows)),
            (metrics.CREDITS, credits_of(ended.metrics)),
            (metrics.CHARGE_CENTS, ended.metrics.get(CHARGE)),
        )
        for metric, amount in used:
            if amount is not None and amount > 0:
                metrics.emit(metric, amount, **self._tags)


@contextmanager
def counted_once(
    counts: RunMetrics, context: Context, records: Callable[[], Any], ended: RunOutcome, rows: int | None, log: Log
) -> Iterator[None]:
    """
    Count a run that has completed when the block that lands its files ends, unless an earlier try has counted it.

    :param records: returns where the record of the submission is kept.
    :param rows: see `RunMetrics.ended`.
    """
    is_counted = context["ti"].try_number > 1 and _is_counted(records, ended.job_id)
    try:
        yield
    except BaseException:
        if not is_counted:
            counts.ended(ended, rows)
            _note(records, ended.job_id, log)
        raise
    if not is_counted:
        counts.ended(ended, rows)


def _is_counted(records: Callable[[], Any], job_id: str) -> bool:
    try:
        record = recorded(records(), job_id)
    except Exception:  # what cannot be read is no reason to fail a task
        return False
    return record is not None and record.is_counted


def _note(records: Callable[[], Any], job_id: str, log: Log) -> None:
    try:
        store = records()
        if (record := recorded(store, job_id)) is not None:
            store.set(RECORD_KEY, record._replace(is_counted=True).as_json())
    except Exception as error:  # the task is failing for another reason, which is the one to report
        log.warning("The run will be counted again in the metrics by the next try: %s Run %s.", error, job_id)
