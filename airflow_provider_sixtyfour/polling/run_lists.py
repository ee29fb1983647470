"""
When to read which list of runs, so that a few calls cover many runs.

A round begins with the list that covers most, and continues only while many runs are left that no list has.
With few runs there are no rounds: a status check each is as cheap, and has more. Where one list has all, it is read
more often than the poll interval has it, which still costs less than a question for each of many runs.

While lists can't be read, no list's word holds, and each run is asked for itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.api.calls import MAX_LISTED_RUNS
from airflow_provider_sixtyfour.api.models import ListedRun
from airflow_provider_sixtyfour.api.retry import pause
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourRefusedError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.polling.failure_policy import is_outage
from airflow_provider_sixtyfour.polling.intervals import QUICK, jittered
from airflow_provider_sixtyfour.polling.queries import ListQuery
from airflow_provider_sixtyfour.runs.status import ACTIVE, canonical

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.polling.run_state import RunState

MANY = 5  # runs; for fewer no list is read
SHORTEST_ROUND = 5.0  # seconds between two rounds of many lists, however short the poll interval
LONGEST_ROUND = 60.0  # seconds, however long the poll interval
SHORTEST_PAUSE = 2.5  # seconds between two rounds for each list of a round
FRESH = 2.5  # rounds for which a run that a list had as running counts as running
MOST_WORKFLOWS = 4  # that get lists of their own in one round
RETRY_REFUSED = 45.0  # seconds until a refused list is read again: the credential may not read it, or it was one answer
OFF = 600.0  # seconds without a workflow's own list after it was refused: the workflow may have been deleted


class RunLists:
    """The rounds, one list at a time."""

    def __init__(self) -> None:
        self._interval = LONGEST_ROUND
        self._round: Iterator[ListQuery] | None = None
        self._began_at = 0.0  # the last round
        self._lists_read = 0  # since then
        self._round_at = 0.0  # the next round
        self._asking: ListQuery | None = None
        self._details: dict[ListQuery, None] = {}
        self._listed: set[str] = set()  # the ids of the runs that the lists of this round have
        self._was_whole = False
        self._all_active = False
        self._refused_until = 0.0
        self._retry_at = 0.0
        self._failures = 0
        self._is_trusted = True  # the last list was an answer
        self._off_until: dict[str, float] = {}  # the workflows whose own list was refused

    @property
    def fresh_for(self) -> float:
        """Seconds for which a run that a list had as running counts as running."""
        return FRESH * self._interval if self._is_trusted else 0.0

    def keep_up_with(self, poll_interval: float) -> None:
        """Read as often as the most curious wait would ask, if not too often."""
        self._interval = max(SHORTEST_ROUND, min(self._interval, poll_interval))

    def next(self, runs: Mapping[str, RunState], now: float) -> ListQuery | float | None:
        """Return the list to read, the time of the next round, or ``None`` if that depends on something else."""
        if self._asking is not None:
            return None
        if now < self._retry_at and (self._details or len(runs) >= MANY):
            return self._retry_at
        found: ListQuery | None = None
        if self._details:
            found = next(iter(self._details))
        elif self._round is not None:
            found = next(self._round, None)
        if found is None:
            self._round = None
            if len(runs) < MANY:
                return None
            if now < self._round_at:
                return self._round_at
            self._began_at, self._lists_read = now, 0
            self._round_at = now + jittered(self._interval)
            self._round = self._steps(runs, now)
            found = next(self._round)
        self._asking = found
        return found

    def _steps(self, runs: Mapping[str, RunState], now: float) -> Iterator[ListQuery]:
        self._listed.clear()
        workflows = {run.workflow_id for run in runs.values()}
        only = self._own_list(next(iter(workflows)), now) if len(workflows) == 1 else None
        yield ListQuery(None, only)
        if self._was_whole or not self._many_unlisted(runs):
            return
        active_was_whole = False
        if not self._all_active:  # else the list of those that are running would be the same
            yield ListQuery("active", only)
            active_was_whole = self._was_whole
        if not self._many_unlisted(runs):
            return
        yield ListQuery("completed", only)
        if only is not None or active_was_whole:
            return
        unlisted = Counter(self._own_list(run.workflow_id, now) for run in self.unlisted(runs.values()))
        del unlisted[None]
        for workflow_id, count in unlisted.most_common(MOST_WORKFLOWS):
            if count >= MANY:
                yield ListQuery("active", workflow_id)
                yield ListQuery("completed", workflow_id)

    def unlisted(self, runs: Iterable[RunState], query: ListQuery | None = None) -> list[RunState]:
        """Return the runs that no list of this round has; of the query's workflow, if it has one."""
        only = query.workflow_id if query else None
        return [run for run in runs if run.job_id not in self._listed and only in (None, run.workflow_id)]

    def _many_unlisted(self, runs: Mapping[str, RunState]) -> bool:
        return len(self.unlisted(runs.values())) >= MANY

    def _own_list(self, workflow_id: str | None, now: float) -> str | None:
        """Return the workflow whose own list may be read; ``None`` for the list of all."""
        return None if now < self._off_until.get(workflow_id or "", 0.0) else workflow_id

    def want_details(self, workflow_id: str | None, now: float) -> ListQuery | None:
        """Have a list read, soon, for the reason in it; return which, or ``None`` if lists can't be read."""
        if now < self._refused_until:
            return None
        query = ListQuery(workflow_id=self._own_list(workflow_id, now))
        self._details[query] = None
        return query

    def answered(self, query: ListQuery, rows: Iterable[ListedRun]) -> tuple[dict[str, ListedRun], bool]:
        """Return the rows by run, and whether a run that isn't among them is not active, as far as the list knows."""
        self._asking = None
        self._is_trusted, self._failures = True, 0
        self._details.pop(query, None)
        self._lists_read += 1
        rest = self._lists_read * max(SHORTEST_PAUSE, self._interval * QUICK)
        self._round_at = self._began_at + jittered(min(self._interval, rest))
        listed = {row.job_id: row for row in rows}
        self._listed |= listed.keys()
        self._all_active = all(canonical(row.status) in ACTIVE for row in listed.values())
        self._was_whole = len(listed) < MAX_LISTED_RUNS and query.status in (None, "active")
        return listed, self._was_whole

    def put_off(self, now: float) -> None:
        """Give up this round; no list is trusted until one is read again."""
        self._asking = self._round = None
        self._is_trusted = False
        self._retry_at = now + SHORTEST_PAUSE

    def late(self) -> None:
        """Trust no list until the one that is being read has arrived."""
        self._is_trusted = False

    def failed(self, query: ListQuery, error: SixtyfourError, now: float) -> bool:
        """
        Give up this round, and fall back to asking for each run.

        A workflow's own list that is refused for this workflow is replaced by the list of all, at once; any other list
        is tried again within a minute.

        :returns: whether the list was refused.
        """
        self.put_off(now)
        self._failures += 1
        if not isinstance(error, SixtyfourRefusedError) or is_outage(error):
            # The rate limit is no reason to send more: what was read last has to do for as long as it is fresh.
            self._is_trusted = isinstance(error, SixtyfourUnavailableError) and error.status == 429
            self._retry_at = now + max(SHORTEST_PAUSE, min(pause(error, self._failures), RETRY_REFUSED))
            return False
        self._details.pop(query, None)
        if query.workflow_id and error.status in (403, 404) and not error.about_credential:
            self._off_until[query.workflow_id] = now + OFF
            self._round_at = self._retry_at = now
        else:
            self._refused_until = self._retry_at = now + jittered(RETRY_REFUSED)
        return True
