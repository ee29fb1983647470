"""
How a watcher reaches the API, for as long as it lives: through all that may happen to a connection and to the API.

It uses the poller that all triggers of the connection share, and with it the one rate limit. After a refusal it reads
the connection again, and continues with what that says by now: a watcher is bound to no run, and so to no host.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_sixtyfour.exceptions import SixtyfourRefusedError
from airflow_provider_sixtyfour.hooks import metrics
from airflow_provider_sixtyfour.hooks.resolving import resolve
from airflow_provider_sixtyfour.hooks.sixtyfour import RENEWED
from airflow_provider_sixtyfour.polling.poller import shared_poller
from airflow_provider_sixtyfour.tasks.repeated_errors import RepeatedErrors

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.call import Call
    from airflow_provider_sixtyfour.hooks.resolved import Resolved
    from airflow_provider_sixtyfour.polling.poller import RunPoller

T = TypeVar("T")


class WatchedApi:
    """
    The API behind a connection.

    :param conn_id: the connection.
    :param log: the watcher's.
    """

    def __init__(self, conn_id: str, log: Any) -> None:
        self._conn_id = conn_id
        self._log = log
        self._access: Resolved | None = None
        self._is_refused = False
        self._poller: RunPoller | None = None
        self._stack = AsyncExitStack()
        self._read_errors = RepeatedErrors(log, f"Connection {conn_id!r} is used as it was.")

    @property
    def host(self) -> str:
        """The base URL, once something was sent."""
        return "" if self._access is None else self._access.base_url

    async def send(self, call: Call[T]) -> T:
        """
        Send a call, once.

        :raises SixtyfourError: if there is no answer, it is a refusal, or the connection can't be used.
        """
        poller = await self._opened()
        try:
            return await poller.send(call, attempts=1)
        except SixtyfourRefusedError:
            self._is_refused = True
            raise

    async def close(self) -> None:
        """Leave the poller, which closes its connections if nobody else uses it."""
        stack, self._stack, self._poller = self._stack, AsyncExitStack(), None
        await stack.aclose()

    async def _opened(self) -> RunPoller:
        if self._poller is None or self._is_refused:
            access = await self._resolved()
            if self._poller is None or self._access is None or access.key != self._access.key:
                await self.close()
                if self._access is not None and access.key != self._access.key:
                    self._log.info(RENEWED, self._conn_id)
                await metrics.prepare()
                open_client = partial(access.open_client, metrics.observer(self._conn_id))
                shared = shared_poller(access.key, open_client, account=access.account)
                self._access, self._poller = access, await self._stack.enter_async_context(shared)
            self._is_refused = False
        return self._poller

    async def _resolved(self) -> Resolved:
        try:
            access = await resolve(self._conn_id)
        except Exception as error:
            if self._access is None or self._poller is None:
                raise
            self._read_errors.add(error)
            return self._access
        self._read_errors.clear()
        return access
