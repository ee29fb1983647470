"""
Which runs are waited for, what is known of each, and what to ask next; no clock, no socket, no event loop.

A wait ends on a terminal status that the API states for that very run, in its live status or in its own row of a list;
being absent from a list only makes a run one to be asked for soon. A run that failed is told with the details of its
live status. Lists spare questions: one of them tells of 500 runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from airflow_provider_sixtyfour.api.errors import (
    SixtyfourError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.api.models import ListedRun, LiveStatus
from airflow_provider_sixtyfour.api.verdicts import (
    COMPLETED,
    FAILED,
    Verdict,
    canonical,
    is_told,
    verdict_of_row,
    with_reason,
)
from airflow_provider_sixtyfour.monitor.lists import MANY, Lists
from airflow_provider_sixtyfour.monitor.pace import jittered, until_next_question, until_progress
from airflow_provider_sixtyfour.monitor.questions import HowIs, Question, WhichAre
from airflow_provider_sixtyfour.monitor.run import NEVER, Run, Waiter
from airflow_provider_sixtyfour.monitor.weather import DOUBT, REFUSALS, Weather

# Of the budget, what may go to runs that no list tells of, and to the progress of those of which one does. The rest is
# kept for the moment when many end at once.
_SHARE = {1: 3 / 4, 2: 1 / 2}
STORY_LIMIT = 60.0  # seconds in which the details of a failure are waited for; then it is told without them


class Board:
    """The runs that are waited for with one credential."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.weather = Weather()
        self.needs_new_client = False  # the credential was refused: the connection may have another by now
        self.deliveries: deque[Callable[[], object]] = deque()  # what waiters are to be told
        self._lists = Lists()
        self._asked_at: dict[Question, float] = {}
        self._calm_at = 0.0
        self._all_are_warned = False

    # Who waits.

    def add(self, job_id: str, waiter: Waiter, poll_interval: float, now: float) -> None:
        """Begin to wait for a run."""
        is_new, are_many = job_id not in self.runs, len(self.runs) >= MANY
        run = self.runs.setdefault(job_id, Run(job_id, now))
        run.waiters[waiter] = poll_interval
        run.poll_interval = min(run.waiters.values())
        self._lists.keep_up_with(poll_interval)
        # One that has just been started has nothing to tell yet; the next list tells of one that is waited for again.
        if is_new and are_many:
            run.due = now + jittered(poll_interval)
            run.progress_due = now + until_progress(poll_interval)
        else:
            run.due = min(run.due, now)

    def remove(self, job_id: str, waiter: Waiter) -> None:
        """Stop waiting."""
        run = self.runs.get(job_id)
        if run is None:
            return
        run.waiters.pop(waiter, None)
        if not run.waiters:
            del self.runs[job_id]
            return
        run.poll_interval = min(run.waiters.values())

    def hurry(self, job_id: str, now: float) -> None:
        """Ask for a run before others."""
        if run := self.runs.get(job_id):
            run.is_suspect, run.due = True, now

    # What to ask.

    def next(self, now: float, spacing: float) -> Question | float:
        """
        Return the next question, or the time from which there may be one.

        :param spacing: seconds between two requests. Only what is suspected has all of them; see `_SHARE`.
        """
        if not self.runs:
            return NEVER
        if self.weather.is_bad and (self._asked_at or now < self.weather.ask_at):
            return NEVER if self._asked_at else self.weather.ask_at
        chosen: Run | None = None
        chosen_rank, chosen_due, soonest = 9, NEVER, NEVER
        # Of few runs no lists are read, so that none can be relied on.
        told_from = now - self._lists.fresh_for if len(self.runs) >= MANY else NEVER
        is_calm = now >= self._calm_at  # whether others than suspects may be asked
        for run in self.runs.values():  # thousands, some times a second: no call in here
            if run.is_asked or (run.verdict is not None and not run.is_suspect):
                continue
            due = run.due
            if run.is_suspect:
                rank = 0
            elif not is_calm:
                continue
            elif run.going_at < told_from:
                rank = 1
            else:
                rank, due = 2, run.progress_due
            if due > now:
                if due < soonest:
                    soonest = due
            elif rank < chosen_rank or (rank == chosen_rank and due < chosen_due):
                chosen, chosen_rank, chosen_due = run, rank, due
        if not is_calm and self._calm_at < soonest:
            soonest = self._calm_at
        # First of all: one list may tell of hundreds that are suspected.
        if (listing := self._lists.next(self.runs, now)) is not None:
            if isinstance(listing, WhichAre):
                self._asked_at[listing] = now
                return listing
            soonest = min(soonest, listing)
        if chosen is None:
            return soonest
        if chosen_rank in _SHARE:
            self._calm_at = now + spacing / _SHARE[chosen_rank]
        chosen.is_asked = True
        question = HowIs(chosen.job_id)
        self._asked_at[question] = now
        return question

    # What came of it.

    def answered(self, question: Question, answer: Any, now: float) -> None:
        """Take in an answer."""
        asked_at = self._asked_at.pop(question, now)
        self.weather.answered()
        if self._all_are_warned:
            self._all_are_warned = False
            self.deliveries += [each.cleared for run in self.runs.values() for each in run.waiters]
        if isinstance(question, WhichAre):
            self._rows(question, answer, asked_at, now)
        elif question.job_id in self.runs:
            self._live(self.runs[question.job_id], answer, now)

    def give_up(self, question: Question, error: BaseException) -> None:
        """Take in that an answer led to a bug."""
        self._asked_at.pop(question, None)
        if isinstance(question, WhichAre):
            self._lists.put_off()
        elif question.job_id in self.runs:
            self._finish(self.runs[question.job_id], error)

    def failed(self, question: Question, error: SixtyfourError, now: float) -> None:
        """Take in that no answer came."""
        asked_at = self._asked_at.pop(question, now)
        run = self.runs.get(question.job_id) if isinstance(question, HowIs) else None
        if run is not None:
            run.is_asked = False
        if isinstance(error, SixtyfourRefusedError) and error.status == 401:
            # A list may be more than the credential may see; a run that it has started is not.
            if isinstance(question, WhichAre):
                self._lists.failed(question, error, now)
            else:
                self.needs_new_client = True
            if self.weather.refused(asked_at, now):
                self.end_all(error)
            return
        if isinstance(error, SixtyfourUnavailableError):
            self.weather.failed(error, now)
            if self.weather.lasts(now) and not self._all_are_warned:
                self._all_are_warned = True
                self.deliveries += [_warning(each, error) for one in self.runs.values() for each in one.waiters]
        if run is not None:
            self._no_live(run, error, now)
        elif isinstance(question, WhichAre):
            self._lists.failed(question, error, now)
            is_final = not isinstance(error, SixtyfourUnavailableError)
            self._tell_without_story(question if is_final else None, now)

    def _live(self, run: Run, live: LiveStatus, now: float) -> None:
        run.is_asked = run.is_suspect = False
        run.refusals = 0
        run.workflow_id = live.workflow_id or run.workflow_id
        run.trusted_until = now + run.poll_interval * 2 ** min(run.suspicions, 6)
        run.due = now + until_next_question(run.poll_interval, waited=now - run.since, percent=live.percent)
        run.progress_due = now + until_progress(run.poll_interval)
        ended: Verdict | None = None
        for waiter in list(run.waiters):
            try:
                ended = waiter.answered(live) or ended
            except Exception as error:
                self._end(run, waiter, error)
        if ended is not None:
            self._ended(run, ended, now)
        elif run.row is not None:  # its row says that it failed: once more for the details, then without
            run.is_suspect, run.due = True, now + run.poll_interval
            if now > run.ended_at + STORY_LIMIT:
                self._finish(run, verdict_of_row(run.row))

    def _no_live(self, run: Run, error: SixtyfourError, now: float) -> None:
        if run.row is not None and now > run.ended_at + STORY_LIMIT:
            self._finish(run, verdict_of_row(run.row))
            return
        if isinstance(error, SixtyfourRefusedError) and error.status == 403:
            run.refusals += 1
            if run.refusals < REFUSALS:
                run.due = now + DOUBT
                return
        pause = run.poll_interval
        for waiter in list(run.waiters):
            try:
                pause = waiter.failed(error)
            except Exception as final:
                self._end(run, waiter, final)
        run.due = now + pause

    def _rows(self, question: WhichAre, rows: Iterable[ListedRun], asked_at: float, now: float) -> None:
        told, is_whole = self._lists.answered(question, rows)
        for job_id, row in told.items():
            run = self.runs.get(job_id)
            if run is None or run.verdict is not None:
                continue
            run.workflow_id = row.workflow_id or run.workflow_id
            status = canonical(row.status)
            if status == COMPLETED:
                self._finish(run, verdict_of_row(row))
            elif status not in FAILED:
                run.going_at, run.suspicions = now, 0
                run.is_suspect = run.is_suspect and run.row is not None
            elif run.row is None:
                run.row, run.ended_at = row, now
                run.is_suspect, run.due = True, now
        if is_whole:
            self._suspect(question, asked_at, now)
        self._tell_stories(told)
        self._tell_without_story(question, now)

    def _suspect(self, question: WhichAre, asked_at: float, now: float) -> None:
        """Ask for runs that a whole list doesn't have: they ended, or the list lags. Ever more rarely, for that."""
        for run in self._lists.untold(self.runs.values(), question):
            if run.since < asked_at and now >= run.trusted_until and not run.is_suspect and run.verdict is None:
                run.is_suspect, run.due = True, now
                run.suspicions += 1

    # How it ends.

    def _ended(self, run: Run, ended: Verdict, now: float) -> None:
        """End the wait, or ask for the reason first where neither the run's blocks nor its row gave one."""
        is_wanting = not is_told(ended) and run.row is None
        if is_wanting and self._lists.want_story(WhichAre(workflow_id=run.workflow_id), now):
            run.verdict, run.ended_at = ended, now
            return
        self._finish(run, with_reason(ended, run.row))

    def _tell_stories(self, told: dict[str, ListedRun]) -> None:
        for run in [run for run in self.runs.values() if run.verdict is not None and run.job_id in told]:
            if run.verdict is not None and canonical(told[run.job_id].status) in FAILED:
                self._finish(run, with_reason(run.verdict, told[run.job_id]))

    def _tell_without_story(self, question: WhichAre | None, now: float) -> None:
        """End the waits for a reason that can't be had; the verdict stands."""
        for run in [run for run in self.runs.values() if run.verdict is not None]:
            is_answer = question == WhichAre(workflow_id=run.workflow_id)
            if run.verdict is not None and (is_answer or now > run.ended_at + STORY_LIMIT):
                self._finish(run, run.verdict)

    def _finish(self, run: Run, outcome: Verdict | BaseException) -> None:
        for waiter in list(run.waiters):
            self._end(run, waiter, outcome)

    def end_all(self, error: BaseException) -> None:
        """End all waits."""
        for run in list(self.runs.values()):
            self._finish(run, error)

    def _end(self, run: Run, waiter: Waiter, outcome: Verdict | BaseException) -> None:
        self.remove(run.job_id, waiter)
        self.deliveries.append(lambda: waiter.end(outcome))


def _warning(waiter: Waiter, error: SixtyfourError) -> Callable[[], None]:
    return lambda: waiter.warned(error)
