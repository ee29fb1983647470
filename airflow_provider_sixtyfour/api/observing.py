"""
What a client reports of its requests, to whoever counts them.

A client calls its observer once for each request that it sends, and once for each try that got no usable answer. It
knows nothing of what is done with that, and so needs no Airflow.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.exceptions import SixtyfourUnavailableError


class Observed(Enum):
    """What a client reports."""

    REQUEST = "a request is sent"
    RATE_LIMITED = "the API has answered 429"
    UNAVAILABLE = "no answer has come, one with another status of an outage, or one that can't be read"


Observer = Callable[[Observed], object]


def unobserved(seen: Observed) -> None:
    """Do nothing: the observer of a client that has none."""


def failure(error: SixtyfourUnavailableError) -> Observed:
    """Return what to report of a try that got no usable answer."""
    return Observed.RATE_LIMITED if error.status == 429 else Observed.UNAVAILABLE
