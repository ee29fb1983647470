"""
The one policy on trying again: which failure of which call, and after how long.

A submission that may have worked is repeated under an ``Idempotency-Key`` only; nothing is repeated that can't
get better. Both clients run it through tenacity; the wait for a run asks it for its pauses too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api.observing import Observer, failure
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourRefusedError, SixtyfourUnavailableError

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from airflow_provider_sixtyfour.api.calls import Call

log = logging.getLogger(__name__)
_dice = SystemRandom()  # also differs in processes that were forked from one

ATTEMPTS = 10  # with the pauses below: two minutes on average, twice the window of the API's rate limit
LONGEST_PAUSE = 60.0  # seconds; the vendor's advice on a 429
LONGEST_RETRY_AFTER = 300.0  # seconds; a server that asks for more is asked again all the same
# With these, in JSON of its own, the API rejects a request itself. Any other refusal is about the credential, the way
# there or another request.
_REJECTED = frozenset({400, 402, 404, 422})


def may_repeat(call: Call[Any], error: BaseException) -> bool:
    """Return whether sending ``call`` again after ``error`` can help and can't do harm."""
    if not isinstance(error, SixtyfourUnavailableError):
        return False
    return call.repeatable or not error.may_have_worked


def pause(error: BaseException | None, attempt: int) -> float:
    """
    Return the seconds to wait after a failure.

    What ``Retry-After`` asks for, plus up to a second so that many waiters don't return at once; else
    exponential with full jitter, up to 60 s.

    :param attempt: how many times in a row it has failed, from 1.
    """
    asked = error.retry_after if isinstance(error, SixtyfourUnavailableError) else None
    if asked is not None:
        return min(asked, LONGEST_RETRY_AFTER) + _dice.uniform(0, 1)
    # From the seventh failure on the bound is what counts; the exponent itself must not grow for ever.
    return 0.5 + _dice.uniform(0, min(2.0 ** min(attempt - 1, 10), LONGEST_PAUSE - 0.5))


def is_rejection(error: SixtyfourRefusedError) -> bool:
    """Return whether a refusal means that the same request, sent by an earlier try, has started no run."""
    return error.from_api and error.status in _REJECTED and not error.about_credential


class LostAnswers:
    """
    Whether an attempt of one submission may have worked, although its answer was lost.

    A refusal of a later attempt (an expired key, a proxy's page, a 409 "in progress") then does not mean that nothing
    was started, so it is a transient error: the same request is sent again, and finds out.
    """

    def __init__(self, call: Call[Any]) -> None:
        self._is_submission = call.idempotency_key is not None
        self._is_any = False

    @contextmanager
    def attempt(self, observe: Observer) -> Iterator[None]:
        """
        Make an attempt within this; its error is raised as it is to be understood after those before.

        :param observe: what is reported of an attempt without a usable answer.
        """
        try:
            yield
        except SixtyfourError as error:
            judged = self._judged(error)
            if isinstance(judged, SixtyfourUnavailableError):
                observe(failure(judged))
            if judged is error:
                raise
            raise judged from None

    def _judged(self, error: SixtyfourError) -> SixtyfourError:
        if self._is_any and isinstance(error, SixtyfourRefusedError):
            reason = f"{error} An earlier attempt of this request, whose answer was lost, may have worked."
            return SixtyfourUnavailableError(reason, status=error.status)
        if self._is_submission and isinstance(error, SixtyfourUnavailableError) and error.may_have_worked:
            self._is_any = True
        return error


def tenacity_options(call: Call[Any], attempts: int) -> dict[str, Any]:
    """Return the policy as the keyword arguments of ``tenacity.Retrying`` and ``tenacity.AsyncRetrying``."""
    import tenacity

    def wait(state: RetryCallState) -> float:
        return pause(state.outcome.exception() if state.outcome else None, state.attempt_number)

    def log_retry(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        seconds = state.next_action.sleep if state.next_action else 0.0
        log.warning("%s Trying again in %.0f s (%d of %d).", error, seconds, state.attempt_number, attempts)

    return {
        "retry": tenacity.retry_if_exception(lambda error: may_repeat(call, error)),
        "wait": wait,
        "stop": tenacity.stop_after_attempt(attempts),
        "before_sleep": log_retry,
        "reraise": True,
    }
