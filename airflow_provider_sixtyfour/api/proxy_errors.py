"""
What a failure of a proxy is called: which proxy, by host and port, never its user and password.

Knows the errors of both libraries: httpx, which the API is called with, and requests, which fetches result files.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from airflow_provider_sixtyfour.api.proxies import proxy_for
from airflow_provider_sixtyfour.exceptions import SixtyfourUnavailableError, during

# How httpx words the answer of a proxy to CONNECT, and how http.client does, which requests builds on.
_ANSWERED = re.compile(r"(?:Tunnel connection failed: )?([1-5]\d\d)\b")


def proxy_refusal(status: int, *, purpose: str, host: str) -> SixtyfourUnavailableError:
    """Return the error for an answer of the proxy itself, which forwarded nothing."""
    try:
        reason = f" ({HTTPStatus(status).phrase})"
    except ValueError:
        reason = ""
    advice = " Check the user and password of the proxy in the environment (HTTPS_PROXY)." if status == 407 else ""
    return SixtyfourUnavailableError(
        during(f"{_proxy_to(host) or f'A proxy on the way to {host}'} answered {status}{reason}.{advice}", purpose),
        status=status,
        may_have_worked=False,
    )


def proxy_failure(
    causes: Sequence[BaseException], reason: str, *, purpose: str, host: str, never_sent: bool
) -> SixtyfourUnavailableError | None:
    """
    Return the error if a proxy is the cause, otherwise ``None``.

    :param causes: what the library raised, down to the bottom.
    :param reason: what the network did, in words.
    :param never_sent: whether the connection was never made; one that goes by a proxy is made to the proxy.
    """
    by_name = any(type(cause).__name__ == "ProxyError" for cause in causes)
    if by_name:
        for cause in causes:
            if answered := _ANSWERED.match(str(cause)):
                return proxy_refusal(int(answered[1]), purpose=purpose, host=host)
    # A TLS error is the API's: to a proxy, the usual connection is a plain one.
    proxy = _proxy_to(host) if by_name or (never_sent and _is_of_the_network(causes)) else None
    if proxy is None:
        return None
    return SixtyfourUnavailableError(during(f"{proxy} can't be reached: {reason}.", purpose), may_have_worked=False)


def _is_of_the_network(causes: Sequence[BaseException]) -> bool:
    return any(
        isinstance(cause, socket.gaierror | ConnectionError | TimeoutError)
        or type(cause).__name__ == "ConnectTimeout"
        or (type(cause) is OSError and cause.errno is not None)
        for cause in causes
    )


def _proxy_to(host: str) -> str | None:
    """Name the proxy for a URL, or for the name of a host of result files, if the environment has one."""
    for url in (host,) if "://" in host else (f"https://{host}", f"http://{host}"):
        try:
            proxy = proxy_for(url)
            parts = urlsplit(proxy or "")
            name, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
        except ValueError:
            continue
        if proxy:
            return f"The proxy {f'[{name}]' if ':' in name else name}{port}"
    return None
