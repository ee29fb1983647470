"""
A run in the hands of a task on a worker: waited for, concluded, or stopped when the task is.

Waiting here and waiting in the triggerer end in the same place, `conclude`, so both give the same value, the same
errors and the same cancellation. A run that the task's next try will go on with is not stopped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api.cancelling import cancel
from airflow_provider_sixtyfour.api.errors import (
    SixtyfourError,
    SixtyfourRefusedError,
    SixtyfourTimeoutError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.api.verdicts import COMPLETED, Verdict
from airflow_provider_sixtyfour.operators.submission import recover

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
    from airflow_provider_sixtyfour.monitor.log import Log


class RunControl:
    """
    Holds what `kill` needs: it runs in a signal handler, while the task is still in the middle of something.

    What is in the middle may hold any lock, that of the log included. So the handler only wakes a thread, which asks
    Airflow, cancels and logs; and the task doesn't end before that thread is done.

    :param cancels: whether to cancel the run when the task is killed or times out.
    """

    def __init__(self, hook: SixtyfourHook, *, cancels: bool, log: Log) -> None:
        self._hook = hook
        self._cancels = cancels
        self._log = log
        self._job_id: str | None = None
        self._submission: Call[Any] | None = None
        self._is_killed = False
        self._is_running = False
        self._kills: SimpleQueue[bool] = SimpleQueue()  # its `put` is safe in a signal handler
        self._is_asking = False
        self._is_judged = threading.Event()
        self._is_kept = False
        self._stopped: str | None = None
        self._spare: SixtyfourClient | None = None

    @contextmanager
    def running(
        self, *, ends_at: float | None = None, is_tried_again: Callable[[], bool] | None = None
    ) -> Iterator[None]:
        """
        Be ready to be killed for as long as the block runs.

        :param ends_at: the task's deadline, in seconds of the epoch; from then on no next try keeps the run.
        :param is_tried_again: asks Airflow whether it will try the task again, and so go on with the run; ``None``
            if it won't.
        """
        # There before it is needed: a signal handler had better not start one.
        threading.Thread(target=self._judge, args=[ends_at, is_tried_again], name="sixtyfour-kill", daemon=True).start()
        self._is_running = True
        try:
            yield
        finally:
            self._is_running = False
            self._kills.put(False)
            if self._is_asking:
                self._is_judged.wait()

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
        self._submission = call

    def started(self, job_id: str) -> None:
        """Note the run."""
        self._job_id, self._submission = job_id, None

    def kill(self) -> None:
        """
        Stop the run, once, unless the task's next try will go on with it. Also one whose id is not known yet.

        There is no time to wait for anything: Airflow kills the process 5 s after the signal that led here. A timeout
        of Airflow's own calls this after it has ended the block of `running`; nothing is interrupted then.
        """
        self._is_killed = True
        if not self._cancels or self._spare is None:
            return
        if self._is_running:
            self._is_asking = True
            self._kills.put(True)
        else:
            self._stop(self._spare)

    def _judge(self, ends_at: float | None, is_tried_again: Callable[[], bool] | None) -> None:
        """Wait for a kill, and decide between the run's end and its keeping."""
        if not self._kills.get():
            return
        try:
            is_late = ends_at is not None and time.time() >= ends_at
            self._is_kept = is_tried_again is not None and not is_late and is_tried_again()
            if self._spare is not None and not self._is_kept:
                self._stop(self._spare)
        finally:
            self._is_judged.set()

    def _stop(self, spare: SixtyfourClient) -> None:
        """
        Cancel the run.

        Its key tells which run a submission has started whose answer is still to come, or never will (a timeout).
        """
        job_id, submission = self._job_id, self._submission
        self._job_id = self._submission = None
        if job_id is None and submission is not None:
            job_id = recover(spare, submission)
        if job_id is not None and job_id != self._stopped:
            self._stopped = job_id
            self._cancel(spare, job_id)

    def stop_if_killed(self) -> None:
        """
        End the task if it was killed.

        :raises SixtyfourError: if it was.
        """
        if not self._is_killed:
            return
        if self._is_asking:
            self._is_judged.wait()
        if self._cancels and self._spare is not None and not self._is_kept:
            self._stop(self._spare)
        has_run = self._job_id is not None or self._submission is not None
        outcome = " Its next try goes on with that run." if self._is_kept and has_run else ""
        raise SixtyfourError(f"The task was stopped before its run had ended.{outcome}")

    def wait(self, job_id: str, *, poll_interval: float, ends_at: float | None) -> Verdict:
        """Wait on this worker until the run has ended, and conclude."""
        from airflow_provider_sixtyfour.monitor.waiting import wait
        from airflow_provider_sixtyfour.monitor.watch import NEWBORN, RunWatch

        watch = RunWatch(job_id, poll_interval=poll_interval, deadline=ends_at, log=self._log, may_be_unknown=NEWBORN)
        try:
            ended = wait(self.client, job_id, watch, sleep=self._sleep)
        except SixtyfourTimeoutError as error:
            return self._give_up(job_id, str(error))
        return self._end(ended)

    def conclude(self, event: Mapping[str, Any] | None) -> Verdict:
        """
        Conclude what a trigger found, as `wait` would have; see `SixtyfourRunTrigger` for the event.

        :returns: how the run has completed; all other ends are errors.
        """
        match event:
            case {"ended": {"job_id": str(), "status": str()} as ended}:
                return self._end(Verdict.from_event(ended))
            case {"deadline": str(reason), "job_id": str(job_id)}:
                self._job_id = job_id
                return self._give_up(job_id, reason)
            case {"refused": str(reason)}:
                raise SixtyfourRefusedError(reason)
            case {"broken": str(reason), "job_id": str(job_id)}:
                raise SixtyfourUnavailableError(
                    f"Waiting for run {job_id} broke off: {reason}. The run goes on; a retry of this task resumes it."
                )
        raise SixtyfourUnavailableError(f"The trigger's event can't be read: {event!r:.200}. A retry resumes the run.")

    def _end(self, ended: Verdict) -> Verdict:
        self._job_id = None  # nothing is left to cancel
        ended.raise_if_failed()
        self._log.info("Run %s has completed.", ended.job_id)
        return ended

    def _give_up(self, job_id: str, reason: str) -> Verdict:
        """Cancel at the deadline; a run that turns out to have completed is taken, since it is paid for."""
        if not self._cancels:
            raise SixtyfourTimeoutError(f"{reason} It goes on: this task does not cancel it.")
        ended = self._cancel(self.client, job_id)
        self._job_id = None
        if ended is not None and ended.status == COMPLETED:
            self._log.warning("%s It completed just then, so its results stand.", reason)
            return self._end(ended)
        outcome = f"The run is now {ended.status}." if ended else "See above whether the run was cancelled."
        raise SixtyfourTimeoutError(f"{reason} {outcome}")

    def _cancel(self, client: SixtyfourClient, job_id: str) -> Verdict | None:
        """Cancel without hiding what led to it: a failure is logged, not raised."""
        try:
            ended = cancel(client, job_id)
        except SixtyfourError as error:
            self._log.error("Run %s could not be cancelled and may go on: %s", job_id, error)
            return None
        self._log.info("Cancelled run %s (%s).", job_id, ended.status if ended else "winding down")
        return ended

    def _sleep(self, pause: float) -> None:
        """Sleep, but wake up within a second when the task is killed."""
        until = time.monotonic() + pause
        while (left := until - time.monotonic()) > 0:
            self.stop_if_killed()
            time.sleep(min(1.0, left))
        self.stop_if_killed()
