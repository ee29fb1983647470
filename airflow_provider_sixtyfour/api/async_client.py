"""
The client of the triggerer: never blocking the event loop.

The same calls, answers and policy as `client`; only the socket differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import tenacity

from airflow_provider_sixtyfour.api import transport
from airflow_provider_sixtyfour.api.observing import Observed, Observer, unobserved
from airflow_provider_sixtyfour.api.response_body import UnreadableBodyError
from airflow_provider_sixtyfour.api.responses import Answer
from airflow_provider_sixtyfour.api.retry import ATTEMPTS, LostAnswers, tenacity_options
from airflow_provider_sixtyfour.api.token_responses import read_token
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourUnavailableError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.settings import Settings

T = TypeVar("T")


class AsyncSixtyfourClient:
    """
    Sends calls and returns what they ask for, within one event loop; an ``async with`` closes it.

    Uploads are the worker's business: a call with an ``upload`` is refused.

    :param sleep: takes the seconds to pause between two tries.
    :param observe: counts the requests; see `observing`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        observe: Observer = unobserved,
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._observe = observe
        self._renewal = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._http: httpx.AsyncClient | None = None

    @property
    def requests_per_minute(self) -> float:
        """What the connection allows; the client itself doesn't count."""
        return self._settings.requests_per_minute

    async def __aenter__(self) -> AsyncSixtyfourClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def send(self, call: Call[T], *, attempts: int = ATTEMPTS) -> T:
        """Send a call, again where the policy allows it; the same as `SixtyfourClient.send`."""
        if call.upload is not None:
            raise SixtyfourInputError("A file is uploaded by the blocking client only.")
        if attempts == 1:  # what a poller sends by the hundred: the machinery costs as much as a quarter of a request
            return await self._try(call, LostAnswers(call))
        retrying = tenacity.AsyncRetrying(sleep=self._sleep, **tenacity_options(call, attempts))
        result: T = await retrying(self._try, call, LostAnswers(call))
        return result

    def gave_up(self) -> None:
        """Report a request that its sender has cancelled, as it has waited long enough, to the observer."""
        self._observe(Observed.UNAVAILABLE)

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def _try(self, call: Call[T], lost: LostAnswers) -> T:
        with lost.attempt(self._observe):
            return await self._answer(call)

    async def _answer(self, call: Call[T]) -> T:
        credential = self._settings.credential
        headers = await self._authorize() if call.authenticated else {}
        answer = await self._transmit(call, headers)
        if answer.status == 401 and call.authenticated and credential.discard(headers):
            answer = await self._transmit(call, await self._authorize())
        return await self._result(call, answer)

    async def _authorize(self) -> dict[str, str]:
        credential = self._settings.credential
        if (headers := credential.headers()) is not None:
            return headers
        async with self._renewal:
            if (headers := credential.headers()) is not None:
                return headers
            # Signing takes a millisecond or two, and to pass a secret to the supervisor blocks: off the loop.
            renewal = await asyncio.to_thread(credential.renewal, self._settings.base_url)
            try:
                answer = await self._transmit(renewal, {})
                token = await asyncio.to_thread(read_token, renewal, answer, self._settings)
            except SixtyfourUnavailableError as error:
                error.may_have_worked = False  # the call that needs the token has not been sent
                raise
            await asyncio.to_thread(credential.accept, token)
            return credential.headers() or {}

    async def _transmit(self, call: Call[Any], headers: dict[str, str]) -> Answer:
        http = await self._open()
        limit = transport.seconds(self._settings, call)
        # A connection that can't be made is noticed before the limit: it is known then that nothing was sent.
        connecting = 0.9 * self._settings.timeout
        timeouts = {"pool": connecting, "connect": connecting, "read": None, "write": None}
        response = None
        try:
            async with asyncio.timeout(limit):
                request = transport.request(http, self._settings, call, headers, timeouts)
                self._observe(Observed.REQUEST)
                response = await http.send(request, stream=True)
                try:
                    body = transport.body(response, call)
                    async for chunk in response.aiter_raw():
                        body.take(chunk)
                finally:
                    await response.aclose()
            return transport.answer(response, body)
        except (httpx.HTTPError, httpx.InvalidURL, UnreadableBodyError, TimeoutError) as error:
            raise transport.failure(error, self._settings, call, response) from None

    async def _result(self, call: Call[T], answer: Answer) -> T:
        if len(answer.body) <= transport.LONG_BODY:
            return transport.result(call, answer, self._settings)
        return await asyncio.to_thread(transport.result, call, answer, self._settings)

    async def _open(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._http is None:
                self._http = await asyncio.to_thread(transport.opened, httpx.AsyncClient, self._settings)
            return self._http
