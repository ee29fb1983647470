from __future__ import annotations

import pytest

from airflow_provider_sixtyfour.exceptions import SixtyfourUnavailableError
from airflow_provider_sixtyfour.polling.rate_limit import CUT_ONCE_IN, SLOWEST, WHOLE_AGAIN_IN, RateLimiter


def refusal(retry_after: float | None = None) -> SixtyfourUnavailableError:
    return SixtyfourUnavailableError("Sixtyfour answered 429.", status=429, retry_after=retry_after)


def taken(rate_limiter: RateLimiter, start: float, seconds: float, *, is_urgent: bool = False) -> list[float]:
    """Take every turn as soon as it comes, and return when that was."""
    now, turns = start, []
    while True:
        now += rate_limiter.delay(now, is_urgent=is_urgent)
        if now >= start + seconds:
            return turns
        rate_limiter.take(now)
        turns.append(now)
        assert len(turns) < 10_000, "a turn that takes no time"


def test_requests_are_spread_evenly():
    turns = taken(RateLimiter(60.0), 100.0, 30.0)
    assert len(turns) == pytest.approx(31, abs=1)
    assert turns[-1] - turns[-2] == pytest.approx(1.0)


def test_what_was_not_used_is_not_saved_up():
    rate_limiter = RateLimiter(60.0)
    taken(rate_limiter, 0.0, 5.0)
    assert len(taken(rate_limiter, 1000.0, 10.0)) <= 12


def test_a_refusal_closes_for_its_retry_after_and_slows_down():
    rate_limiter = RateLimiter(360.0)
    before = len(taken(rate_limiter, 0.0, 60.0))
    rate_limiter.refused(refusal(30.0), 60.0)
    assert 30.0 <= rate_limiter.delay(60.0) <= 31.0
    assert 30.0 <= rate_limiter.delay(60.0, is_urgent=True) <= 31.0
    after = len(taken(rate_limiter, 95.0, 60.0))
    assert after == pytest.approx(before * 0.75, rel=0.1)


def test_a_refusal_without_retry_after_closes_for_a_moment():
    rate_limiter = RateLimiter(360.0)
    rate_limiter.refused(refusal(), 60.0)
    assert 0.5 <= rate_limiter.delay(60.0) <= 4.5


def test_refusals_that_come_together_count_once():
    one, six = RateLimiter(360.0), RateLimiter(360.0)
    one.refused(refusal(1.0), 60.0)
    for number in range(6):
        six.refused(refusal(1.0), 60.0 + number * CUT_ONCE_IN / 7)
    assert six.spacing(70.0) == one.spacing(70.0)


def test_the_pace_never_stops_and_grows_back():
    rate_limiter = RateLimiter(360.0)
    for number in range(50):
        rate_limiter.refused(refusal(1.0), number * 10.0)
    assert rate_limiter.spacing(490.0) == pytest.approx(60 / (360.0 * SLOWEST), rel=0.1)
    assert rate_limiter.spacing(490.0 + WHOLE_AGAIN_IN) == pytest.approx(60 / 360.0)


def test_what_is_urgent_has_its_turn_first_but_not_all_at_once():
    rate_limiter = RateLimiter(60.0)
    taken(rate_limiter, 0.0, 10.0)
    rate_limiter.take(10.0)
    assert rate_limiter.delay(10.0, is_urgent=True) < 0.2 < rate_limiter.delay(10.0)
    urgent = taken(rate_limiter, 10.0, 6.0, is_urgent=True)
    assert len(urgent) == pytest.approx(48, abs=2)
    assert rate_limiter.delay(16.0) > 30.0  # they count
