"""How a task waits, and when it gives up: counted from its first start, the same on the worker and deferred."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError


class WaitOptions(NamedTuple):
    """
    How a task waits for its run.

    :param poll_interval: seconds between two status checks.
    :param ends_at: when it gives up, in seconds of the epoch; ``None`` for never.
    """

    poll_interval: float
    ends_at: float | None


def seconds(value: Any, name: str) -> float | None:
    """
    Return a duration in seconds; ``None`` stays ``None``.

    :param value: seconds as a number or its text (a rendered template), or a ``timedelta``.
    :raises SixtyfourInputError: if it is no positive duration.
    """
    if value is None:
        return None
    number = math.nan
    if isinstance(value, timedelta):
        number = value.total_seconds()
    elif not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
    if not 0 < number < math.inf:
        raise SixtyfourInputError(f"{name} should be a positive number of seconds or a timedelta, not {value!r:.60}.")
    return number


def check_poll_interval(value: Any) -> float:
    """
    Return a poll interval in seconds.

    :raises SixtyfourInputError: if it is no positive duration.
    """
    interval = seconds(value, "poll_interval")
    if interval is None:
        raise SixtyfourInputError("poll_interval should be a positive number of seconds, not None.")
    return interval


def shown_time(moment: float) -> str:
    """Return a time (seconds of the epoch) as people read it, with its zone."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"


def deadline(start: datetime | None, *limits: float | None) -> float | None:
    """Return the earliest of the limits (seconds from ``start``) in seconds of the epoch; ``None`` for none."""
    given = [limit for limit in limits if limit is not None]
    if start is None or not given:
        return None
    return start.timestamp() + min(given)
