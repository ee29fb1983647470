"""
The poll schedule: which runs are waited for, and which query is next; no clock, no socket, no event loop.

A wait ends on a terminal status that the API states for that very run, in its live status or in its own row of a list;
being absent from a list only makes a run one to be polled soon. A run that failed is reported with the details of its
live status. Lists save requests: one of them covers 500 runs. What a failure means is for `failure_policy` to say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.api.models import ListedRun, LiveStatus
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourRefusedError
from airflow_provider_sixtyfour.polling.availability import Availability
from airflow_provider_sixtyfour.polling.failure_policy import REFUSAL_PATIENCE, Repetition, is_outage
from airflow_provider_sixtyfour.polling.intervals import jittered, until_next_poll, until_progress
from airflow_provider_sixtyfour.polling.queries import ListQuery, Query, StatusQuery
from airflow_provider_sixtyfour.polling.run_lists import MANY, RunLists
from airflow_provider_sixtyfour.polling.run_state import NEVER, RunState, Waiter
from airflow_provider_sixtyfour.runs.status import (
    COMPLETED,
    FAILED,
    RunOutcome,
    canonical,
    has_reason,
    outcome_of_row,
    with_reason,
)

# Of the rate limit, what may go to runs that no list has, and to the progress of others. The rest is for many ends.
_SHARE = {1: 3 / 4, 2: 1 / 2}
DETAILS_LIMIT = 60.0  # seconds in which the details of a failure are waited for; then it is reported without them


class PollSchedule:
    """The runs that are waited for with one credential."""

    def __init__(self) -> None:
        self.runs: dict[str, RunState] = {}
        self.availability = Availability()
        self.deliveries: deque[Callable[[], object]] = deque()  # notifications of waiters
        self._lists = RunLists()
        self._asked_at: dict[Query, float] = {}
        self._late: set[Query] = set()  # of these, what takes so long that it counts no more
        self._slow: set[Query] = set()  # of these, what took so long the last time
        self._credential = Repetition(REFUSAL_PATIENCE)  # of its refusal, by whichever run it was met
        self._calm_at = 0.0
        self._all_are_warned = False

    # Who waits.

    def add(self, job_id: str, waiter: Waiter, poll_interval: float, now: float, kind: JobKind = WORKFLOW_RUN) -> None:
        """Begin to wait for a run."""
        is_new, are_many = job_id not in self.runs, len(self.runs) >= MANY
        run = self.runs.setdefault(job_id, RunState(job_id, now, kind))
        run.waiters[waiter] = poll_interval
        run.poll_interval = min(run.waiters.values())
        self._lists.keep_up_with(poll_interval)
        # One that was just started has no news yet; the next list has one that is waited for again.
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
        """Poll a run before others."""
        if run := self.runs.get(job_id):
            run.is_suspect, run.due = True, now

    def late(self, query: Query) -> None:
        """Take in that an answer takes long: nobody else waits for it."""
        self._slow.discard(query)
        if query in self._asked_at:
            self._late.add(query)
        if isinstance(query, ListQuery):
            self._lists.late()
        elif query.job_id in self.runs:
            self.runs[query.job_id].is_slow = True

    # What to ask.

    def next(self, now: float, spacing: float) -> Query | float:
        """
        Return the next query, or the time from which there may be one.

        :param spacing: seconds between two requests. Only what is suspected has all of them; see `_SHARE`.
        """
        if not self.runs:
            return NEVER
        if self.availability.is_open:
            if len(self._asked_at) > len(self._late):
                return NEVER
            if now < self.availability.ask_at:
                return self.availability.ask_at
        chosen: RunState | None = None
        chosen_rank, chosen_due, soonest = 9, NEVER, NEVER
        # Of few runs no lists are read, so that none can be relied on.
        fresh_for = self._lists.fresh_for if len(self.runs) >= MANY else 0.0
        is_calm = now >= self._calm_at  # whether others than suspects may be asked
        for run in self.runs.values():  # thousands, some times a second: no call in here
            if run.is_asked or (run.outcome is not None and not run.is_suspect) or (run.is_slow and self._slow):
                continue
            due = run.due
            if run.is_suspect:
                rank = 0
            elif not is_calm:
                continue
            elif (stale_at := run.going_at + fresh_for) <= now:
                rank = 1
            else:
                rank, due = 2, run.progress_due
                if now < due and stale_at < due:
                    due = run.due if run.due > stale_at else stale_at  # its own turn counts then
            if due > now:
                if due < soonest:
                    soonest = due
            elif rank < chosen_rank or (rank == chosen_rank and due < chosen_due):
                chosen, chosen_rank, chosen_due = run, rank, due
        if not is_calm and self._calm_at < soonest:
            soonest = self._calm_at
        if (listing := self._lists.next(self.runs, now)) is not None:
            if isinstance(listing, ListQuery):
                self._asked_at[listing] = now
                return listing
            soonest = min(soonest, listing)
        if chosen is None:
            return soonest
        if chosen_rank in _SHARE:
            self._calm_at = now + spacing / _SHARE[chosen_rank]
        chosen.is_asked = True
        query = StatusQuery(chosen.job_id, chosen.kind)
        self._asked_at[query] = now
        if chosen.is_slow:  # one at a time of those: many would keep all others waiting
            self._slow.add(query)
        return query

    # What came of it.

    def answered(self, query: Query, answer: Any, now: float) -> None:
        """Take in an answer."""
        asked_at = self._forget(query, now)
        self.availability.answered()
        self._credential.end()
        if self._all_are_warned:
            self._all_are_warned = False
            self.deliveries += [each.cleared for run in self.runs.values() for each in run.waiters]
        if isinstance(query, ListQuery):
            self._rows(query, answer, asked_at, now)
        elif query.job_id in self.runs:
            self._live(self.runs[query.job_id], answer, now)

    def give_up(self, query: Query, error: BaseException, now: float) -> None:
        """Take in that an answer led to a bug."""
        self._forget(query, now)
        if isinstance(query, ListQuery):
            self._lists.put_off(now)
        elif query.job_id in self.runs:
            self._finish(self.runs[query.job_id], error)

    def failed(self, query: Query, error: SixtyfourError, now: float) -> None:
        """Take in that no answer came."""
        self._forget(query, now)
        is_refusal = isinstance(error, SixtyfourRefusedError) and not is_outage(error)
        if isinstance(query, ListQuery):
            # A list may be more than the credential may see; a run that it has started is not.
            if not is_refusal:
                self.availability.failed(query, now)
            is_final = self._lists.failed(query, error, now)
            for run in self.runs.values():
                if is_final and run.details == query:  # a workflow's own list is replaced by that of all
                    run.details = self._lists.want_details(run.workflow_id, now)
            self._finish_without_details(None, now)
        else:
            repeated_for = None
            if is_refusal and isinstance(error, SixtyfourRefusedError) and error.about_credential:
                self.availability.failed(query, now)
                repeated_for = self._credential_refused(error, now)
            elif is_refusal:
                self.availability.answered()
            else:
                self.availability.failed(query, now)
                self._credential.add(error, now)
            if (asked := self.runs.get(query.job_id)) is not None:
                asked.is_doubted = is_refusal
                self._no_live(asked, error, repeated_for, now)
        if self.availability.is_prolonged(now) and not self._all_are_warned:
            self._all_are_warned = True
            self.deliveries += [partial(each.warned, error) for one in self.runs.values() for each in one.waiters]

    def _forget(self, query: Query, now: float) -> float:
        """Take a query off what is under way; return when it was sent."""
        self._late.discard(query)
        self._slow.discard(query)
        if isinstance(query, StatusQuery) and query.job_id in self.runs:
            self.runs[query.job_id].is_asked = False
        return self._asked_at.pop(query, now)

    def _credential_refused(self, error: SixtyfourRefusedError, now: float) -> float:
        """Let all reread their connections, and end the waits whose patience it has outlasted; return for how long."""
        seconds = self._credential.add(error, now)
        for run in list(self.runs.values()):
            for waiter in list(run.waiters):
                if (final := waiter.outlasted(error, seconds)) is not None:
                    self._end(run, waiter, final)
                else:
                    self.deliveries.append(waiter.doubted)
        return seconds

    def _live(self, run: RunState, live: LiveStatus, now: float) -> None:
        run.is_suspect = run.is_doubted = run.is_slow = False
        run.not_before = -NEVER
        run.has_status = True
        run.workflow_id = live.workflow_id or run.workflow_id
        run.trusted_until = now + run.poll_interval * 2 ** min(run.suspicions, 6)
        run.due = now + until_next_poll(run.poll_interval, waited=now - run.since, percent=live.percent)
        run.progress_due = now + until_progress(run.poll_interval)
        ended: RunOutcome | None = None
        for waiter in list(run.waiters):
            try:
                ended = waiter.answered(live) or ended
            except Exception as error:
                self._end(run, waiter, error)
        if ended is not None:
            self._ended(run, ended, now)
        elif run.row is not None:  # its row says that it failed: once more for the details, then without
            run.is_suspect, run.due = True, now + run.poll_interval
            if now > run.ended_at + DETAILS_LIMIT:
                self._finish(run, outcome_of_row(run.row))

    def _no_live(self, run: RunState, error: SixtyfourError, repeated_for: float | None, now: float) -> None:
        if run.row is not None and now > run.ended_at + DETAILS_LIMIT:
            self._finish(run, outcome_of_row(run.row))
            return
        pauses = [run.poll_interval]
        for waiter in list(run.waiters):
            try:
                pauses.append(waiter.failed(error, repeated_for))
            except Exception as final:
                self._end(run, waiter, final)
        run.due = run.not_before = now + max(pauses[1:] or pauses)
        run.progress_due = max(run.progress_due, run.due)

    def _rows(self, query: ListQuery, rows: Iterable[ListedRun], asked_at: float, now: float) -> None:
        listed, is_whole = self._lists.answered(query, rows)
        for job_id, row in listed.items():
            run = self.runs.get(job_id)
            if run is None or run.outcome is not None:
                continue
            run.workflow_id = row.workflow_id or run.workflow_id
            status = canonical(row.status)
            if status == COMPLETED:
                self._finish(run, outcome_of_row(row))
            elif status not in FAILED:
                run.going_at, run.suspicions = now, 0
                self.deliveries += run.first_status(row.status)
                if run.is_doubted:
                    run.is_doubted = False
                    for waiter in list(run.waiters):
                        waiter.seen()
                run.is_suspect = run.is_suspect and run.row is not None
            elif run.row is None:
                run.row, run.ended_at = row, now
                run.is_suspect, run.due = True, max(now, run.not_before)
        if is_whole:
            self._suspect(query, asked_at, now)
        self._add_details(listed)
        self._finish_without_details(query, now)

    def _suspect(self, query: ListQuery, asked_at: float, now: float) -> None:
        """Ask for runs that a whole list doesn't have: they ended, or the list lags. Ever more rarely, for that."""
        for run in self._lists.unlisted(self.runs.values(), query):
            if run.since < asked_at and now >= run.trusted_until and not run.is_suspect and run.outcome is None:
                run.is_suspect, run.due = True, max(now, run.not_before)
                run.suspicions += 1

    # How it ends.

    def _ended(self, run: RunState, ended: RunOutcome, now: float) -> None:
        """End the wait, or ask for the reason first where neither the run's blocks nor its row gave one."""
        is_wanting = not has_reason(ended) and run.row is None
        if is_wanting and (details := self._lists.want_details(run.workflow_id, now)):
            run.outcome, run.ended_at, run.details = ended, now, details
            return
        self._finish(run, with_reason(ended, run.row))

    def _add_details(self, listed: dict[str, ListedRun]) -> None:
        for run in [run for run in self.runs.values() if run.outcome is not None and run.job_id in listed]:
            if run.outcome is not None and canonical(listed[run.job_id].status) in FAILED:
                self._finish(run, with_reason(run.outcome, listed[run.job_id]))

    def _finish_without_details(self, query: ListQuery | None, now: float) -> None:
        """
        End the waits for a reason that can't be had; the outcome stands.

        :param query: the list that has it not.
        """
        for run in [run for run in self.runs.values() if run.outcome is not None]:
            is_answer = run.details in (None, query)
            if run.outcome is not None and (is_answer or now > run.ended_at + DETAILS_LIMIT):
                self._finish(run, run.outcome)

    def _finish(self, run: RunState, outcome: RunOutcome | BaseException) -> None:
        for waiter in list(run.waiters):
            self._end(run, waiter, outcome)

    def end_all(self, error: BaseException) -> None:
        """End all waits."""
        for run in list(self.runs.values()):
            self._finish(run, error)

    def _end(self, run: RunState, waiter: Waiter, outcome: RunOutcome | BaseException) -> None:
        self.remove(run.job_id, waiter)
        self.deliveries.append(partial(waiter.end, outcome))
