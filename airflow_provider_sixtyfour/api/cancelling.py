"""
Stopping a run, and knowing that it has stopped.

A refusal that means "there is nothing left to cancel" is no error: the run has just ended, or is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.errors import (
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.api.verdicts import Verdict, verdict

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient

T = TypeVar("T")

ATTEMPTS = 4  # at cancelling: who is being stopped has seconds, not minutes
CONFIRMATIONS = 5  # questions, a second apart, whether the run has ended
_NOTHING_LEFT = {400, 404, 409}


def cancel(client: SixtyfourClient, job_id: str, *, sleep: Callable[[float], None] = time.sleep) -> Verdict | None:
    """
    Cancel a run and return how it ended; ``None`` if that can't be told: it winds down, is gone, or nobody answers.

    :raises SixtyfourRefusedError: if the API won't cancel it (401, 403).
    :raises SixtyfourUnavailableError: if the API can't be reached.
    """
    try:
        client.send(calls.cancel_run(job_id), attempts=ATTEMPTS)
    except SixtyfourRefusedError as error:
        if error.status not in _NOTHING_LEFT:
            raise
    for number in range(CONFIRMATIONS):
        try:
            ended = verdict(job_id, client.send(calls.live_status(job_id), attempts=ATTEMPTS))
        except (SixtyfourNotFoundError, SixtyfourUnavailableError):
            return None  # the cancellation itself was accepted
        if ended is not None:
            return ended
        if number < CONFIRMATIONS - 1:
            sleep(1.0)
    return None


class AsyncSender(Protocol):
    """What sends a call in an event loop."""

    async def send(self, call: calls.Call[T], *, attempts: int) -> T:
        """Send it, ``attempts`` times at most."""


async def cancel_async(client: AsyncSender, job_id: str) -> None:
    """Cancel a run without waiting for it to wind down; the same errors as `cancel`."""
    try:
        await client.send(calls.cancel_run(job_id), attempts=ATTEMPTS)
    except SixtyfourRefusedError as error:
        if error.status not in _NOTHING_LEFT:
            raise
