"""
Which runs have ended and were not announced yet: what a watcher remembers, without a clock or a request.

The list of runs has at most 500 rows, newest first by when they were queued. A run that was queued long ago leaves it
while it is running: whoever has been seen running is remembered, and asked for by its own id once no list has it.

What can't be seen: a run that is queued and leaves the list between two polls, as 500 younger ones push it out.

Invariant: what is remembered is bounded, whatever the API lists. A run is announced once, as long as this lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.api.call import MAX_LISTED_RUNS, identifier
from airflow_provider_sixtyfour.api.models import ListedRun
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.runs.status import COMPLETED, FAILED, RunOutcome, canonical

STATUSES = (COMPLETED, *sorted(FAILED))
# Ids. With those of UUIDs, both together stay below the 64 KiB that Airflow wants a stored value to have.
MOST_SEEN = 1000
MOST_ACTIVE = 500
ASKED_AT_ONCE = 20  # runs that have left the list, in one poll
BELIEVED_AFTER = 5  # answers in a row by which a run is not known any more


class EndedRun(NamedTuple):
    """A run that has ended, as plain JSON types."""

    job_id: str
    workflow_id: str | None
    status: str
    metrics: Mapping[str, float]

    def as_payload(self) -> dict[str, Any]:
        """Return it for an event."""
        return {**self._asdict(), "metrics": dict(self.metrics)}


class Looked(NamedTuple):
    """
    What a list has shown.

    :param new: the runs to announce, oldest first.
    :param over: how many runs were over when it began, and are not announced; ``None`` if it began before.
    :param has_gap: whether runs may have come and gone that no list has shown.
    :param forgotten: runs that were seen running and are not followed any more, for there are too many.
    """

    new: list[EndedRun]
    over: int | None = None
    has_gap: bool = False
    forgotten: int = 0


def read_statuses(given: Any) -> list[str]:
    """
    Return the statuses in one spelling and order, each once.

    :param given: one or more of `STATUSES`, in any spelling of the API's.
    :raises SixtyfourInputError: if one is no status of a run that has ended.
    """
    wanted = [given] if isinstance(given, str) else given
    if not isinstance(wanted, Iterable) or not (wanted := list(wanted)):
        raise SixtyfourInputError(f"statuses should name one or more of {', '.join(STATUSES)}.")
    for each in wanted:
        if not isinstance(each, str) or canonical(each) not in STATUSES:
            raise SixtyfourInputError(
                f"statuses has {each!r:.60}, which no run ends with: use some of {', '.join(STATUSES)}."
            )
    found = {canonical(each) for each in wanted}
    return [status for status in STATUSES if status in found]


class EndedRuns:
    """
    What one watcher has seen.

    :param statuses: those that are announced, as `read_statuses` returns them.
    """

    def __init__(self, statuses: Iterable[str]) -> None:
        self._statuses = frozenset(statuses)
        self._host = ""
        self._seen: dict[str, None] | None = None  # ended as wanted: announced, or over at the start
        self._active: dict[str, int] = {}  # seen running; how often in a row the API didn't know it
        self._listed: set[str] = set()  # by the last list

    def restore(self, value: Any) -> bool:
        """Take up what `value` returned in another process; return whether it can be that."""
        if not isinstance(value, Mapping):
            return False
        host, seen, active = value.get("host"), _ids(value.get("seen")), _ids(value.get("active"))
        if not isinstance(host, str) or seen is None or active is None:
            return False
        self._host, self._seen, self._active = host, dict.fromkeys(seen), dict.fromkeys(active, 0)
        return True

    def value(self) -> dict[str, Any]:
        """Return what there is to remember, as JSON types."""
        return {"host": self._host, "seen": list(self._seen or ()), "active": sorted(self._active)}

    def needs_running(self, rows: Sequence[ListedRun]) -> bool:
        """Return whether runs may be running that this has not seen yet, and that the list has no place for."""
        return len(rows) >= MAX_LISTED_RUNS and (not self._listed or self._has_gap(rows))

    def looked(self, rows: Sequence[ListedRun], host: str, running: Iterable[ListedRun] = ()) -> Looked:
        """
        Note what the list of runs shows.

        :param host: the API that it is of. Another one has other runs, so there it begins again.
        :param running: the list of those that are running, where `needs_running` wants it.
        """
        rows = [row for row in rows if _is_id(row.job_id)]
        listed = {row.job_id for row in rows}
        has_gap = self._has_gap(rows)
        if self._seen is not None and host != self._host and not listed & (self._seen.keys() | self._active.keys()):
            self._seen, self._active, has_gap = None, {}, False
        ended = [row for row in reversed(rows) if canonical(row.status) in self._statuses]
        begins, self._seen, self._host = self._seen is None, self._seen or {}, host
        new = [row for row in ended if row.job_id not in self._seen]
        self._seen |= dict.fromkeys(row.job_id for row in new)
        for row in (*reversed(list(running)), *reversed(rows)):
            if canonical(row.status) in STATUSES:
                self._active.pop(row.job_id, None)
            elif _is_id(row.job_id):
                self._active[row.job_id] = 0
        self._listed = listed
        _shorten(self._seen, MOST_SEEN, listed)
        forgotten = _shorten(self._active, MOST_ACTIVE, listed)
        if begins:
            return Looked([], len(new), has_gap, forgotten)
        return Looked([_ended(row) for row in new], None, has_gap, forgotten)

    def to_ask(self) -> list[str]:
        """Return the runs to ask for by their own ids: seen running, and in no list now; those that waited longest."""
        return [job_id for job_id in self._active if job_id not in self._listed][:ASKED_AT_ONCE]

    def answered(self, job_id: str, outcome: RunOutcome | None) -> EndedRun | None:
        """Note the answer for one of these; return it if there is an end to announce."""
        del self._active[job_id]
        if outcome is None:
            self._active[job_id] = 0  # behind the others
            return None
        if self._seen is None or outcome.status not in self._statuses or job_id in self._seen:
            return None
        self._seen[job_id] = None
        _shorten(self._seen, MOST_SEEN, self._listed)
        return EndedRun(job_id, outcome.workflow_id, outcome.status, outcome.metrics)

    def unknown(self, job_id: str) -> bool:
        """Note that the API doesn't know one of these; return whether it is given up."""
        times = self._active.pop(job_id) + 1
        if times < BELIEVED_AFTER:
            self._active[job_id] = times
        return times >= BELIEVED_AFTER

    def _has_gap(self, rows: Sequence[ListedRun]) -> bool:
        known = self._listed or {*(self._seen or ()), *self._active}
        return len(rows) >= MAX_LISTED_RUNS and bool(known) and known.isdisjoint(row.job_id for row in rows)


def _ended(row: ListedRun) -> EndedRun:
    return EndedRun(row.job_id, row.workflow_id, canonical(row.status), row.metrics)


def _is_id(value: Any) -> bool:
    try:
        identifier(value, "job_id")
    except SixtyfourInputError:
        return False
    return True


def _ids(value: Any) -> list[str] | None:
    """Return a list of ids; ``None`` if it is something else."""
    return value if isinstance(value, list) and all(map(_is_id, value)) else None


def _shorten(ids: dict[str, Any], most: int, kept: set[str]) -> int:
    """Drop the oldest ids that are too many and not to be kept; return how many."""
    surplus = [job_id for job_id in ids if job_id not in kept][: max(0, len(ids) - most)]
    for job_id in surplus:
        del ids[job_id]
    return len(surplus)
