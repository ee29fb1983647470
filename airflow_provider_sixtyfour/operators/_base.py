"""What operators that start a run have in common, from its start to its outcome."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.links.sixtyfour import SixtyfourRunLink, are_pushed_by_airflow, run_url
from airflow_provider_sixtyfour.runs.deadline import WaitOptions, check_poll_interval, deadline, seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_sixtyfour.runs.idempotency import Startable
    from airflow_provider_sixtyfour.runs.status import RunOutcome
    from airflow_provider_sixtyfour.tasks.lineage import Dataset
    from airflow_provider_sixtyfour.tasks.run_control import RunControl
    from airflow_provider_sixtyfour.tasks.run_metrics import RunMetrics
    from airflow_provider_sixtyfour.tasks.submission import Submission

_REPLACED = "A retry or a clear of this task starts a new run."
_NOT_REPLACED = "It is not retried, as retry_failed_runs is off; a clear of this task starts a new run."
FAIL = "__fail__"  # what Airflow resumes a task with, in place of a method's name, only to fail it


class RunOperator(BaseOperator):
    """
    Base of the operators that start a run and wait for it, on the worker or deferred.

    A subclass starts the run in ``execute``, and concludes there or in ``execute_complete``.

    Invariant: a run that has been started is known to whoever may have to stop it, and to the task's page, before
    anything else is done.
    """

    job_kind: ClassVar[JobKind] = WORKFLOW_RUN
    operator_extra_links: Collection[BaseOperatorLink] = (SixtyfourRunLink(),)
    ui_color = "#e8e4fb"
    run_link: str | None = None
    durable: bool = True  # tries of the task share a run
    retry_failed_runs: bool
    _datasets: tuple[tuple[Dataset, ...], tuple[Dataset, ...]] = ((), ())  # read and written, once the work is done
    _rows: int | None = None  # of the input, where that is known

    workflow_id: Any  # None: a job without a workflow
    poll_interval: Any
    timeout: Any
    deferrable: bool
    cancel_on_kill: bool
    sixtyfour_conn_id: str

    execute_complete: Callable[..., Any]  # concludes what the trigger found

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; where Airflow does so only to fail the task, don't leave its run behind."""
        if next_method != FAIL:
            return super().resume_execution(next_method, next_kwargs, context)
        with self._without_event(context, next_kwargs):
            return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the run, unless a next try reattaches to it; called when a user or Airflow stops the task."""
        self._control.kill()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Report to OpenLineage what was read and written, with the run."""
        from airflow_provider_sixtyfour.tasks.landing_lineage import run_uri
        from airflow_provider_sixtyfour.tasks.lineage import Dataset
        from airflow_provider_sixtyfour.tasks.openlineage import RunFacts, operator_lineage

        read, written = self._datasets
        control: RunControl | None = vars(self).get("_control")  # not made for this
        if control is None or (known := control.known_run()) is None:
            return operator_lineage(read, written)
        base_url, job_id = known
        if not written:
            read, written = self._sent(base_url), (Dataset(run_uri(base_url, job_id)),)
        run = RunFacts(base_url, job_id, self.workflow_id, control.outcome, self._rows)
        return operator_lineage(read, written, run)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Report the same of a run that failed, which may have been paid for."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def _sent(self, base_url: str) -> tuple[Dataset, ...]:
        """Return what the run was started with, as far as that is a dataset."""
        raise NotImplementedError

    @cached_property
    def _hook(self) -> SixtyfourHook:
        return SixtyfourHook(self.sixtyfour_conn_id)

    @cached_property
    def _control(self) -> RunControl:
        from airflow_provider_sixtyfour.tasks.run_control import RunControl

        return RunControl(
            self._hook,
            metrics=self._metrics,
            cancels=self.cancel_on_kill,
            log=self.log,
            after_failure=_REPLACED if self.retry_failed_runs else _NOT_REPLACED,
            kind=self.job_kind,
        )

    @cached_property
    def _metrics(self) -> RunMetrics:
        from airflow_provider_sixtyfour.tasks.run_metrics import RunMetrics

        return RunMetrics(self.sixtyfour_conn_id, self.workflow_id, self.job_kind)

    @contextmanager
    def _final_errors(self, context: Context) -> Iterator[None]:
        """Turn errors into those of Airflow: what no retry can fix is not retried. The tab shows what it was."""
        from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
        from airflow_provider_sixtyfour.tasks.progress_xcom import published_error

        with non_retryable_errors(self.log, failed_runs=not self.retry_failed_runs), published_error(context):
            yield

    def _wait_options(self, context: Context) -> WaitOptions:
        """
        Return how the task waits for its run, and until when.

        :raises SixtyfourInputError: if the poll interval or a limit is no duration.
        """
        poll_interval = check_poll_interval(self.poll_interval)
        limits = seconds(self.timeout, "timeout"), seconds(self.execution_timeout, "execution_timeout")
        return WaitOptions(poll_interval, deadline(context["ti"].start_date, *limits))

    def _running(self, context: Context, wait: WaitOptions) -> AbstractContextManager[None]:
        """Return the block in which the task starts its run and waits for it; see `RunControl.running`."""
        from airflow_provider_sixtyfour.tasks.progress_xcom import worker_publisher
        from airflow_provider_sixtyfour.tasks.task_state import state_reader

        return self._control.running(
            has_next_try=self._has_next_try(context),
            ends_at=wait.ends_at,
            read_state=state_reader(context),
            on_progress=worker_publisher(context),
        )

    def _concluding(self, context: Context) -> AbstractContextManager[None]:
        """Return the block in which a resumed task concludes what the trigger found."""
        return self._control.running(has_next_try=self._has_next_try(context))

    def _has_next_try(self, context: Context) -> bool:
        """Return whether Airflow will try the task again if it fails, and that try would reattach to this one's run."""
        from airflow_provider_sixtyfour.tasks.task_state import has_next_try

        return self.durable and has_next_try(context)

    def _submission(self, request: Startable, digest: str, **options: Any) -> Submission:
        """
        Return the submission of a request.

        :param options: what only some operators have, see `Submission`.
        """
        from airflow_provider_sixtyfour.tasks.submission import Submission

        return Submission(
            client=self._control.client,
            request=request,
            digest=digest,
            log=self.log,
            supervision=self._control,
            metrics=self._metrics,
            cancels=self.cancel_on_kill,
            replaces_failed=self.retry_failed_runs,
            kind=self.job_kind,
            **options,
        )

    def _started(self, context: Context, start: Callable[[], str]) -> str:
        """
        Start or adopt a run, and publish its id and link.

        :param start: does so, and returns its id.
        :raises SixtyfourError: if the task was killed meanwhile.
        """
        from airflow_provider_sixtyfour.tasks.retrying import with_retries
        from airflow_provider_sixtyfour.tasks.tab_settings import tab_url

        job_id, ti, control = start(), context["ti"], self._control
        self.run_link = run_url(control.client.base_url, self.workflow_id, job_id, tab_url(context))
        pushes = {"job_id": job_id}
        if not (self.deferrable and are_pushed_by_airflow()):  # then that is in a moment
            pushes[SixtyfourRunLink().xcom_key] = self.run_link
        for key, value in pushes.items():
            with_retries(partial(ti.xcom_push, key=key, value=value), f"push {key}", log=self.log, sleep=control.sleep)
        self.log.info("The run is at %s", self.run_link)
        control.stop_if_killed()
        return job_id

    def _waited_for(self, job_id: str, wait: WaitOptions, *, carried: dict[str, Any]) -> RunOutcome:
        """
        Return how the run has completed, once it has; or defer, to ``execute_complete``.

        :param carried: what that is to be called with, besides the event.
        """
        if self.deferrable:
            from airflow_provider_sixtyfour.triggers.sixtyfour import SixtyfourRunTrigger

            trigger = SixtyfourRunTrigger(
                sixtyfour_conn_id=self.sixtyfour_conn_id,
                job_id=job_id,
                poll_interval=wait.poll_interval,
                deadline=wait.ends_at,
                cancel_on_kill=self.cancel_on_kill,
                host=self._control.client.base_url,
                kind=self.job_kind.name,
                workflow_id=self.workflow_id,
            )
            waiting = "Waiting in the triggerer now, which checks the status about every %g s. Run %s."
            self.log.info(waiting, wait.poll_interval, job_id)
            self.defer(trigger=trigger, method_name=self.execute_complete.__name__, kwargs=carried)
        return self._control.wait(job_id, poll_interval=wait.poll_interval, ends_at=wait.ends_at)

    def _measured(self, ended: RunOutcome) -> RunOutcome:
        """Return the outcome of a run with what the run has used, where that can be read."""
        if elsewhere := self._control.elsewhere():
            self.log.warning("Could not read what the run has used. %s Run %s.", elsewhere, ended.job_id)
        else:
            ended = self._with_usage(ended)
        self._control.outcome = ended
        return ended

    def _with_usage(self, ended: RunOutcome) -> RunOutcome:
        from airflow_provider_sixtyfour.tasks.usage import measured

        return measured(self._hook.client, ended, self.log)

    @contextmanager
    def _without_event(self, context: Context, next_kwargs: dict[str, Any] | None) -> Iterator[None]:
        """
        Don't leave the run behind where Airflow resumes a task only to fail it, without an event of its trigger.

        It does so where the trigger's class can't be loaded in the triggerer, and where a timeout of Airflow's own has
        passed: before 3.0 that is ``execution_timeout``, too.
        """
        from airflow_provider_sixtyfour.runs.cancellation import Event

        control, ti = self._control, context["ti"]
        is_late = "timeout" in str((next_kwargs or {}).get("error", "")).lower()
        with control.running(has_next_try=self._has_next_try(context), event=Event.RESUMED_TO_FAIL, is_late=is_late):
            job_id = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index, key="job_id")
            _ = control.client  # what cancels the run
            if isinstance(job_id, str):
                control.started(job_id)
            yield
