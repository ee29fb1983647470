"""
Stopping a run, and knowing that it has stopped.

A refusal that means "there is nothing left to cancel" is no error: the run has just ended, or is not known there. It is
one if the run is seen running afterwards. What came of a cancellation is a value, so that nobody reports a run as
cancelled that was not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourRefusedError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.runs.status import COMPLETED, RunOutcome, describe_progress, outcome_of

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient

T = TypeVar("T")

ATTEMPTS = 4  # at cancelling: who is being stopped has seconds, not minutes
TRIES_IF_UNKNOWN = 3  # a second apart: what accepts a run and what cancels it need not be the same machine
CONFIRMATIONS = 5  # status checks, a second apart, whether the run has ended
ABOUT_THE_RUN = frozenset({400, 409})  # what the API answers of a run that has ended; no page of it says which


class Answer(Enum):
    """What the API answered to a cancellation."""

    ACCEPTED = "accepted"
    ENDED_ALREADY = "refused, as for a run that has ended"
    UNKNOWN = "no such run"


class Cancellation(NamedTuple):
    """
    What came of a cancellation.

    :param ended: how the run ended, if it was seen to end.
    :param refusal: what the API said, if it refused.
    """

    job_id: str
    answer: Answer
    ended: RunOutcome | None = None
    refusal: str = ""

    @property
    def is_stopped(self) -> bool:
        """Whether the run is known to be over, or to be on its way there."""
        return self.ended is not None or self.answer is Answer.ACCEPTED

    @property
    def is_cancelled(self) -> bool:
        """Whether the run ends by this cancellation: it was accepted, and the run did not complete just then."""
        is_completed = self.ended is not None and self.ended.status == COMPLETED
        return self.answer is Answer.ACCEPTED and not is_completed

    def describe(self, host: str) -> str:
        """
        Return the outcome as a sentence for a log.

        :param host: the base URL that was asked: a run of another one is not known there.
        """
        if self.ended is not None and (self.answer is not Answer.ACCEPTED or self.ended.status == "completed"):
            return f"The run has already ended ({self.ended.status}). Run {self.job_id}."
        if self.answer is Answer.UNKNOWN:
            return f"Not cancelled: there is no such run at {host} for this credential. Run {self.job_id}."
        if self.answer is Answer.ENDED_ALREADY:
            return f"Not cancelled, as for a run that has ended: {self.refusal} At {host}. Run {self.job_id}."
        return f"The run is cancelled{'' if self.ended else ', and still shutting down'}. Run {self.job_id}."


def cancel(
    client: SixtyfourClient,
    job_id: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    kind: JobKind = WORKFLOW_RUN,
) -> Cancellation:
    """
    Cancel a run, or a job of another kind, and return what came of it.

    :raises SixtyfourRefusedError: if the API won't cancel it (401, 403; or anything, and the run keeps running).
    :raises SixtyfourUnavailableError: if the API can't be reached.
    """
    doubt: SixtyfourError | None
    for number in range(TRIES_IF_UNKNOWN):
        if number:
            sleep(1.0)
        answer, doubt = Answer.ACCEPTED, None
        try:
            client.send(kind.cancel(job_id), attempts=ATTEMPTS)
        except SixtyfourRefusedError as error:
            answer, doubt = _meaning(error), error
        except SixtyfourUnavailableError as error:
            if not 200 <= (error.status or 0) < 300:
                raise
            doubt = error  # accepted, by its status, in a form that can't be read: the run's own status decides
        if answer is not Answer.UNKNOWN:
            break
    else:
        return Cancellation(job_id, Answer.UNKNOWN)
    for number in range(CONFIRMATIONS):
        try:
            live = client.send(kind.status(job_id), attempts=ATTEMPTS)
        except SixtyfourError:
            if isinstance(doubt, SixtyfourUnavailableError):
                raise doubt from None
            break  # the answer to the cancellation itself stands
        if (ended := outcome_of(job_id, live)) is not None:
            return Cancellation(job_id, answer, ended)
        if number < CONFIRMATIONS - 1:
            sleep(1.0)
    else:
        if doubt is not None:
            doubt.args = (f"{doubt} It is still in progress: {describe_progress(live)}.",)
            raise doubt
    return Cancellation(job_id, answer, refusal=str(doubt or ""))


class AsyncSender(Protocol):
    """What sends a call in an event loop."""

    async def send(self, call: calls.Call[T], *, attempts: int) -> T:
        """Send it, ``attempts`` times at most."""


async def cancel_async(client: AsyncSender, job_id: str, kind: JobKind = WORKFLOW_RUN) -> Cancellation:
    """Cancel a run without waiting for it to shut down; the same errors as `cancel`."""
    for number in range(TRIES_IF_UNKNOWN):
        if number:
            await asyncio.sleep(1.0)
        try:
            await client.send(kind.cancel(job_id), attempts=ATTEMPTS)
        except SixtyfourRefusedError as error:
            if (answer := _meaning(error)) is not Answer.UNKNOWN:
                return Cancellation(job_id, answer, refusal=str(error))
        else:
            return Cancellation(job_id, Answer.ACCEPTED)
    return Cancellation(job_id, Answer.UNKNOWN)


def _meaning(error: SixtyfourRefusedError) -> Answer:
    """Return what a refusal says of the run; raise it again if it says nothing, as a proxy's page."""
    if error.from_api and error.status == 404:
        return Answer.UNKNOWN
    if error.from_api and error.status in ABOUT_THE_RUN:
        return Answer.ENDED_ALREADY
    raise error
