"""The sensor that waits for a run which another task, or somebody else, has started."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourRunFailedError,
    SixtyfourTimeoutError,
    SixtyfourWaitError,
)
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION, SixtyfourHook
from airflow_provider_sixtyfour.links.sixtyfour import SixtyfourRunLink, drop_run_link, show_run
from airflow_provider_sixtyfour.runs.deadline import check_poll_interval, deadline, seconds
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.run_checks import check_sensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_sixtyfour.polling.run_watch import RunWatch
    from airflow_provider_sixtyfour.runs.status import RunOutcome


class SixtyfourRunSensor(BaseSensorOperator):
    """
    Wait until a run has completed. It never cancels one: what it watches isn't its own.

    :param job_id: the run. (templated)
    :param deferrable: whether to wait in the triggerer. Default: the setting ``[operators] default_deferrable``.
    :param poll_interval: seconds between two status checks; the sensor's ``poke_interval``.
    :param sixtyfour_conn_id: the connection. (templated)

    The sensor's own ``timeout`` (seconds, default 7 days), ``mode`` and ``soft_fail`` hold as for every sensor.

    :returns: the run's ``job_id``.
    :raises AirflowFailException: if ``job_id``, ``poll_interval`` or the connection is invalid.
    :raises SixtyfourWaitError: if the API refuses to report the run (401, 403, 404) for `refusals.REFUSAL_PATIENCE`
        seconds; a retry polls the run again. In ``mode="reschedule"`` each poke is a process of its own, which
        remembers no refusal: there the sensor's ``timeout`` ends such a wait.
    :raises SixtyfourRunFailedError: if the run failed, was cancelled or timed out.
    :raises AirflowSensorTimeout: after ``timeout``.
    """

    template_fields: Sequence[str] = ("job_id", "sixtyfour_conn_id")
    operator_extra_links: Collection[BaseOperatorLink] = (SixtyfourRunLink(),)
    kind: ClassVar[JobKind] = WORKFLOW_RUN
    ui_color = "#e8e4fb"
    run_link: str | None = None

    def __init__(
        self,
        *,
        job_id: str,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 10.0,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("poke_interval", poll_interval)
        super().__init__(**kwargs)
        self.job_id = job_id
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.sixtyfour_conn_id = sixtyfour_conn_id
        self._watch: RunWatch | None = None
        check_sensor(self, SixtyfourRunSensor)

    def execute(self, context: Context) -> Any:
        """Wait here or in the triggerer."""
        if self.deferrable:
            self._wait_in_the_triggerer(context)
        return super().execute(context)

    def _wait_in_the_triggerer(self, context: Context) -> NoReturn:
        from airflow_provider_sixtyfour.triggers.sixtyfour import SixtyfourRunTrigger

        with non_retryable_errors(self.log):
            trigger = SixtyfourRunTrigger(
                sixtyfour_conn_id=self.sixtyfour_conn_id,
                job_id=calls.identifier(self.job_id, "job_id"),
                poll_interval=check_poll_interval(self.poll_interval),
                deadline=deadline(
                    context["ti"].start_date, self.timeout, seconds(self.execution_timeout, "execution_timeout")
                ),
                cancel_on_kill=False,
                may_be_unknown=0.0,  # it isn't new: its id came from elsewhere, as for `poke`
                kind=self.kind.name,
            )
        show_run(self, context, SixtyfourHook(self.sixtyfour_conn_id), self.job_id, is_brief=True)
        self.log.info(
            "Waiting in the triggerer now, which checks the status about every %g s. Run %s.",
            self.poll_interval,
            self.job_id,
        )
        self.defer(trigger=trigger, method_name=self.execute_complete.__name__)

    def poke(self, context: Context) -> PokeReturnValue:
        """Check the status once; a temporary failure counts as "not yet"."""
        from airflow_provider_sixtyfour.polling.run_watch import RunWatch

        with non_retryable_errors(self.log):
            if self._watch is None:
                self._watch = RunWatch(self.job_id, poll_interval=self.poll_interval, deadline=None, log=self.log)
            hook = SixtyfourHook(self.sixtyfour_conn_id)
            if self.run_link is None:
                show_run(self, context, hook, self.job_id, is_brief=self.reschedule)
            try:
                ended = self._watch.answered(hook.client.send(self.kind.status(self.job_id), attempts=1))
            except SixtyfourError as error:
                return self._not_yet(self._watch, error)
            if ended is None:
                return PokeReturnValue(False)
            try:
                ended.raise_if_failed()
            except SixtyfourRunFailedError as error:
                if self.soft_fail:  # Airflow itself would skip on timeouts only; deferred, a failed run skips
                    raise AirflowSkipException(str(error)) from None
                raise
            self.log.info("Completed. %s", ended.ids())
            return PokeReturnValue(True, xcom_value=self.job_id)

    def _not_yet(self, watch: RunWatch, error: SixtyfourError) -> PokeReturnValue:
        try:
            watch.failed(error)
        except SixtyfourWaitError as final:
            given_up = _given_up(str(final), self.job_id, final.status)
            if self.soft_fail:
                raise AirflowSkipException(str(given_up)) from None
            raise given_up from None
        return PokeReturnValue(False)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Conclude what the trigger found."""
        drop_run_link(self)
        try:
            with non_retryable_errors(self.log):
                ended = self._concluded(event)
                self.log.info("Completed. %s", ended.ids())
                return ended.job_id
        except Exception as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(str(error)) from None
            if isinstance(error, SixtyfourTimeoutError):
                raise AirflowSensorTimeout(str(error)) from None
            raise

    def _concluded(self, event: dict[str, Any] | None) -> RunOutcome:
        from airflow_provider_sixtyfour.runs.wait_end import DeadlinePassed, NotReported, left_running, read_event

        found = read_event(event)
        job_id = found.job_id or "unknown"
        match found.end:
            case DeadlinePassed(reason):
                raise SixtyfourTimeoutError(left_running(reason, job_id))
            case NotReported(reason, is_refused=True):
                raise _given_up(reason, self.job_id)
            case NotReported() as end:
                raise SixtyfourWaitError(left_running(end.sentence, job_id), job_id=job_id)
        found.end.raise_if_failed()
        return found.end


def _given_up(reason: str, job_id: str, status: int | None = None) -> SixtyfourWaitError:
    return SixtyfourWaitError(
        f"{reason} As far as known the run is still at Sixtyfour: a retry of this sensor polls it again.",
        job_id=job_id,
        status=status,
    )
