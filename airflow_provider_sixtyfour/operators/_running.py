"""
From a submission to the end of its run: what every operator that runs a workflow does in the same way.

Invariant: a run that has been started is known to whoever may have to stop it, and to the task's page, before anything
else is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourRefusedError
from airflow_provider_sixtyfour.links.sixtyfour import SixtyfourRunLink, are_pushed_by_airflow, run_url
from airflow_provider_sixtyfour.runs.deadline import deadline, seconds
from airflow_provider_sixtyfour.tasks.next_try import has_next_try
from airflow_provider_sixtyfour.tasks.retrying import with_retries

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.runs.log import Log
    from airflow_provider_sixtyfour.runs.status import RunOutcome
    from airflow_provider_sixtyfour.tasks.run_control import RunControl
    from airflow_provider_sixtyfour.workflows.source import Source


FAIL = "__fail__"  # what Airflow resumes a task with, in place of a method's name, only to fail it


class RunsWorkflow(Protocol):
    """An operator that runs a workflow, as far as it matters here."""

    workflow_id: Any  # None: a job without a workflow
    timeout: Any
    execution_timeout: timedelta | None
    deferrable: bool
    cancel_on_kill: bool
    sixtyfour_conn_id: str
    run_link: str | None

    @property
    def log(self) -> Any: ...

    @property
    def defer(self) -> Callable[..., NoReturn]: ...

    @property
    def execute_complete(self) -> Callable[..., Any]: ...


def ends_at(operator: RunsWorkflow, context: Context) -> float | None:
    """
    Return when the task gives up on its run, in seconds of the epoch; ``None`` for never.

    :raises SixtyfourInputError: if a limit is no duration.
    """
    return deadline(
        context["ti"].start_date,
        seconds(operator.timeout, "timeout"),
        seconds(operator.execution_timeout, "execution_timeout"),
    )


def started(operator: RunsWorkflow, context: Context, control: RunControl, start: Callable[[], str]) -> str:
    """
    Start or adopt a run, and tell of it.

    :param start: does so, and returns its id.
    :raises SixtyfourError: if the task was killed meanwhile.
    """
    job_id = start()
    ti = context["ti"]
    operator.run_link = run_url(control.client.base_url, operator.workflow_id, job_id)
    pushes = {"job_id": job_id}
    if not (operator.deferrable and are_pushed_by_airflow()):  # then that is in a moment
        pushes[SixtyfourRunLink().xcom_key] = operator.run_link
    for key, value in pushes.items():
        with_retries(partial(ti.xcom_push, key=key, value=value), f"push {key}", log=operator.log, sleep=control.sleep)
    operator.log.info("The run is at %s", operator.run_link)
    control.stop_if_killed()
    return job_id


@contextmanager
def without_event(
    operator: RunsWorkflow, context: Context, control: RunControl, next_kwargs: dict[str, Any] | None
) -> Iterator[None]:
    """
    Don't leave the run behind where Airflow resumes a task only to fail it, without an event of its trigger.

    It does so where the trigger's class can't be loaded in the triggerer, and where a timeout of Airflow's own has
    passed: before 3.0 that is ``execution_timeout``, too.
    """
    is_late = "timeout" in str((next_kwargs or {}).get("error", "")).lower()
    with control.running(has_next_try=has_next_try(context) and not is_late):
        ti = context["ti"]
        job_id = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index, key="job_id")
        _ = control.client  # what cancels the run
        if isinstance(job_id, str):
            control.started(job_id)
        yield


def waited_for(
    operator: RunsWorkflow,
    control: RunControl,
    job_id: str,
    *,
    poll_interval: float,
    ends_at: float | None,
    carried: dict[str, Any] | None = None,
) -> RunOutcome:
    """
    Return how the run has completed, once it has; or defer, to ``execute_complete``.

    :param carried: what that is to be called with, besides the event.
    """
    if operator.deferrable:
        from airflow_provider_sixtyfour.triggers.sixtyfour import SixtyfourRunTrigger

        trigger = SixtyfourRunTrigger(
            sixtyfour_conn_id=operator.sixtyfour_conn_id,
            job_id=job_id,
            poll_interval=poll_interval,
            deadline=ends_at,
            cancel_on_kill=operator.cancel_on_kill,
            host=control.client.base_url,
            kind=control.kind.name,
        )
        operator.log.info(
            "Waiting in the triggerer now, which checks the status about every %g s. Run %s.", poll_interval, job_id
        )
        operator.defer(trigger=trigger, method_name=operator.execute_complete.__name__, kwargs=carried)
    return control.wait(job_id, poll_interval=poll_interval, ends_at=ends_at)


def measured(client: SixtyfourClient, ended: RunOutcome, log: Log) -> RunOutcome:
    """
    Return the end of a run with what the run has used, if the API tells; the list of runs alone does.

    Asks, unless whoever waited has seen it there already. What it is good for is no reason to fail a task.
    """
    from airflow_provider_sixtyfour.runs.status import COMPLETED, with_metrics

    if ended.metrics:
        return ended
    try:
        rows = client.send(calls.list_runs(status=COMPLETED, workflow_id=ended.workflow_id), attempts=2)
    except SixtyfourError as error:
        log.warning("Could not read what the run has used: %s Run %s.", error, ended.job_id)
        return ended
    return next((with_metrics(ended, row) for row in rows if row.job_id == ended.job_id), ended)


def source_block(operator: RunsWorkflow, client: SixtyfourClient, body: Mapping[str, Any]) -> Source | None:
    """
    Return the workflow's first block; ``None`` where the credential may not read the workflow.

    Warns of specs that the run is to override and that block doesn't have, which may be misspelt.

    :param body: what the run is to be started with.
    """
    from airflow_provider_sixtyfour.workflows.source import source_of

    try:
        source = source_of(client.send(calls.get_workflow(operator.workflow_id)))
    except SixtyfourRefusedError as error:
        if error.status == 403:
            return None
        raise
    if source is not None and (unknown := _unknown_specs(client, source, body.get("specs_override", {}))):
        operator.log.warning(
            "Unknown in specs_override: %s. The first block, %r, has no such specs. Workflow %s.",
            client.cleaner.message(", ".join(unknown)),
            client.cleaner.name(source.block_name),
            operator.workflow_id,
        )
    return source


def _unknown_specs(client: SixtyfourClient, source: Source, override: Mapping[str, Any]) -> list[str]:
    """Return the overridden specs that the block doesn't have; none where the API doesn't tell what it has."""
    from airflow_provider_sixtyfour.workflows.block_specs import unknown_specs

    names = [name for name in override if name not in ("resource_handle_id", *source.specs)]
    if not names:
        return []  # and the API isn't asked
    try:
        kinds = client.send(calls.list_blocks(), attempts=2)
    except SixtyfourError:  # a hint is no reason to fail a task
        return []
    return unknown_specs(names, source.block_name, source.specs, kinds)
