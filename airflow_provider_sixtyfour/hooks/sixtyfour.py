"""The way from an Airflow connection to a client, on the worker and in the triggerer."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.errors import (
    SixtyfourInputError,
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.api.settings import Settings

DEFAULT_CONNECTION = "sixtyfour_default"


class SixtyfourHook(BaseHook):
    """
    Talk to the Sixtyfour Workflows API with the credential of a connection.

    ``hook.client.send(calls.list_workflows())`` sends any call of `airflow_provider_sixtyfour.api.calls`.

    :param sixtyfour_conn_id: the Airflow connection, of type ``sixtyfour``.
    """

    conn_name_attr = "sixtyfour_conn_id"
    default_conn_name = DEFAULT_CONNECTION
    conn_type = "sixtyfour"
    hook_name = "Sixtyfour"

    def __init__(self, sixtyfour_conn_id: str = DEFAULT_CONNECTION, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sixtyfour_conn_id = sixtyfour_conn_id

    @cached_property
    def settings(self) -> Settings:
        """
        What the connection says, checked; reading it sends nothing to the API.

        :raises SixtyfourInputError: naming the field of the connection that is wrong.
        """
        from airflow.providers.common.compat.sdk import mask_secret

        from airflow_provider_sixtyfour.hooks.connection import read_settings

        return read_settings(self._connection, self._connection.extra_dejson, mask_secret)

    @cached_property
    def client(self) -> SixtyfourClient:
        """The blocking client for this connection; made on first use, then kept."""
        from airflow_provider_sixtyfour.api.client import SixtyfourClient

        return SixtyfourClient(self.settings)

    def spare_client(self) -> SixtyfourClient:
        """
        Return another client for a task's ``on_kill``, ready before it is needed.

        It shares no lock with `client`, and asks the supervisor for nothing, not even to mask a token: a signal
        handler may have interrupted either.
        """
        from airflow_provider_sixtyfour.api.client import SixtyfourClient
        from airflow_provider_sixtyfour.hooks.connection import read_settings

        return SixtyfourClient(read_settings(self._connection, self._connection.extra_dejson, lambda _: None))

    @cached_property
    def _connection(self) -> Connection:
        """Read once, for all clients of a task: each time, a worker would ask Airflow's API server."""
        return self.get_connection(self.sixtyfour_conn_id)

    def get_conn(self) -> SixtyfourClient:
        """Return `client`, under the name that Airflow's hooks give it."""
        return self.client

    async def open_async_client(self) -> AsyncSixtyfourClient:
        """
        Return a new client for the running event loop, without blocking it; use it with ``async with``.

        :raises SixtyfourInputError: naming the field of the connection that is wrong.
        """
        import asyncio

        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
        from airflow.providers.common.compat.sdk import mask_secret

        from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
        from airflow_provider_sixtyfour.hooks.connection import read_settings

        connection = await get_async_connection(self.sixtyfour_conn_id, hook=self)
        extra = await get_async_extra_dejson(connection)
        # In a thread: a key file may have to be read, and a key takes milliseconds to check.
        return AsyncSixtyfourClient(await asyncio.to_thread(read_settings, connection, extra, mask_secret))

    def test_connection(self) -> tuple[bool, str]:
        """Make one cheap authenticated call and say what is wrong: the address, the network or the credential."""
        try:
            self.client.send(calls.list_runs(limit=1), attempts=1)
        except SixtyfourNotFoundError:
            return False, f"{self.settings.base_url} answers, but is not the Sixtyfour API: check the host (404)."
        except SixtyfourRefusedError as error:
            if error.status in (401, 403):
                return False, f"{self.settings.base_url} refuses the credential: {error}"
            return False, str(error)
        except SixtyfourUnavailableError as error:
            if error.status is not None and error.status < 300:
                return False, f"{self.settings.base_url} answers, but is not the Sixtyfour API: check the host. {error}"
            return False, str(error)
        except SixtyfourInputError as error:
            return False, str(error)
        return True, f"{self.settings.base_url} accepts the credential."
