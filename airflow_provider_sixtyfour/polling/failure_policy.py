"""
Which failures of a status check end the wait for a run, and when: the one policy of the worker and the triggerer.

| what came | then |
|---|---|
| no answer, 5xx, 408, 425, 429, an answer that can't be read | keep polling: an outage |
| a TLS error, such as a certificate that has expired | keep polling: an outage |
| any refusal that is not the API's own JSON (a proxy's page, an empty body) | keep polling: an outage |
| a redirect, 407, 413, 418, 421, 431, 499, whatever the body | keep polling: an outage |
| 404 for a run that was started a moment ago | keep polling: not known yet |
| 401, 403, 404 or another 4xx in the API's own JSON | keep polling in doubt: read the connection again before a retry |
| the same, repeated for the wait's patience | give up |
| anything else: the status check itself is invalid | give up |

An outage lasts as long as it lasts; the task's own deadline is what ends such a wait.
"""

from __future__ import annotations

from enum import Enum

from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)

REFUSAL_PATIENCE = 300.0  # seconds for which a refusal has to be repeated until it is believed
RETRY_IN_DOUBT = 15.0  # seconds between two status checks in doubt, unless the poll interval is shorter
# At most this part of the patience passes between two refusals that count as one repetition: a long poll interval, or a
# machine that slept, is no reason to believe two answers.
_LONGEST_GAP = 1 / 3
# What proxies and load balancers answer: nothing that the API would say of a run.
_OF_THE_WAY = frozenset({407, 408, 413, 418, 421, 425, 429, 431, 499})


class Next(Enum):
    """What follows from a failed status check."""

    OUTAGE = "keep polling: the API did not answer"
    DOUBT = "keep polling, but read the connection again first"
    GIVE_UP = "end the wait"


def judge(error: SixtyfourError, *, repeated_for: float, patience: float, is_new_run: bool = False) -> Next:
    """
    Return what follows from a failed status check; see the table above.

    :param error: the failure.
    :param repeated_for: seconds for which the API has repeated this refusal; see `Repetition`.
    :param patience: seconds for which it has to.
    :param is_new_run: whether the run was started so recently that it may not be known yet.
    """
    if is_outage(error):
        return Next.OUTAGE
    if not isinstance(error, SixtyfourRefusedError):
        return Next.GIVE_UP
    if is_new_run and isinstance(error, SixtyfourNotFoundError) and not error.about_credential:
        return Next.OUTAGE
    return Next.DOUBT if repeated_for < patience else Next.GIVE_UP


def is_outage(error: SixtyfourError) -> bool:
    """Return whether a failure says nothing of the run and nothing of the credential."""
    if not isinstance(error, SixtyfourRefusedError):
        return isinstance(error, SixtyfourUnavailableError)
    status = error.status
    return status is None or not error.from_api or status < 400 or status in _OF_THE_WAY


class Repetition:
    """
    For how long the API has repeated one refusal.

    A success ends it, another refusal begins another. An outage in between neither confirms nor refutes it: its time
    does not count.

    :param patience: seconds, as for `judge`.
    """

    def __init__(self, patience: float) -> None:
        self._longest_gap = patience * _LONGEST_GAP
        self.end()

    def end(self) -> None:
        """Note a success, or a change that gives the refusal another chance."""
        self._status: int | None = None
        self._last: float | None = None
        self._seconds = 0.0

    def add(self, error: SixtyfourError, now: float) -> float:
        """Note a failure; return for how many seconds this refusal has been repeated."""
        if not isinstance(error, SixtyfourRefusedError) or is_outage(error):
            self._last = None
            return 0.0
        if error.status != self._status:
            self.end()
        elif self._last is not None:
            self._seconds += min(max(0.0, now - self._last), self._longest_gap)
        self._status, self._last = error.status, now
        return self._seconds
