"""
One wait for one run, without a clock or a socket of its own.

A wait ends on a terminal status that the API states for that run, on a refusal that no patience mends, or at
its deadline; bad weather (no network, 5xx, 429, nonsense) only makes it ask later. It logs what changed, not
that it asked: progress when it moves, weather when it turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_provider_sixtyfour.api.errors import (
    SixtyfourError,
    SixtyfourNotFoundError,
    SixtyfourTimeoutError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.api.models import LiveStatus
from airflow_provider_sixtyfour.api.retry import pause
from airflow_provider_sixtyfour.api.verdicts import Verdict, canonical, describe_progress, is_known, verdict
from airflow_provider_sixtyfour.monitor.log import Log

# Seconds in which a run that was just started may be unknown to `live_status`: what accepts a run and what
# tells of it need not be the same machine.
NEWBORN = 30.0


class RunWatch:
    """
    The state of a wait.

    :param job_id: the run.
    :param poll_interval: seconds between two questions in good weather.
    :param deadline: when to give up, in seconds of the epoch; ``None`` for never.
    :param may_be_unknown: seconds from now in which a 404 means "not known yet".
    :param clock: tells the seconds of the epoch.
    """

    def __init__(
        self,
        job_id: str,
        *,
        poll_interval: float,
        deadline: float | None,
        log: Log,
        may_be_unknown: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._job_id = job_id
        self.poll_interval = poll_interval
        self._deadline = deadline
        self._log = log
        self._clock = clock
        self._unknown_until = clock() + may_be_unknown
        self._progress = "no answer on it yet"
        self._odd_statuses: set[str] = set()
        self._failures = 0
        self._is_end_told = False
        self.next_pause = poll_interval  # seconds

    def answered(self, live: LiveStatus) -> Verdict | None:
        """Take in an answer; return the verdict if the run has ended."""
        self.cleared()
        self._unknown_until = 0.0
        self.next_pause = self.poll_interval
        progress = describe_progress(live)
        if progress != self._progress:
            self._log.info("Run %s: %s", self._job_id, progress)
            self._progress = progress
        if not is_known(live.status) and canonical(live.status) not in self._odd_statuses:
            self._log.warning("Run %s has the status %r, unknown here: taken as going.", self._job_id, live.status)
            self._odd_statuses.add(canonical(live.status))
        ended = verdict(self._job_id, live)
        self._is_end_told = ended is not None
        return ended

    def ended(self, outcome: Verdict) -> None:
        """Take in the end, which something else than an answer on this run may have told."""
        self.cleared()
        if not self._is_end_told:
            self._log.info("Run %s: %s", self._job_id, outcome.status)

    def warned(self, error: SixtyfourError) -> None:
        """Take in bad weather; say so once."""
        self._failures += 1
        if self._failures == 1:
            self._log.warning("%s Waiting on; the run is not affected.", error)

    def cleared(self) -> None:
        """Take in that it is over."""
        if self._failures:
            self._log.info("Sixtyfour answers again.")
        self._failures = 0

    def failed(self, error: SixtyfourError) -> None:
        """
        Take in a failure to get an answer; wait on if patience can mend it.

        :raises SixtyfourError: the error itself, if it can't.
        """
        newborn = isinstance(error, SixtyfourNotFoundError) and self._clock() < self._unknown_until
        if not newborn and not isinstance(error, SixtyfourUnavailableError):
            raise error
        self.warned(error)
        # A run that is about to be known is asked for soon, at 1, 2, 4 … seconds.
        self.next_pause = pause(error, self._failures)
        if newborn:
            self.next_pause = min(self.next_pause, self._unknown_until - self._clock())
        else:
            self.next_pause = max(self.next_pause, self.poll_interval)

    def pause(self) -> float:
        """
        Return the seconds until the next question.

        :raises SixtyfourTimeoutError: if the deadline has passed, telling what was going on.
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
        """Return the error that the deadline has passed, telling what was going on."""
        return SixtyfourTimeoutError(f"Run {self._job_id} had not ended by the task's deadline: {self._progress}.")
