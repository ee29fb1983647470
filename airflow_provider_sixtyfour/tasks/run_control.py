"""
A run in the hands of a task on a worker: waited for, concluded, or stopped when the task is.

Waiting here and waiting in the triggerer end in the same place, `RunControl._concluded`, so both give the same value,
the same errors and the same cancellation. The states are those of `runs.lifecycle`, the decisions those of
`runs.cancellation`; here are the signal handler, the thread and the calls.

Invariant: however a task ends before its run has, by a signal or by any exception, the run is cancelled, unless the
task's next try will reattach to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourTimeoutError, SixtyfourWaitError
from airflow_provider_sixtyfour.runs.cancel import Cancellation, cancel
from airflow_provider_sixtyfour.runs.cancellation import LEFT_BY_ERROR, Case, Decision, Event, TaskState, Unread, decide
from airflow_provider_sixtyfour.runs.lifecycle import KillEvent, KillState, RunEvent, TrackedRun
from airflow_provider_sixtyfour.runs.status import COMPLETED, RunOutcome
from airflow_provider_sixtyfour.runs.wait_end import DeadlinePassed, NotReported, WaitEnd, left_running, read_event
from airflow_provider_sixtyfour.tasks.errors import is_final
from airflow_provider_sixtyfour.tasks.kill_watch import KillWatch, sleep_in_steps
from airflow_provider_sixtyfour.tasks.submission import recover

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
    from airflow_provider_sixtyfour.runs.log import Log
    from airflow_provider_sixtyfour.tasks.progress_xcom import OnProgress
    from airflow_provider_sixtyfour.tasks.run_metrics import RunMetrics

_AFTER = {Decision.KEEP: KillEvent.KEEP, Decision.LEAVE: KillEvent.LEAVE, Decision.CANCEL: KillEvent.CANCEL}


class RunControl:
    """
    Holds what is known of the run, for whatever may have to stop it.

    :param metrics: counts how the run ends.
    :param cancels: whether to cancel the run when the task is killed or times out.
    :param after_failure: what a task does after a run that failed, a sentence for the message.
    :param kind: of the run, see `api.job_kinds`.
    """

    def __init__(
        self,
        hook: SixtyfourHook,
        *,
        metrics: RunMetrics,
        cancels: bool,
        log: Log,
        after_failure: str = "",
        kind: JobKind = WORKFLOW_RUN,
    ) -> None:
        self.kind = kind
        self.metrics = metrics
        self._after_failure = after_failure
        self._hook = hook
        self._log = log
        self._run = TrackedRun()
        self._kill = KillWatch()
        self._case = Case(Event.SIGNAL, cancel_on_kill=cancels)  # what is known of this try; each event completes it
        self._stopped: str | None = None
        self._spare: SixtyfourClient | None = None
        self._on_progress: OnProgress | None = None
        self._host: str | None = None  # where a trigger knows that the run was started
        self.outcome: RunOutcome | None = None  # how the run has ended, once that is known

    @contextmanager
    def running(
        self,
        *,
        has_next_try: bool,
        ends_at: float | None = None,
        read_state: Callable[[], TaskState] | None = None,
        event: Event = Event.EXCEPTION,
        is_late: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Iterator[None]:
        """
        Be ready to be killed for as long as the block runs, and don't let an exception leave a run behind.

        :param has_next_try: whether Airflow will try the task again if it fails, and that try shares this one's run.
        :param ends_at: the task's deadline, in seconds of the epoch; from then on no next try keeps the run.
        :param read_state: reads the state of the task instance after a kill; ``None`` where that can't be read.
        :param event: what an exception is that ends the block.
        :param is_late: whether the deadline has passed already.
        :param on_progress: takes in how far the run is, while this task waits for it.
        """
        self._run.on(RunEvent.BEGIN)
        self._on_progress = on_progress
        self._case = self._case._replace(has_next_try=has_next_try, is_late=is_late)
        with self._kill.watching(partial(self._killed, ends_at, read_state)):
            try:
                yield
            except BaseException as error:
                if self._kill.state is KillState.ALIVE:  # else that is decided already
                    self._left_by(error, event)
                raise

    def _left_by(self, error: BaseException, event: Event) -> None:
        """
        Stop the run of a task that ends by an exception, unless the next try reattaches to it.

        A deferral is no end. At a timeout of Airflow's own, which comes as an exception, Airflow calls `kill` next.
        """
        from airflow.providers.common.compat.sdk import AirflowTaskTimeout, TaskDeferred

        if isinstance(error, TaskDeferred | AirflowTaskTimeout) or not self._run.is_to_stop:
            return
        of = f" Run {self._run.known.job_id}." if self._run.known.job_id else ""
        decision = decide(self._case._replace(event=event, is_final=is_final(error)))
        self._log.warning("%s%s", LEFT_BY_ERROR[decision], of)
        if decision is Decision.CANCEL and self._spare is not None:
            self._stop(self._spare)

    @property
    def client(self) -> SixtyfourClient:
        """
        The task's client.

        Made with a spare for `kill`: the signal handler may interrupt this one in the middle of a request, and
        can't ask for a connection, since it may have interrupted that too.
        """
        if self._spare is None:
            self._spare = self._hook.spare_client()
        return self._hook.client

    def submitting(self, call: Call[Any]) -> None:
        """
        Note the request that is about to start a run.

        :raises SixtyfourError: if the task was killed: nothing more is started for it.
        """
        self.stop_if_killed()
        self._run.on(RunEvent.SUBMITTING, submission=call)

    def not_started(self) -> None:
        """Note that the API refused that request."""
        self._run.on(RunEvent.NOT_STARTED)

    def started(self, job_id: str) -> None:
        """
        Note the run.

        :raises SixtyfourError: if the task was killed: nothing more is done for it, least of all recorded.
        """
        self._run.on(RunEvent.STARTED, job_id=job_id)
        self.stop_if_killed()

    def over(self) -> None:
        """Note that the run that was noted needs no stopping."""
        self._run.on(RunEvent.OVER)

    def kill(self) -> None:
        """
        Stop the run, once, unless the task's next try will reattach to it. Also one whose id is not known yet.

        There is no time to wait for anything: Airflow kills the process 5 s after the signal that led here. A timeout
        of Airflow's own calls this after it has ended the block of `running`; nothing is interrupted then.
        """
        if not self._kill.on(KillEvent.KILLED):
            return
        is_running = self._kill.is_watching
        decision = decide(self._case if is_running else self._case._replace(event=Event.DEADLINE))
        if decision is Decision.LEAVE:
            self._kill.on(KillEvent.LEAVE)
        elif is_running and self._spare is not None:
            self._kill.wake()
        else:
            self._kill.on(KillEvent.CANCEL)
            if self._spare is not None:  # else nothing has been sent yet
                self._stop(self._spare)

    def _killed(self, ends_at: float | None, read_state: Callable[[], TaskState] | None) -> KillEvent:
        """Do with the run of a killed task what the table says, and return what that was."""
        is_late = self._case.is_late or (ends_at is not None and time.time() >= ends_at)
        case = self._case._replace(is_late=is_late)
        if decide(case) is Decision.ASK_AGAIN:
            case = case._replace(task_state=read_state() if read_state else Unread.UNAVAILABLE)
        decision = decide(case)
        if self._spare is not None and decision is Decision.CANCEL:
            self._stop(self._spare)
        return _AFTER[decision]

    def _stop(self, spare: SixtyfourClient) -> None:
        """Cancel the run; its key identifies that of a submission whose answer is still to come, or never will."""
        job_id, submission = self._run.on(RunEvent.STOP)
        if job_id is None and submission is not None:
            job_id = recover(spare, submission)
            if job_id is None:
                self._log.error("A run may have been started, but the API does not say which: it can't be cancelled.")
        if job_id is not None and job_id != self._stopped:
            self._stopped = job_id
            self._cancel(spare, job_id)

    def stop_if_killed(self) -> None:
        """
        End the task if it was killed.

        :raises SixtyfourError: if it was.
        """
        if self._kill.state is KillState.ALIVE:
            return
        self._kill.until_decided()
        is_kept = self._kill.state is KillState.KEPT
        if self._spare is not None and not is_kept and self._kill.state is not KillState.LEFT:
            self._stop(self._spare)
        outcome = " The next try reattaches to it." if is_kept and self._run.is_to_stop else ""
        raise SixtyfourError(f"The task was stopped while its run was in progress.{outcome}")

    def wait(self, job_id: str, *, poll_interval: float, ends_at: float | None) -> RunOutcome:
        """Wait on this worker until the run has ended, and conclude."""
        from airflow_provider_sixtyfour.polling.blocking import wait_for_end
        from airflow_provider_sixtyfour.polling.run_watch import NEW_RUN_PERIOD, RunWatch

        watch = RunWatch(
            job_id,
            poll_interval=poll_interval,
            deadline=ends_at,
            log=self._log,
            may_be_unknown=NEW_RUN_PERIOD,
            on_progress=self._on_progress,
            kind=self.kind,
        )
        end = wait_for_end(self.client, job_id, watch, sleep=self.sleep, reconnect=self._reconnected)
        return self._concluded(job_id, end)

    def _reconnected(self) -> SixtyfourClient | None:
        """Return the client of the connection as it is now, if that is another; the spare follows it."""
        client = self._hook.reconnected()
        if client is not None:
            self._spare = self._hook.spare_client()
        return client

    def conclude(self, event: Mapping[str, Any] | None) -> RunOutcome:
        """
        Conclude what a trigger found, as `wait` would have; see `SixtyfourRunTrigger` for the event.

        :returns: how the run has completed; all other ends are errors.
        """
        found = read_event(event)
        if found.job_id is not None:
            self._host = found.host
            self._run.on(RunEvent.STARTED, job_id=found.job_id)
        return self._concluded(found.job_id or "unknown", found.end)

    def known_run(self) -> tuple[str, str] | None:
        """Return where the task's last run was started, and its id, also once it has ended."""
        job_id = self._run.last_job_id
        return (self._host or self.client.base_url, job_id) if job_id else None

    def elsewhere(self) -> str | None:
        """Return a sentence if the connection points to another host than the run's; ``None`` if it does not."""
        if self._host in (None, self.client.base_url):
            return None
        return f"The run was started at {self._host}, and the connection now points to {self.client.base_url}."

    def _concluded(self, job_id: str, end: WaitEnd) -> RunOutcome:
        """
        Conclude a wait by how it ended: what is still in progress is kept, left or cancelled.

        :returns: how the run has completed, if it has.
        :raises SixtyfourError: of every other end, saying what became of the run.
        """
        match end:
            case DeadlinePassed(reason):
                return self._stop_waiting(job_id, reason, SixtyfourTimeoutError(reason), Event.DEADLINE)
            case NotReported(reason):
                error = SixtyfourWaitError(reason, job_id=job_id)
                return self._stop_waiting(job_id, end.sentence, error, Event.WAIT_GIVEN_UP)
        return self._end(end)

    def _end(self, ended: RunOutcome) -> RunOutcome:
        self._run.on(RunEvent.CONCLUDED)  # nothing is left to cancel
        self.outcome = ended
        self.metrics.failed(ended)  # one that completed is counted by the task, with what it has used
        ended.raise_if_failed(self._after_failure)
        return ended

    def _stop_waiting(self, job_id: str, reason: str, error: SixtyfourError, event: Event) -> RunOutcome:
        """
        End a wait before its run has ended; a run that turns out to have completed is taken, since it is paid for.

        :param error: what to raise; its message is replaced by one that says what became of the run.
        """
        decision = decide(self._case._replace(event=event))
        outcome = None
        if decision in (Decision.KEEP, Decision.LEAVE):
            message = left_running(reason, job_id, has_next_try=decision is Decision.KEEP)
        elif elsewhere := self.elsewhere():
            message = f"{reason} {elsewhere} It can't be cancelled from here and may keep running. Run {job_id}."
        elif (outcome := self._cancel(self.client, job_id)) is None:
            message = f"{reason} The run could not be cancelled and may still be in progress; see above."
        elif (ended := outcome.ended) is not None and ended.status == COMPLETED:
            self._log.warning("%s It completed just then, so its results stand. Run %s.", reason, job_id)
            return self._end(ended)
        else:
            message = f"{reason} {outcome.describe(self.client.base_url)}"
        self._run.on(RunEvent.CONCLUDED)
        error.args = (message,)
        raise error

    def _cancel(self, client: SixtyfourClient, job_id: str) -> Cancellation | None:
        """Cancel without hiding what led to it: a failure is logged, not raised."""
        try:
            outcome = cancel(client, job_id, kind=self.kind)
        except SixtyfourError as error:
            self._log.error("The run could not be cancelled and may keep running: %s Run %s.", error, job_id)
            return None
        self.outcome = outcome.ended
        self.metrics.stopped(outcome)
        self._log.info("%s", outcome.describe(client.base_url))
        return outcome

    def sleep(self, pause: float) -> None:
        """
        Sleep, but wake up within a second when the task is killed.

        :raises SixtyfourError: if it was.
        """
        sleep_in_steps(pause, check=self.stop_if_killed)
