"""
What a client must know of a connection, checked before anything is sent.

The base URL is an origin with an optional path and nothing else, so that "the API's own origin" is one thing.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_sixtyfour.api.credentials import Credential
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

LIVE_URL = "https://api.sixtyfour.ai"
DEFAULT_TIMEOUT = 60.0  # seconds
MOST_TIMEOUT = 1_000_000.0  # seconds; a socket overflows somewhere beyond
# Of the 500 that the API takes for a key, all endpoints together. The rest is for submissions, which come from workers,
# and for whoever else uses the key.
DEFAULT_REQUESTS_PER_MINUTE = 360.0


class Settings(NamedTuple):
    """
    Where the API is and how to talk to it.

    :param base_url: see `base_url`.
    :param timeout: seconds to wait for a connection, and for each chunk of an answer.
    :param verify: whether to check the server's certificate, or the path of the CA bundle to check it with.
    :param requests_per_minute: how many requests a triggerer may send in a minute while it waits for runs.
    """

    credential: Credential
    base_url: str = LIVE_URL
    timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True
    requests_per_minute: float = DEFAULT_REQUESTS_PER_MINUTE

    def __repr__(self) -> str:
        """Show all but the credential."""
        return f"Settings{self[1:]}"


def base_url(
    host: str | None, *, scheme: str | None = None, port: int | None = None, subject: str = "The connection's host"
) -> str:
    """
    Return the base URL that a connection's fields name; the live service if they name none.

    :param subject: names what holds the address, as a sentence begins.
    :raises SixtyfourInputError: if they name something else than an ``http(s)`` address.
    """
    text = (host or "").strip()
    if not text:
        return LIVE_URL
    given_scheme, mark, rest = text.rpartition("://")
    text = f"{given_scheme if mark else scheme or 'https'}://{_bracketed(rest)}"
    try:
        parts = urlsplit(text)
        port = port if parts.port is None else parts.port
        name = (parts.hostname or "").encode("idna").decode()  # an empty or endless label fails here
    except ValueError:
        raise _wrong_host(subject, "is not a valid URL") from None
    if parts.scheme not in ("http", "https") or not all(c.isprintable() and c not in " \\" for c in text):
        raise _wrong_host(subject, "names no http(s) host")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise _wrong_host(subject, "holds more than an address (user, password, query or fragment)")
    # Other characters are where parsers differ, and with them what they take for the host.
    if not (_is_ipv6(name) if ":" in name else re.fullmatch(r"[a-z0-9._-]+", name)) or name == ".":
        raise _wrong_host(subject, "names no http(s) host")
    if port is not None and not 0 < port < 65536:
        raise _wrong_host(subject, f"has the port {port}, which is not valid")
    authority = (f"[{name}]" if ":" in name else name) + ("" if port is None else f":{port}")
    return f"{parts.scheme}://{authority}{parts.path.rstrip('/')}"


def _wrong_host(subject: str, reason: str) -> SixtyfourInputError:
    return SixtyfourInputError(f"{subject} {reason}: set the API's address, such as {LIVE_URL}.")


def _bracketed(rest: str) -> str:
    """Return what follows the scheme with its IPv6 address in brackets: Airflow takes them off the host of a URI."""
    host, slash, path = rest.partition("/")
    return f"[{host}]{slash}{path}" if _is_ipv6(host) else rest


def _is_ipv6(host: str) -> bool:
    if host.count(":") < 2 or "%" in host:  # no network interface: it is no part of an address that others know
        return False
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def timeout(value: Any) -> float:
    """
    Return the timeout in seconds that a connection's ``extra`` gives, as a number or its text.

    :raises SixtyfourInputError: if it is no positive number, or more than a socket takes.
    """
    number = _positive(value, "timeout", "a positive number of seconds")
    if number > MOST_TIMEOUT:
        raise SixtyfourInputError(
            f"timeout in the connection's extra is {number:g} seconds; set {MOST_TIMEOUT:,.0f} or less."
        )
    return number


def requests_per_minute(value: Any) -> float:
    """
    Return the requests a minute that a connection's ``extra`` gives, as a number or its text.

    :raises SixtyfourInputError: if it is less than one a minute, or no number.
    """
    number = _positive(value, "requests_per_minute", "a number, 1 or more")
    if number < 1:
        raise SixtyfourInputError(f"requests_per_minute in the connection's extra is {number:g}; set 1 or more.")
    return number


def _positive(value: Any, name: str, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not 0 < number < math.inf:
        raise SixtyfourInputError(f"{name} in the connection's extra is {str(value)[:40]!r}: set {what}.")
    return number


def verify(value: Any) -> bool | str:
    """
    Return what a connection's ``extra`` says on checking certificates: a boolean, its text, or a path.

    :raises SixtyfourInputError: if it is anything else.
    """
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if isinstance(value, str) and value.strip():
        return os.path.expanduser(value.strip())
    if isinstance(value, bool):
        return value
    raise SixtyfourInputError(
        "verify in the connection's extra is invalid: set true, false or the path of a CA bundle."
    )
