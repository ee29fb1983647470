"""
Whether the API answers at all.

While it doesn't, one request at a time goes out to see, with growing pauses: a thousand waits make no more noise in an
outage than one. A refusal of the credential is doubted first: it may have been renewed a moment ago.
"""

from __future__ import annotations

from airflow_provider_sixtyfour.api.errors import SixtyfourError
from airflow_provider_sixtyfour.api.retry import pause

BAD_FROM = 3  # failures in a row
TOLD_AFTER = 10.0  # seconds of bad weather after which all waits are told, not only those that met it
REFUSALS = 3  # answers 401 in a row that are believed
DOUBT = 3.0  # seconds between them


class Weather:
    """The failures in a row, whichever the question was."""

    def __init__(self) -> None:
        self.failures = 0
        self.refusals = 0
        self.ask_at = 0.0
        self._since = 0.0

    @property
    def is_bad(self) -> bool:
        """Say whether only one question at a time may be asked."""
        return self.failures >= BAD_FROM or self.refusals > 0

    def lasts(self, now: float) -> bool:
        """Say whether it is time to tell everybody."""
        return self.failures >= BAD_FROM and now - self._since >= TOLD_AFTER

    def answered(self) -> None:
        """Note an answer."""
        self.failures = self.refusals = 0
        self.ask_at = 0.0

    def failed(self, error: SixtyfourError, now: float) -> None:
        """Note that none came."""
        if self.failures == 0:
            self._since = now
        self.failures += 1
        if self.is_bad:
            self.ask_at = now + pause(error, self.failures)

    def refused(self, asked_at: float, now: float) -> bool:
        """Note that the credential was refused; say whether that is to be believed."""
        if self.refusals and asked_at < self.ask_at - DOUBT:
            return False  # was under way with the first one
        self.refusals += 1
        self.ask_at = now + DOUBT
        return self.refusals >= REFUSALS
