"""
One wait for one run, without a clock or a socket of its own.

A wait ends on a terminal status that the API states for that run, on a refusal that was repeated for as long as
`failure_policy` says, or at its deadline; an outage (no network, 5xx, 429, a proxy's page) only makes it poll later.
It logs what changed, not that it polled: progress when it moves, an outage when it begins and ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.api.models import LiveStatus
from airflow_provider_sixtyfour.api.retry import pause
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourTimeoutError,
    SixtyfourWaitError,
)
from airflow_provider_sixtyfour.polling import failure_policy
from airflow_provider_sixtyfour.polling.failure_policy import RETRY_IN_DOUBT, Next, Repetition, judge
from airflow_provider_sixtyfour.runs.deadline import shown_time
from airflow_provider_sixtyfour.runs.log import Log
from airflow_provider_sixtyfour.runs.status import (
    COMPLETED,
    RunOutcome,
    canonical,
    describe_progress,
    is_known,
    outcome_of,
)

# Seconds in which a run that was just started may be unknown to `live_status`: what accepts a run and what
# tells of it need not be the same machine.
NEW_RUN_PERIOD = 30.0


class RunWatch:
    """
    The state of a wait.

    :param job_id: the run.
    :param poll_interval: seconds between two status checks, while the API answers.
    :param deadline: when to give up, in seconds of the epoch; ``None`` for never.
    :param may_be_unknown: seconds from now in which a 404 means "not known yet".
    :param patience: seconds for which a refusal has to be repeated until the wait is given up; by default
        `failure_policy.REFUSAL_PATIENCE`.
    :param clock: returns the seconds of the epoch.
    :param on_progress: takes in each live status of a run, but for that of its completion.
    :param kind: what is waited for; called a run in all that is said here.
    """

    def __init__(
        self,
        job_id: str,
        *,
        poll_interval: float,
        deadline: float | None,
        log: Log,
        may_be_unknown: float = 0.0,
        patience: float | None = None,
        clock: Callable[[], float] = time.time,
        on_progress: Callable[[LiveStatus], None] | None = None,
        kind: JobKind = WORKFLOW_RUN,
    ) -> None:
        self.kind = kind
        self._job_id = job_id
        self.poll_interval = poll_interval
        self._deadline = deadline
        self._log = log
        self._clock = clock
        self._on_progress = on_progress
        self._unknown_until = clock() + may_be_unknown
        self._progress: str | None = None
        self._odd_statuses: set[str] = set()
        self._failures = 0
        self._is_doubt_logged = False
        self._patience = failure_policy.REFUSAL_PATIENCE if patience is None else patience
        self._repetition = Repetition(self._patience)
        self.is_known = False  # the API has answered for this run
        self.wants_connection = False  # what failed last may have been the connection's fault: read it again
        self.next_pause = poll_interval  # seconds

    def answered(self, live: LiveStatus) -> RunOutcome | None:
        """Take in an answer; return the outcome if the run has ended."""
        self.seen()
        self._unknown_until = 0.0
        self.is_known = True
        self.next_pause = self.poll_interval
        progress = describe_progress(live)
        if progress != self._progress:
            self._progress = progress
            self._log_progress()
        if not is_known(live.status) and canonical(live.status) not in self._odd_statuses:
            self._log.warning("Unrecognised status %r, treated as still running. Run %s.", live.status, self._job_id)
            self._odd_statuses.add(canonical(live.status))
        ended = outcome_of(self._job_id, live)
        if self._on_progress is not None and (ended is None or ended.status != COMPLETED):
            self._on_progress(live)
        return ended

    def listed(self, status: str) -> None:
        """Take in the status in the list of runs, logged until there is a live status."""
        if self._progress is None:
            self._progress = status
            self._log_progress()

    def _log_progress(self) -> None:
        progress = self._progress or ""
        self._log.info("%s. Run %s.", progress[:1].upper() + progress[1:], self._job_id)

    def warned(self, error: SixtyfourError) -> None:
        """Take in an outage; log it once, and once more when it turns into a doubt."""
        self._failures += 1
        is_doubt = not failure_policy.is_outage(error) and not self._is_new_run(error)
        if is_doubt and not self._is_doubt_logged:
            self._is_doubt_logged = True
            self._log.warning(
                "%s Polling continues for %.0f s, in case this is temporary; the connection is read again before each "
                "retry.",
                error,
                self._patience,
            )
        elif self._failures == 1:
            self._log.warning("%s Polling continues; the run is not affected.", error)

    def cleared(self) -> None:
        """Take in that it is over."""
        if self._failures:
            self._log.info("Sixtyfour answers again.")
        self._failures = 0
        self._is_doubt_logged = False

    def seen(self) -> None:
        """Take in that the API knows the run, and that the credential may see it."""
        self.cleared()
        self._repetition.end()
        self.wants_connection = False

    def reconnected(self) -> None:
        """Take in that the next status check uses another credential: what was refused has another chance."""
        self._repetition.end()

    def failed(self, error: SixtyfourError, *, repeated_for: float | None = None) -> None:
        """
        Take in a failed status check, and set `next_pause`.

        :param repeated_for: seconds for which this refusal has been repeated; by default what this wait has seen.
        :raises SixtyfourWaitError: if the wait is given up; see `failure_policy`.
        :raises SixtyfourError: the error itself, if the status check could never be sent.
        """
        seconds = self._repetition.add(error, self._clock()) if repeated_for is None else repeated_for
        is_new_run = self._is_new_run(error)
        then = judge(error, repeated_for=seconds, patience=self._patience, is_new_run=is_new_run)
        if then is Next.GIVE_UP:
            raise self.given_up(error, seconds) from None
        # An outage too: another credential or CA bundle may be what ends it.
        self.wants_connection = isinstance(error, SixtyfourRefusedError) and not is_new_run
        self.warned(error)
        if then is Next.DOUBT:
            self.next_pause = min(self.poll_interval, RETRY_IN_DOUBT)
            return
        # A run that is about to be known is asked for soon, at 1, 2, 4 … seconds.
        self.next_pause = pause(error, self._failures)
        if is_new_run:
            self.next_pause = min(self.next_pause, self._unknown_until - self._clock())
        else:
            self.next_pause = max(self.next_pause, self.poll_interval)

    def outlasted(self, error: SixtyfourRefusedError, repeated_for: float) -> SixtyfourError | None:
        """Return what ends the wait if a refusal that met another run has been repeated for this one's patience."""
        is_final = judge(error, repeated_for=repeated_for, patience=self._patience) is Next.GIVE_UP
        return self.given_up(error, repeated_for) if is_final else None

    def given_up(self, error: SixtyfourError, seconds: float) -> SixtyfourError:
        """Return the error that ends the wait."""
        if not isinstance(error, SixtyfourRefusedError):
            return error
        return SixtyfourWaitError(
            f"{error} Repeated for {seconds:.0f} s, so the run is no longer waited for.",
            job_id=self._job_id,
            status=error.status,
        )

    def _is_new_run(self, error: SixtyfourError) -> bool:
        """Return whether a failure means no more than that the run isn't known yet."""
        is_404 = isinstance(error, SixtyfourNotFoundError) and not error.about_credential
        return is_404 and self._clock() < self._unknown_until

    def pause(self) -> float:
        """
        Return the seconds until the next status check.

        :raises SixtyfourTimeoutError: if the deadline has passed, with the last progress.
        """
        left = self.seconds_left()
        if left is None:
            return self.next_pause
        if left <= 0:
            raise self.too_late()
        return min(self.next_pause, left)

    def seconds_left(self) -> float | None:
        """Return the seconds until the deadline, not less than none; ``None`` if there is no deadline."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def too_late(self) -> SixtyfourTimeoutError:
        """Return the error that the deadline has passed, with the last progress."""
        by = "" if self._deadline is None else f" ({shown_time(self._deadline)})"
        progress = self._progress or "no status was received"
        return SixtyfourTimeoutError(f"Not completed by the task's deadline{by}: {progress}.")
