"""Finds runs that nobody waits for any more, for a maintenance Dag."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourRefusedError
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION, SixtyfourHook
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sixtyfour.api.models import ListedRun
    from airflow_provider_sixtyfour.runs.orphans import Orphan


class SixtyfourOrphanedRunsOperator(BaseOperator):
    """
    List, and cancel, runs that are active at Sixtyfour while the tasks that started them have ended.

    A task leaves such a run where it was marked failed or successful while it waited, with ``cancel_on_kill=False`` or
    without a triggerer to carry out the cancellation. A run counts if a task of these Dags has started it (by its XCom
    ``job_id``), and no task instance that names it waits for it, or will. A task that succeeded and returned the run's
    id (``wait_for_completion=False``) has left it on purpose. Where there is no active run, Airflow is asked nothing.

    On Airflow 3 the states of all task instances of a Dag are read in one answer, and XComs with at most 1,000
    requests: those of waiting tasks, then those of the newest Dag runs. Name ``task_ids`` in Dags with many tasks or a
    long history. Tasks of other Dags that wait for the same run are not seen there: name all Dags that share runs.

    :param dag_ids: the Dags whose tasks start runs. (templated)
    :param task_ids: the tasks in them that start runs, by their full ids (``group.task``); all if ``None``. (templated)
    :param cancel: whether to cancel what is found. Just before, it is checked again that nobody waits for it.
    :param older_than: leave runs alone that were submitted in this time: a task that has just started one may not have
        said so yet. A ``timedelta``, or seconds.
    :param sixtyfour_conn_id: the connection. (templated)

    :returns: a list with, for each such run, its ``job_id``, ``workflow_id``, ``status``, ``started_at``, ``dag_id``,
        ``run_id``, ``task_id``, ``map_index``, ``state`` (the task instance's) and ``cancelled``.
    :raises AirflowFailException: if a parameter can't be right, the API refuses, or so many tasks wait that not all
        of them can be read.
    """

    template_fields: Sequence[str] = ("dag_ids", "task_ids", "sixtyfour_conn_id")
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        dag_ids: Sequence[str],
        task_ids: Sequence[str] | None = None,
        cancel: bool = False,
        older_than: timedelta | float = timedelta(minutes=15),
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dag_ids = dag_ids
        self.task_ids = task_ids
        self.cancel = cancel
        self.older_than = older_than
        self.sixtyfour_conn_id = sixtyfour_conn_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Find them, and cancel them if that is wanted."""
        import time

        from airflow_provider_sixtyfour.runs import orphans

        with non_retryable_errors(self.log):
            dag_ids = _names(self.dag_ids, "dag_ids")
            task_ids = None if self.task_ids is None else _names(self.task_ids, "task_ids")
            older_than = orphans.check_older_than(self.older_than, "older_than")
            client = SixtyfourHook(self.sixtyfour_conn_id).client
            active = client.send(calls.list_runs(status="active", limit=calls.MAX_LISTED_RUNS))
            runs = orphans.candidates(active, now=time.time(), older_than=older_than)
            if not runs:
                self.log.info("No run is active that is old enough to be looked at (%d are active).", len(active))
                return []
            found, is_orphan_still = self._find(context, runs, dag_ids, task_ids)
            records = []
            for orphan in found:
                self.log.warning("Nobody waits for it: run %s of %s.", orphan.job_id, orphan.starter)
                is_cancelled = self.cancel and is_orphan_still(orphan) and self._cancel(client, orphan)
                records.append({**orphan.as_value(), "cancelled": is_cancelled})
            self.log.info("%d of %d active runs have nobody who waits for them.", len(records), len(active))
            return records

    def _find(
        self, context: Context, runs: dict[str, ListedRun], dag_ids: list[str], task_ids: list[str] | None
    ) -> tuple[list[Orphan], Callable[[Orphan], bool]]:
        """Return the orphans, and a function that checks again whether a run is one."""
        from airflow_provider_sixtyfour.runs import orphans

        ti: Any = context["ti"]
        if hasattr(ti, "get_task_states"):
            from airflow_provider_sixtyfour.tasks.orphan_states import StartersByTaskSdk

            sdk = StartersByTaskSdk(ti, self.log)
            starters = sdk.find(runs, dag_ids, task_ids)
            return list(orphans.orphans(runs, starters)), lambda orphan: not sdk.waits_by_now(starters[orphan.job_id])
        from datetime import UTC, datetime

        from airflow_provider_sixtyfour.tasks import orphan_records

        moments = [moment for run in runs.values() if (moment := orphans.submitted_at(run)) is not None]
        since = datetime.fromtimestamp(min(moments), UTC)
        found = list(orphans.orphans(runs, orphan_records.starters(runs, since), dag_ids))
        if task_ids is not None:
            found = [orphan for orphan in found if orphan.starter.task_id in task_ids]
        return found, lambda orphan: orphan_records.is_orphan_still(orphan, since)

    def _cancel(self, client: Any, orphan: Orphan) -> bool:
        from airflow_provider_sixtyfour.runs.cancel import ABOUT_THE_RUN, cancel
        from airflow_provider_sixtyfour.tasks.run_metrics import RunMetrics

        try:
            outcome = cancel(client, orphan.job_id)
        except SixtyfourRefusedError as error:
            if error.status not in ABOUT_THE_RUN:
                raise
            self.log.error("%s", error)
            return False
        RunMetrics(self.sixtyfour_conn_id, orphan.workflow_id).cancelled(outcome)
        self.log.info("%s", outcome.describe(client.base_url))
        return outcome.is_cancelled


def _names(value: Any, name: str) -> list[str]:
    """
    Return names as a list.

    :raises SixtyfourInputError: if they are none.
    """
    names = [value] if isinstance(value, str) else list(value or ())
    if not names or not all(isinstance(each, str) and each.strip() for each in names):
        raise SixtyfourInputError(f"{name} should be a list of ids, not {value!r:.120}.")
    return names
