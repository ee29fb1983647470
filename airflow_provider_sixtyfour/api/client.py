"""
The client of the worker: blocking.

On httpx, as that of the triggerer: Airflow 3 has loaded it before it forks a task's process, and another library would
be loaded again in each. Every request carries the credential to the API's origin only.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import tenacity

from airflow_provider_sixtyfour.api import transport
from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.observing import Observed, Observer, unobserved
from airflow_provider_sixtyfour.api.response_body import UnreadableBodyError
from airflow_provider_sixtyfour.api.responses import Answer
from airflow_provider_sixtyfour.api.retry import ATTEMPTS, LostAnswers, tenacity_options
from airflow_provider_sixtyfour.api.timeouts import TimeLimit, hold_limits
from airflow_provider_sixtyfour.api.token_responses import read_token
from airflow_provider_sixtyfour.exceptions import SixtyfourUnavailableError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.settings import Settings

T = TypeVar("T")


class SixtyfourClient:
    """
    Sends calls and returns what they ask for; safe to use from several threads.

    :param sleep: takes the seconds to pause between two tries.
    :param observe: counts the requests; see `observing`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        observe: Observer = unobserved,
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._observe = observe
        self._renewal = threading.Lock()
        self._opening = threading.Lock()
        self._http: httpx.Client | None = None

    @property
    def base_url(self) -> str:
        """The API's base URL, without a slash at its end."""
        return self._settings.base_url

    @property
    def cleaner(self) -> Cleaner:
        """What cleans text of the API of this client's secrets, where an answer is kept as it came."""
        return Cleaner(self._settings.credential.secrets())

    def send(self, call: Call[T], *, attempts: int = ATTEMPTS) -> T:
        """
        Send a call, again where the policy allows it, and return what it asks for.

        :param attempts: how many times to try at most.
        :raises SixtyfourRefusedError: if the API refuses it; after one request.
        :raises SixtyfourUnavailableError: if no try got a usable answer.
        """
        retrying = tenacity.Retrying(sleep=self._sleep, **tenacity_options(call, attempts))
        result: T = retrying(self._try, call, LostAnswers(call))
        return result

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _try(self, call: Call[T], lost: LostAnswers) -> T:
        with lost.attempt(self._observe):
            return self._answer(call)

    def _answer(self, call: Call[T]) -> T:
        credential = self._settings.credential
        headers = self.authorize() if call.authenticated else {}
        answer = self._transmit(call, headers)
        if answer.status == 401 and call.authenticated and credential.discard(headers):
            answer = self._transmit(call, self.authorize())
        return transport.result(call, answer, self._settings)

    def authorize(self) -> dict[str, str]:
        """
        Return the headers that authenticate a request, after a new token was got where one is needed.

        :raises SixtyfourError: if no token can be got.
        """
        credential = self._settings.credential
        if (headers := credential.headers()) is not None:
            return headers
        with self._renewal:
            if (headers := credential.headers()) is not None:
                return headers
            renewal = credential.renewal(self._settings.base_url)
            try:
                credential.accept(read_token(renewal, self._transmit(renewal, {}), self._settings))
            except SixtyfourUnavailableError as error:
                error.may_have_worked = False  # the call that needs the token has not been sent
                raise
            return credential.headers() or {}

    def _transmit(self, call: Call[Any], headers: dict[str, str]) -> Answer:
        http = self._open()
        response = None
        try:
            request = transport.request(http, self._settings, call, headers, self._timeouts(call))
            self._observe(Observed.REQUEST)
            with contextlib.closing(http.send(request, stream=True)) as response:
                body = transport.body(response, call)
                for chunk in response.iter_raw():
                    body.take(chunk)
                return transport.answer(response, body)
        except (httpx.HTTPError, httpx.InvalidURL, UnreadableBodyError) as error:
            raise transport.failure(error, self._settings, call, response) from None

    def _timeouts(self, call: Call[Any]) -> dict[str, float | None]:
        """Return one time limit for all steps; an upload's answer has one of its own, when all has been sent."""
        step = self._settings.timeout
        limit = answer = TimeLimit(step, whole=transport.seconds(self._settings, call))
        if call.upload is not None:
            answer = TimeLimit(step, starts_at_first_use=True)
        return {"pool": step, "connect": limit, "write": limit, "read": answer}

    def _open(self) -> httpx.Client:
        with self._opening:
            if self._http is None:
                self._http = transport.opened(httpx.Client, self._settings)
                hold_limits(self._http)
            return self._http
