"""A run that is waited for, with all that is known of it, and those who wait for it."""

from __future__ import annotations

from typing import Protocol

from airflow_provider_sixtyfour.api.errors import SixtyfourError
from airflow_provider_sixtyfour.api.models import ListedRun, LiveStatus
from airflow_provider_sixtyfour.api.verdicts import Verdict

NEVER = float("inf")


class Waiter(Protocol):
    """One who waits for a run. What a waiter's own code raises ends that wait, and no other."""

    def answered(self, live: LiveStatus) -> Verdict | None:
        """Take in a live status; return the verdict if the run has ended."""

    def failed(self, error: SixtyfourError) -> float:
        """Take in that there was no answer on this run; return the seconds to wait, or raise what ends the wait."""

    def warned(self, error: SixtyfourError) -> None:
        """Take in that the API answers nobody."""

    def cleared(self) -> None:
        """Take in that it answers again."""

    def end(self, outcome: Verdict | BaseException) -> None:
        """End the wait."""


class Run:
    """A run that is waited for."""

    def __init__(self, job_id: str, now: float) -> None:
        self.job_id = job_id
        self.since = now
        self.waiters: dict[Waiter, float] = {}  # with the poll interval of each
        self.poll_interval = NEVER  # seconds, the shortest of these
        self.workflow_id: str | None = None
        self.due = now  # to be asked for, unless a list tells that it goes on
        self.progress_due = now  # also if one does
        self.is_asked = False
        self.is_suspect = False
        self.suspicions = 0
        self.trusted_until = -NEVER  # the time up to which no list makes it a suspect
        self.going_at = -NEVER  # when a list said last that it goes on
        self.refusals = 0
        self.row: ListedRun | None = None  # the row of its end
        self.verdict: Verdict | None = None  # its end, as far as it is known
        self.ended_at = 0.0
