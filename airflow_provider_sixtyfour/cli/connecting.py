"""
Where a command gets its credential: from ``--conn-id``, the environment, or the default connection, in this order.

Never from an argument: other users of a machine can read the arguments of its processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourInputError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.settings import Settings
    from airflow_provider_sixtyfour.cli.console import Console

T = TypeVar("T")

KEY_VARIABLE = "SIXTYFOUR_API_KEY"
URL_VARIABLE = "SIXTYFOUR_API_URL"
DEFAULT_CONNECTION = "sixtyfour_default"
ATTEMPTS = 5  # of a call: ten seconds on average while nothing answers; somebody may be looking on


class Account(NamedTuple):
    """
    The API and the credential for it; a landing takes it for a hook.

    :param reconnect: reads the connection again, see `polling.blocking.wait`; ``None`` where there is none.
    """

    client: SixtyfourClient
    settings: Settings
    reconnect: Callable[[], SixtyfourClient | None] | None = None


class Client(SixtyfourClient):
    """A client with the patience of a command line."""

    def send(self, call: Call[T], *, attempts: int = ATTEMPTS) -> T:
        """Send a call; see `SixtyfourClient.send`."""
        return super().send(call, attempts=attempts)


def connect(conn_id: str | None, console: Console) -> Account:
    """
    Return the API that a command is for.

    :param conn_id: the Airflow connection; that of the environment if ``None``.
    :raises SixtyfourInputError: if there is no credential, or it can't be right.
    :raises SixtyfourUnavailableError: if who keeps the connection can't be asked.
    """
    if conn_id is None and (key := os.environ.get(KEY_VARIABLE)) is not None:
        return _from_environment(key)
    if conn_id is None and os.environ.get(URL_VARIABLE):
        console.warning("%s is ignored: it goes with %s, which is not set.", URL_VARIABLE, KEY_VARIABLE)
    try:
        return _from_connection(DEFAULT_CONNECTION if conn_id is None else conn_id)
    except SixtyfourError as error:
        if conn_id is None:
            hint = f"No credential: {KEY_VARIABLE} is not set, and --conn-id names no connection."
            raise type(error)(f"{hint} {error}") from None
        raise


def _from_environment(key: str) -> Account:
    from airflow_provider_sixtyfour.api import settings
    from airflow_provider_sixtyfour.api.credentials import ApiKey

    try:
        credential = ApiKey(key)
    except SixtyfourInputError:
        problem = "holds spaces or characters that no key has" if key.strip() else "is set, and empty"
        raise SixtyfourInputError(f"{KEY_VARIABLE} {problem}: set it to an API key, or unset it.") from None
    base_url = settings.base_url(os.environ.get(URL_VARIABLE), subject=URL_VARIABLE)
    found = settings.Settings(credential, base_url)
    return Account(Client(found), found)


def _from_connection(conn_id: str) -> Account:
    try:
        from airflow_provider_sixtyfour.cli.connection_hook import ConnectionHook
    except Exception as error:  # Airflow reads its configuration, and may look for a database's driver
        raise SixtyfourInputError(
            f"Airflow can't be loaded, and with it connection {conn_id!r}: {type(error).__name__}: {error}. "
            f"Correct its configuration, or set {KEY_VARIABLE}."
        ) from None
    hook = ConnectionHook(conn_id)
    try:
        settings = hook.settings
    except SixtyfourError:
        raise
    except Exception as error:  # of a secrets backend, or a database: its text may quote the connection
        raise SixtyfourInputError(f"Connection {conn_id!r} can't be read: {type(error).__name__}.") from None
    return Account(Client(settings), settings, hook.reconnected)
