"""
From an Airflow connection to the settings of a client; every fault of a connection is found here.

No message shows a field that may hold a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import settings
from airflow_provider_sixtyfour.api.credentials import ApiKey, Credential, OAuthClient
from airflow_provider_sixtyfour.api.errors import SixtyfourInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


def read_settings(
    connection: Connection, extra: Mapping[str, Any], on_secret: Callable[[str], object]
) -> settings.Settings:
    """
    Return the settings that a connection describes.

    :param extra: the connection's ``extra``, decoded.
    :param on_secret: is told every secret that is minted from the connection.
    :raises SixtyfourInputError: naming the field that is wrong or missing.
    """
    return settings.Settings(
        credential=_credential(connection, extra, on_secret),
        base_url=settings.base_url(connection.host, scheme=connection.schema, port=connection.port),
        timeout=settings.timeout(_given(extra, "timeout", settings.DEFAULT_TIMEOUT)),
        verify=settings.verify(_given(extra, "verify", True)),
        requests_per_minute=settings.requests_per_minute(
            _given(extra, "requests_per_minute", settings.DEFAULT_REQUESTS_PER_MINUTE)
        ),
    )


def _given(extra: Mapping[str, Any], field: str, default: Any) -> Any:
    """Return a field of the extra; the form of a connection saves those that are left empty, too."""
    return default if extra.get(field) in (None, "") else extra[field]


def _credential(connection: Connection, extra: Mapping[str, Any], on_secret: Callable[[str], object]) -> Credential:
    name = connection.conn_id
    is_oauth = any(extra.get(field) for field in ("key_id", "private_key", "private_key_path"))
    if not is_oauth:
        if not connection.password:
            raise SixtyfourInputError(
                f"Connection {name!r} has no credential: give an API key as its password, or an OAuth client "
                "(login, and key_id and private_key in its extra)."
            )
        return ApiKey(connection.password)
    if connection.password:
        raise SixtyfourInputError(
            f"Connection {name!r} has both an API key (password) and an OAuth client (extra); the API takes one."
        )
    for value, field in ((connection.login, "login (the OAuth client's id)"), (extra.get("key_id"), "extra.key_id")):
        if not isinstance(value, str) or not value:
            raise SixtyfourInputError(f"Connection {name!r} describes an OAuth client, but has no {field}.")
    return OAuthClient(str(connection.login), str(extra["key_id"]), _private_key(name, extra), on_secret=on_secret)


def _private_key(name: str, extra: Mapping[str, Any]) -> str:
    key, path = extra.get("private_key"), extra.get("private_key_path")
    if bool(key) == bool(path):
        raise SixtyfourInputError(
            f"Connection {name!r} describes an OAuth client: give private_key or private_key_path in its extra, one "
            "of the two."
        )
    if path:
        try:
            return Path(str(path)).read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise SixtyfourInputError(f"private_key_path of connection {name!r} can't be read: {reason}.") from None
    # A PEM text that was pasted into JSON often arrives with its line breaks escaped twice.
    return str(key).replace("\\n", "\n")
