"""
When the runs of a measurement end, and how.

Invariant: the same arguments give the same schedule, so that both subjects wait for the same ends; and nothing that a
poller may see ahead of time shows all of it: ends come in another order than starts, and the progress that half of the
runs report doesn't announce their end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ENDS = {"together": 0.0, "spread": 20.0, "slow": 600.0}  # seconds from the first end to the last
FAILING = 10  # of so many runs, one fails

_GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples, less their whole part, lie evenly and in no visible order
_SUBMITTED_PER_MINUTE = 400  # a backfill that keeps to the API's limit


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """
    One run.

    :param queued: seconds from when it was queued to the beginning of the measurement.
    :param ends: seconds from the beginning to its end.
    :param expected: seconds from the beginning to the end that its progress announces.
    """

    number: int
    queued: float
    ends: float
    expected: float
    fails: bool


def schedule(count: int, ends: str, after: float) -> list[ScheduledRun]:
    """
    Return the runs, in the order in which they were queued.

    :param ends: a name of `ENDS`.
    :param after: seconds from the beginning to the first end.
    """
    order = sorted(range(count), key=lambda number: number * _GOLDEN % 1)
    runs = []
    for place, number in enumerate(order):
        queued = (count - number) * 60 / _SUBMITTED_PER_MINUTE
        end = after + ENDS[ends] * place / max(1, count - 1)
        sudden = (number + number // FAILING) % 2 == 1  # of those that fail, every second one
        share = 0.05 + 0.9 * (number * math.sqrt(2) % 1) if sudden else 1.0  # of its way, when it ends
        expected = (queued + end) / share - queued
        runs.append(ScheduledRun(number, queued, end, expected, fails=number % FAILING == FAILING - 1))
    return sorted(runs, key=lambda run: run.number)
