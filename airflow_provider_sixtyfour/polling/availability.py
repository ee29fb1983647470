"""
A circuit breaker: whether the API answers at all.

It opens when several different requests fail with no success in between: one run that always fails stops nobody else.
While it is open, one request at a time goes out to see, so that a thousand waiting tasks send no more than one
does. What a failure asks for (``Retry-After``) counts for the run that got it, not here.
"""

from __future__ import annotations

from collections.abc import Hashable

from airflow_provider_sixtyfour.api.retry import pause

OPENS_AT = 3  # different requests that failed in a row
PROBE_EVERY = 15.0  # seconds at most between two requests while the breaker is open
WARN_ALL_AFTER = 10.0  # seconds of an outage after which all waiters are warned, not only those that met it


class Availability:
    """A circuit breaker over the requests that have failed since the last success."""

    def __init__(self) -> None:
        self.ask_at = 0.0
        self._failing: set[Hashable] = set()
        self._probes = 0
        self._since = 0.0

    @property
    def is_open(self) -> bool:
        """Return whether the breaker is open: only one request at a time may be sent."""
        return len(self._failing) >= OPENS_AT

    def is_prolonged(self, now: float) -> bool:
        """Return whether the outage has lasted long enough to warn all waiters."""
        return self.is_open and now - self._since >= WARN_ALL_AFTER

    def answered(self) -> None:
        """Note an answer."""
        self._failing.clear()
        self._probes = 0
        self.ask_at = 0.0

    def failed(self, request: Hashable, now: float) -> None:
        """Note that none came."""
        if not self._failing:
            self._since = now
        self._failing.add(request)
        if self.is_open:
            self._probes += 1
            self.ask_at = now + min(pause(None, self._probes), PROBE_EVERY)
