"""Bounded waits whose errors name what they waited for, and what was there instead."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

PAUSE = 1.5  # seconds between two checks; many wait at once, and Airflow's API server has one process


def eventually(
    what: str,
    check: Callable[[], object],
    limit: float,
    on_each_look: Callable[[], object] = lambda: None,
    explain: Callable[[], str] = lambda: "",
) -> float:
    """
    Return the seconds until ``check()`` was true.

    :param limit: seconds to wait at most.
    :param on_each_look: may raise to end the wait early.
    :param explain: returns what was there instead, for the message of the failure.
    """
    began = time.monotonic()
    while True:
        refusal = ""
        try:
            if check():
                return time.monotonic() - began
        except (httpx.TransportError, RuntimeError) as error:  # Airflow is busy or not up yet, or its database is
            refusal = f" ({error})"
        on_each_look()
        if time.monotonic() - began > limit:
            raise AssertionError(f"{what}: not within {limit:.0f} s{refusal}. {explain()}")
        time.sleep(PAUSE)
