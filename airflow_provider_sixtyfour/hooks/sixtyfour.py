"""The way from an Airflow connection to a client, on the worker and in the triggerer."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourInputError,
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.hooks.operations import Operations

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.api.observing import Observer
    from airflow_provider_sixtyfour.api.session import ApiSession
    from airflow_provider_sixtyfour.api.settings import Settings

DEFAULT_CONNECTION = "sixtyfour_default"

_readings: set[asyncio.Task[Any]] = set()  # strong references: the loop itself keeps weak ones

# What a connection that was read again, while a run is waited for, says by now.
RENEWED = "Connection %r has another credential, or other settings, by now: polling continues with them."
ELSEWHERE = "Connection %r now points to %s, while the run was started at %s: polling continues at %s."


class SixtyfourHook(Operations, BaseHook):
    """
    Talk to the Sixtyfour API with the credential of a connection.

    Has a method for each operation, see `Operations`. Async code sends the same calls, of
    `airflow_provider_sixtyfour.api.calls`, by the client of `open_async_client`. `get_conn` reaches what no method
    wraps.

    :param sixtyfour_conn_id: the Airflow connection, of type ``sixtyfour``.
    """

    conn_name_attr = "sixtyfour_conn_id"
    default_conn_name = DEFAULT_CONNECTION
    conn_type = "sixtyfour"
    hook_name = "Sixtyfour"

    def __init__(self, sixtyfour_conn_id: str = DEFAULT_CONNECTION, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sixtyfour_conn_id = sixtyfour_conn_id
        self._subject = f"Connection {sixtyfour_conn_id!r}"  # as messages name it
        self._other_host: str | None = None

    @cached_property
    def settings(self) -> Settings:
        """
        What the connection says, checked; reading it sends nothing to the API.

        :raises SixtyfourInputError: if there is no such connection, it is of another type, or a field of it is wrong.
        """
        from airflow.providers.common.compat.sdk import mask_secret

        extra = self._connection.extra_dejson
        self._warn_of_unknown_fields(extra)
        return self._read_settings(self._connection, extra, mask_secret)

    @cached_property
    def client(self) -> SixtyfourClient:
        """The blocking client for this connection; made on first use, then kept."""
        from airflow_provider_sixtyfour.api.client import SixtyfourClient

        return SixtyfourClient(self.settings, observe=self._observe)

    @cached_property
    def _observe(self) -> Observer:
        """What counts the requests of this hook's clients."""
        from airflow_provider_sixtyfour.hooks.metrics import observer

        return observer(self.sixtyfour_conn_id)

    def spare_client(self) -> SixtyfourClient:
        """
        Return another client for a task's ``on_kill``, ready before it is needed.

        It shares no lock with `client`, and sends nothing to the supervisor, not even a token to mask: a signal handler
        may have interrupted either.
        """
        from airflow_provider_sixtyfour.api.client import SixtyfourClient

        settings = self._read_settings(self._connection, self._connection.extra_dejson, lambda _: None)
        return SixtyfourClient(settings, observe=self._observe)

    @cached_property
    def _connection(self) -> Connection:
        """Read once, for all clients of a task: each time, a worker would ask Airflow's API server."""
        return self._looked_up()

    def _looked_up(self) -> Connection:
        from airflow.providers.common.compat.sdk import AirflowNotFoundException

        try:
            return self.get_connection(self.sixtyfour_conn_id)
        except AirflowNotFoundException:
            from airflow_provider_sixtyfour.hooks.lookup import not_found

            raise not_found(self.sixtyfour_conn_id) from None

    def _read_settings(self, connection: Connection, extra: Any, on_secret: Callable[[str], object]) -> Settings:
        from airflow_provider_sixtyfour.hooks.connection import read_settings

        return read_settings(connection, extra, on_secret, subject=self._subject)

    def _warn_of_unknown_fields(self, extra: Any) -> None:
        from airflow_provider_sixtyfour.hooks.connection import unknown_fields

        if warning := unknown_fields(extra):
            self.log.warning("%s Connection %r.", warning, self.sixtyfour_conn_id)

    def get_conn(self) -> ApiSession:
        """
        Return a new `requests.Session` for the API, for endpoints that no method wraps; close it after use.

        It takes paths as well as URLs: ``session.get("/api/usage")``. The connection's timeout and certificates and the
        environment's proxies are its defaults. The credential goes to the API's origin only: not to another host, along
        no redirect, and no ``~/.netrc`` replaces it; the token of an OAuth client is renewed. Nothing is retried, and a
        refusal is an answer, as ever with `requests`.

        :raises SixtyfourInputError: if there is no such connection, it is of another type, or a field of it is wrong.
        """
        from airflow_provider_sixtyfour.api.session import ApiSession

        return ApiSession(self.settings, self.client)

    def reconnected(self) -> SixtyfourClient | None:
        """
        Read the connection again; return the client of what it says now, which is `client` from then on.

        ``None`` if it says the same as before, can't be read, or names another host: a run is polled where it was
        started, and the credential of one host is not for another.
        """
        from airflow.providers.common.compat.sdk import mask_secret

        from airflow_provider_sixtyfour.api.client import SixtyfourClient
        from airflow_provider_sixtyfour.hooks.resolved import resolved

        before = self.settings
        try:
            connection = self._looked_up()
            now = self._read_settings(connection, connection.extra_dejson, mask_secret)
        except Exception as error:  # what is in use is then as good as any
            self.log.warning("Connection %r can't be read again: %s", self.sixtyfour_conn_id, error)
            return None
        if now.base_url != before.base_url:
            if now.base_url != self._other_host:
                self._other_host = now.base_url
                self.log.warning(ELSEWHERE, self.sixtyfour_conn_id, now.base_url, before.base_url, before.base_url)
            return None
        if resolved(now).key == resolved(before).key:
            return None
        self.log.info(RENEWED, self.sixtyfour_conn_id)
        self._connection, self.settings = connection, now
        self.client = SixtyfourClient(now, observe=self._observe)
        return self.client

    async def read_async(self) -> Settings:
        """
        Return what the connection says, read without blocking the running event loop.

        :raises SixtyfourInputError: if there is no such connection, it is of another type, or a field of it is wrong.
        """
        import asyncio

        from airflow_provider_sixtyfour.hooks.masking import masking_in

        # Shielded: before Airflow 3.2, who is cancelled while the supervisor answers leaves its channel unusable.
        reading = asyncio.create_task(self._read_async())
        _readings.add(reading)
        reading.add_done_callback(_readings.discard)
        connection, extra = await asyncio.shield(reading)
        self._warn_of_unknown_fields(extra)
        # In a thread: a key file may have to be read, and a key takes milliseconds to check.
        on_secret = masking_in(asyncio.get_running_loop())
        return await asyncio.to_thread(self._read_settings, connection, extra, on_secret)

    async def _read_async(self) -> tuple[Connection, Any]:
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
        from airflow.providers.common.compat.sdk import AirflowNotFoundException

        try:
            connection = await get_async_connection(self.sixtyfour_conn_id, hook=self)
        except AirflowNotFoundException:
            from asgiref.sync import sync_to_async

            from airflow_provider_sixtyfour.hooks.lookup import not_found

            # As Airflow itself calls in a thread what reads a connection: not with `asyncio.to_thread`, from where the
            # channel to the supervisor can't be used on all versions.
            raise await sync_to_async(not_found)(self.sixtyfour_conn_id) from None
        return connection, await get_async_extra_dejson(connection)

    async def open_async_client(self) -> AsyncSixtyfourClient:
        """
        Return a new client for the running event loop, without blocking it; use it with ``async with``.

        :raises SixtyfourInputError: if there is no such connection, it is of another type, or a field of it is wrong.
        """
        from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
        from airflow_provider_sixtyfour.hooks.metrics import prepare

        await prepare()
        return AsyncSixtyfourClient(await self.read_async(), observe=self._observe)

    def test_connection(self) -> tuple[bool, str]:
        """
        Make a cheap authenticated call and return what is wrong: the address, the network or the credential.

        The message ends with the balance where the API has it (``GET /check-balance``, since June 2026).

        Airflow calls this under a temporary connection id, which no message names.
        """
        from airflow_provider_sixtyfour.api.observing import unobserved

        self._subject, self._observe = "The connection", unobserved  # a tag of such an id would be one of its own
        try:
            self.client.send(calls.list_runs(limit=1), attempts=1)
        except SixtyfourNotFoundError:
            return False, f"Not the Sixtyfour API (404) at {self.settings.base_url}: check the host."
        except SixtyfourRefusedError as error:
            if error.status in (401, 403):
                return False, f"Credential refused by {self.settings.base_url}: {error}"
            return False, str(error)
        except SixtyfourUnavailableError as error:
            if error.status is not None and error.status < 300:
                return False, f"Not the Sixtyfour API at {self.settings.base_url}: check the host. {error}"
            return False, str(error)
        except SixtyfourInputError as error:
            return False, str(error)
        return True, f"{self.settings.base_url} accepts the credential{self._credits_left()}."

    def _credits_left(self) -> str:
        """Return the balance as the end of a sentence; nothing where the API doesn't give it."""
        try:
            credits = self.client.send(calls.check_balance(), attempts=1)
        except SixtyfourError:
            return ""
        return f"; {credits:,.10g} credits left"
