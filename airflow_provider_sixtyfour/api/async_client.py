"""
The client of the triggerer: on httpx, never blocking the event loop.

The same calls, answers and policy as `client`; only the socket differs.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import httpx
import tenacity

from airflow_provider_sixtyfour.api.errors import SixtyfourInputError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.api.protocol import Answer, read
from airflow_provider_sixtyfour.api.retry import ATTEMPTS, tenacity_options
from airflow_provider_sixtyfour.api.transport import network_error, trusting

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.settings import Settings

T = TypeVar("T")

MOST_CONNECTIONS = 8
IDLE_SECONDS = 75.0  # for which a connection is kept: longer than the usual poll intervals


class AsyncSixtyfourClient:
    """
    Sends calls and returns what they ask for, within one event loop; an ``async with`` closes it.

    Uploads are the worker's business: a call with an ``upload`` is refused.

    :param sleep: takes the seconds to pause between two tries.
    """

    def __init__(self, settings: Settings, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._settings = settings
        self._sleep = sleep
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
        if attempts == 1:  # what a monitor sends by the hundred: the machinery costs as much as a quarter of a request
            return await self._try(call)
        retrying = tenacity.AsyncRetrying(sleep=self._sleep, **tenacity_options(call, attempts))
        result: T = await retrying(self._try, call)
        return result

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def _try(self, call: Call[T]) -> T:
        credential = self._settings.credential
        headers = await self._authorize() if call.authenticated else {}
        answer = await self._transmit(call, headers)
        if answer.status == 401 and call.authenticated and credential.discard(headers):
            answer = await self._transmit(call, await self._authorize())
        return read(call, answer, secrets=credential.secrets())

    async def _authorize(self) -> dict[str, str]:
        credential = self._settings.credential
        if (headers := credential.headers()) is not None:
            return headers
        async with self._renewal:
            if (headers := credential.headers()) is not None:
                return headers
            # Signing takes a millisecond or two, and telling the supervisor of a secret blocks: off the loop.
            renewal = await asyncio.to_thread(credential.renewal, self._settings.base_url)
            try:
                token = read(renewal, await self._transmit(renewal, {}), secrets=credential.secrets())
            except SixtyfourUnavailableError as error:
                error.may_have_worked = False  # the call that needs the token has not been sent
                raise
            await asyncio.to_thread(credential.accept, token)
            return credential.headers() or {}

    async def _transmit(self, call: Call[Any], headers: dict[str, str]) -> Answer:
        settings = self._settings
        http = await self._open()
        try:
            response = await http.request(
                call.method,
                settings.base_url + call.path + ("?" + urlencode(call.query) if call.query else ""),
                content=call.body,
                data=dict(call.form) if call.form is not None else None,
                headers={**call.headers(), **headers},
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise network_error(
                error,
                purpose=call.purpose,
                host=settings.base_url,
                timeout=settings.timeout,
                never_sent=isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout),
            ) from None
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, lower, response.content)

    async def _open(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._http is None:
                # Reading the CA certificates takes tens of milliseconds: off the loop.
                self._http = await asyncio.to_thread(self._connectionless)
            return self._http

    def _connectionless(self) -> httpx.AsyncClient:
        settings = self._settings
        verify: bool | ssl.SSLContext = settings.verify is not False
        bundle = settings.verify if isinstance(settings.verify, str) else ""
        if settings.verify is True:
            # What requests goes by, so that a triggerer trusts whom a worker trusts.
            bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or ""
        if bundle:
            verify = trusting(bundle)
        limits = httpx.Limits(
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
        )
        return httpx.AsyncClient(verify=verify, timeout=settings.timeout, limits=limits, follow_redirects=False)
