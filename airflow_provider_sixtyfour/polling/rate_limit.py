"""
The rate limiter of one connection: an even pace, slower after a 429, and faster again with time.

No clock and no socket of its own. All keys of an organisation may share one limit, so a 429 need not be of our making:
what was cut grows back slowly, and two triggerers on one key settle at a pace that both can keep.
"""

from __future__ import annotations

from airflow_provider_sixtyfour.api.retry import pause
from airflow_provider_sixtyfour.exceptions import SixtyfourUnavailableError

URGENT_PER_MINUTE = 480.0  # requests that can't wait; just under the API's limit of 500
CUT = 0.7  # of the pace that is left after a 429
SLOWEST = 0.1  # of the whole pace that is always left
CUT_ONCE_IN = 5.0  # seconds; the 429s of requests that were under way together count as one
WHOLE_AGAIN_IN = 600.0  # seconds without a 429 in which the pace grows from nothing to whole
CATCHING_UP = 1.0  # seconds by which a late request may have its turn again


class RateLimiter:
    """
    Decides when the next request may be sent.

    :param per_minute: requests a minute.
    """

    def __init__(self, per_minute: float) -> None:
        self._whole = per_minute
        self._pace = per_minute
        self._paced_at = 0.0
        self._free_at = 0.0
        self._urgent_free_at = 0.0
        self._closed_until = 0.0
        self._cut_at = -CUT_ONCE_IN
        self._refusals = 0

    def adopt(self, per_minute: float) -> None:
        """Take another limit; what a 429 has cut stays cut."""
        self._pace *= per_minute / self._whole
        self._whole = per_minute

    def spacing(self, now: float) -> float:
        """Return the seconds between two requests."""
        grown = self._pace + (now - self._paced_at) * self._whole / WHOLE_AGAIN_IN
        return 60.0 / min(self._whole, grown)

    def delay(self, now: float, *, is_urgent: bool = False) -> float:
        """Return the seconds until the next request has its turn; an urgent one comes before all others."""
        return max(0.0, max(self._closed_until, self._urgent_free_at if is_urgent else self._free_at) - now)

    def take(self, now: float) -> None:
        """Take the turn, for an urgent request or another."""
        self._urgent_free_at = max(self._urgent_free_at, now) + 60.0 / URGENT_PER_MINUTE
        self._free_at = max(self._free_at, now - CATCHING_UP) + self.spacing(now)

    def accepted(self) -> None:
        """Note an answer that is no 429."""
        self._refusals = 0

    def refused(self, error: SixtyfourUnavailableError, now: float) -> None:
        """Note a 429: send nothing for as long as it says (or for some time), and more slowly from then on."""
        if now < self._cut_at + CUT_ONCE_IN:
            return
        self._refusals += 1
        pace = 60.0 / self.spacing(now)
        self._pace, self._paced_at = max(pace * CUT, self._whole * SLOWEST), now
        self._cut_at = now
        self._closed_until = max(self._closed_until, now + pause(error, self._refusals + 2))
