"""A run that is waited for, with all that is known of it, and those who wait for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.api.models import ListedRun, LiveStatus
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourRefusedError
from airflow_provider_sixtyfour.polling.queries import ListQuery
from airflow_provider_sixtyfour.runs.status import RunOutcome

NEVER = float("inf")


class Waiter(Protocol):
    """One who waits for a run. What a waiter's own code raises ends that wait, and no other."""

    def answered(self, live: LiveStatus) -> RunOutcome | None:
        """Take in a live status; return the outcome if the run has ended."""

    def failed(self, error: SixtyfourError, repeated_for: float | None) -> float:
        """Take in that there was no answer on this run; return the seconds to wait, or raise what ends the wait."""

    def seen(self) -> None:
        """Take in that a list has the run, and that it is still running."""

    def listed(self, status: str) -> None:
        """Take in the status of a run that a list has, and no live status yet."""

    def outlasted(self, error: SixtyfourRefusedError, repeated_for: float) -> SixtyfourError | None:
        """Return what ends the wait if the credential has been refused for as long as this waiter is patient."""

    def doubted(self) -> None:
        """Take in that the connection may have another credential by now."""

    def warned(self, error: SixtyfourError) -> None:
        """Take in that the API answers nobody."""

    def cleared(self) -> None:
        """Take in that it answers again."""

    def end(self, outcome: RunOutcome | BaseException) -> None:
        """End the wait."""


class RunState:
    """A run that is waited for."""

    def __init__(self, job_id: str, now: float, kind: JobKind = WORKFLOW_RUN) -> None:
        self.job_id = job_id
        self.kind = kind
        self.since = now
        self.waiters: dict[Waiter, float] = {}  # with the poll interval of each
        self.poll_interval = NEVER  # seconds, the shortest of these
        self.workflow_id: str | None = None
        self.due = now  # to be polled, unless a list has it as running
        self.progress_due = now  # also if one does
        self.is_asked = False
        self.is_slow = False  # its last status check was overdue
        self.is_suspect = False
        self.suspicions = 0
        self.trusted_until = -NEVER  # the time up to which no list makes it a suspect
        self.going_at = -NEVER  # when a list had it last as running
        self.not_before = -NEVER  # what its last failure asked for: only a deadline asks for it before
        self.is_doubted = False  # its last status check was refused
        self.has_status = False  # who waits knows of a status
        self.row: ListedRun | None = None  # the row of its end
        self.outcome: RunOutcome | None = None  # its end, as far as it is known
        self.details: ListQuery | None = None  # the list that is read for its reason
        self.ended_at = 0.0

    def first_status(self, status: str) -> list[Callable[[], object]]:
        """Return what passes a status of a list to all who wait; nothing once they have one."""
        if self.has_status:
            return []
        self.has_status = True
        return [partial(each.listed, status) for each in self.waiters]
