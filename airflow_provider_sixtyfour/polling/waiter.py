"""One who waits in a triggerer: between the poller, which knows runs, and the watch of one trigger."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourRefusedError
from airflow_provider_sixtyfour.runs.status import RunOutcome

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.models import LiveStatus
    from airflow_provider_sixtyfour.polling.run_watch import RunWatch


class WatchWaiter:
    """One wait: the watch of a trigger, called in the trigger's own context, which is where its log leads."""

    def __init__(self, watch: RunWatch) -> None:
        loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[RunOutcome] = loop.create_future()
        self.news = asyncio.Event()  # there is an outcome, or a doubt about the connection
        self.is_over = False  # the deadline has passed; the next answer is the last
        self._watch = watch
        self._since = loop.time()
        self._context = contextvars.copy_context()

    def answered(self, live: LiveStatus) -> RunOutcome | None:
        """Take in a live status; the first one after the deadline is the last."""
        ended = self._context.run(self._watch.answered, live)
        if ended is None and self.is_over:
            raise self._watch.too_late()
        return ended

    def failed(self, error: SixtyfourError, repeated_for: float | None) -> float:
        """Take in that there was no answer on this run."""
        if repeated_for is not None:
            repeated_for = self._own(repeated_for)
        self._context.run(lambda: self._watch.failed(error, repeated_for=repeated_for))
        if self.is_over:
            raise self._watch.too_late()
        if self._watch.wants_connection:
            self.doubted()
        return self._watch.next_pause

    def outlasted(self, error: SixtyfourRefusedError, repeated_for: float) -> SixtyfourError | None:
        """Return what ends this wait, if the credential was refused for all of its patience."""
        return self._watch.outlasted(error, self._own(repeated_for))

    def doubted(self) -> None:
        """Have the connection read again."""
        self.news.set()

    def seen(self) -> None:
        """Take in that a list has the run."""
        self._context.run(self._watch.seen)

    def listed(self, status: str) -> None:
        """Take in the run's status in a list."""
        self._context.run(self._watch.listed, status)

    def warned(self, error: SixtyfourError) -> None:
        """Take in that the API answers nobody."""
        self._context.run(self._watch.warned, error)

    def cleared(self) -> None:
        """Take in that it answers again."""
        self._context.run(self._watch.cleared)

    def end(self, outcome: RunOutcome | BaseException) -> None:
        """End the wait."""
        if self.outcome.done():
            return
        if isinstance(outcome, BaseException):
            self.outcome.set_exception(outcome)
            self.outcome.exception()  # seen: whoever waited may be gone
            self.news.set()
            return
        try:
            self._context.run(self._watch.cleared)
        finally:
            self.outcome.set_result(outcome)
            self.news.set()

    def _own(self, repeated_for: float) -> float:
        """Return for how much of that time this one has waited: whoever comes later has patience of its own."""
        return min(repeated_for, asyncio.get_running_loop().time() - self._since)
