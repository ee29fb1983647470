"""
How often a run is polled: at the poll interval, more rarely the longer it takes, more often near its end.

Of many runs, lists have the outcomes. A run itself is polled for its progress only, once a minute; that also bounds how
long a list that lags can hide an end.
"""

from __future__ import annotations

from random import SystemRandom

_dice = SystemRandom()

NEAR_THE_END = 90.0  # percent
QUICK = 1 / 4  # of the poll interval: between two polls near the end, and between two lists that have all runs
OF_THE_WAIT = 1 / 30  # of the time waited so far that an end may be late by
LONGEST = 60.0  # seconds, unless the poll interval is longer
JITTER = 0.1  # so that runs that were started together don't stay together


def until_next_poll(poll_interval: float, *, waited: float, percent: float) -> float:
    """
    Return the seconds until the next poll.

    :param poll_interval: seconds, what the task asks for.
    :param waited: seconds.
    :param percent: how far the run is, 0 to 100.
    """
    late_by = waited * OF_THE_WAIT
    if percent < NEAR_THE_END:
        return jittered(max(poll_interval, min(late_by, LONGEST)))
    return jittered(min(poll_interval, max(late_by, poll_interval * QUICK)))


def until_progress(poll_interval: float) -> float:
    """Return the seconds until the next poll for the progress of a run whose end a list would show."""
    return jittered(max(poll_interval, LONGEST))


def jittered(seconds: float) -> float:
    """Return about as many seconds."""
    return seconds * _dice.uniform(1 - JITTER, 1 + JITTER)
