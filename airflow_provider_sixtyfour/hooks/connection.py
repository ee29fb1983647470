"""
From an Airflow connection to the settings of a client; every fault of a connection is found here.

Nothing is sent with a connection of another type. No message shows a field that may hold a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import settings
from airflow_provider_sixtyfour.api.credentials import ApiKey, Credential, OAuthClient
from airflow_provider_sixtyfour.api.private_keys import pem, read_file
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.hooks.webhook_settings import WebhookSettings, read_webhook_settings

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

CONNECTION_TYPE = "sixtyfour"
EXTRA_FIELDS = (
    "key_id",
    "private_key",
    "private_key_path",
    "timeout",
    "verify",
    "requests_per_minute",
    "webhook_secret",
    "allow_unsigned",
)
# The form of an older Airflow writes its fields with this before them.
_PREFIX = f"extra__{CONNECTION_TYPE}__"
_MOST_NAMED = 5


def read_settings(
    connection: Connection, extra: Any, on_secret: Callable[[str], object], *, subject: str = "The connection"
) -> settings.Settings:
    """
    Return the settings that a connection describes.

    :param extra: the connection's ``extra``, decoded.
    :param on_secret: is called with every secret that is minted from the connection, or that Airflow may not mask.
    :param subject: names the connection, as a sentence begins.
    :raises SixtyfourInputError: naming the field that is wrong or missing, or the type that is another one.
    """
    _check_type(connection, subject)
    fields = _fields(connection, extra, subject)
    _mask_webhook_secrets(fields, on_secret)
    return settings.Settings(
        credential=_credential(connection, fields, on_secret, subject),
        base_url=settings.base_url(connection.host, scheme=connection.schema, port=connection.port),
        timeout=settings.timeout(_given(fields, "timeout", settings.DEFAULT_TIMEOUT)),
        verify=settings.verify(_given(fields, "verify", True)),
        requests_per_minute=settings.requests_per_minute(
            _given(fields, "requests_per_minute", settings.DEFAULT_REQUESTS_PER_MINUTE)
        ),
    )


def webhook_settings(connection: Connection, extra: Any) -> WebhookSettings | None:
    """
    Return how webhooks to a connection are checked; ``None`` if it takes none, as one of another type.

    :param extra: the connection's ``extra``, decoded.
    :raises ValueError: if a field can't be right; the message names it and shows nothing of it.
    """
    is_of_this_type = (connection.conn_type or "").strip().lower() == CONNECTION_TYPE
    return read_webhook_settings(_by_own_names(extra)) if is_of_this_type and isinstance(extra, Mapping) else None


def _mask_webhook_secrets(fields: Mapping[str, Any], on_secret: Callable[[str], object]) -> None:
    """Mask each by itself: of a list in a text, Airflow masks the text as a whole."""
    with suppress(ValueError):  # whoever receives webhooks says so
        found = read_webhook_settings(fields)
        for secret in () if found is None else found.secrets:
            on_secret(secret)


def unknown_fields(extra: Any) -> str | None:
    """Return a warning that names the fields of an ``extra`` that mean nothing here; ``None`` if there are none."""
    if not isinstance(extra, Mapping):
        return None
    names = (str(name).removeprefix(_PREFIX) for name in extra)
    # Of another type's form: Airflow keeps them when a connection is given another type.
    unknown = [name for name in names if name not in EXTRA_FIELDS and not name.startswith("extra__")]
    if not unknown:
        return None
    more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
    return f"Unknown in the connection's extra, and ignored: {', '.join(_hints(unknown[:_MOST_NAMED]))}{more}."


def _hints(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        close = get_close_matches(name.lower(), EXTRA_FIELDS, n=1)
        yield f"{name!r:.40}" + (f" (did you mean {close[0]!r}?)" if close else "")


def _check_type(connection: Connection, subject: str) -> None:
    kind = (connection.conn_type or "").strip()
    if not kind:
        raise SixtyfourInputError(
            f"{subject} has no type, so nothing was sent with it: set its conn_type to {CONNECTION_TYPE!r}."
        )
    if kind.lower() != CONNECTION_TYPE:
        raise SixtyfourInputError(
            f"{subject} is of type {kind:.40}, not {CONNECTION_TYPE}, so nothing was sent with it: "
            f"name a connection of type {CONNECTION_TYPE}, or correct its type."
        )


def _fields(connection: Connection, extra: Any, subject: str) -> dict[str, Any]:
    """Return the ``extra`` by its fields' own names."""
    # Of text that is no JSON, Airflow makes an empty object.
    if not isinstance(extra, Mapping) or (not extra and (connection.extra or "").strip() not in ("", "{}", "null")):
        raise SixtyfourInputError(f'{subject} has an extra that is no JSON object, such as {{"timeout": 30}}.')
    return _by_own_names(extra)


def _by_own_names(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``extra`` by its fields' own names, also where an older Airflow's form has written it."""
    unprefixed = {name.removeprefix(_PREFIX): value for name, value in extra.items() if name.startswith(_PREFIX)}
    return {**unprefixed, **extra}


def _given(extra: Mapping[str, Any], field: str, default: Any) -> Any:
    """Return a field of the extra; the form of a connection saves those that are left empty, too."""
    return default if extra.get(field) in (None, "") else extra[field]


def _credential(
    connection: Connection, extra: Mapping[str, Any], on_secret: Callable[[str], object], subject: str
) -> Credential:
    is_oauth = any(extra.get(field) for field in ("key_id", "private_key", "private_key_path"))
    if not is_oauth:
        if not connection.password:
            raise SixtyfourInputError(
                f"{subject} has no credential: set an API key as its password, or an OAuth client "
                "(login, and key_id and private_key in its extra)."
            )
        return ApiKey(connection.password)
    if connection.password:
        raise SixtyfourInputError(
            f"{subject} has both an API key (password) and an OAuth client (extra): remove one of them."
        )
    for value, field in ((connection.login, "login (the OAuth client's id)"), (extra.get("key_id"), "extra.key_id")):
        if not isinstance(value, str) or not value:
            raise SixtyfourInputError(f"{subject} describes an OAuth client, but has no {field}.")
    return OAuthClient(str(connection.login), str(extra["key_id"]), _private_key(extra, subject), on_secret=on_secret)


def _private_key(extra: Mapping[str, Any], subject: str) -> str:
    key, path = extra.get("private_key"), extra.get("private_key_path")
    if bool(key) == bool(path):
        raise SixtyfourInputError(
            f"{subject} describes an OAuth client, but has {'two private keys' if key else 'no private key'}: "
            "set private_key or private_key_path in its extra, one of the two."
        )
    if not path:
        return pem(str(key))
    try:
        return pem(read_file(str(path)))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SixtyfourInputError(
            f"{subject} has a private_key_path that can't be read here: {reason}. Workers and triggerers need the file."
        ) from None
