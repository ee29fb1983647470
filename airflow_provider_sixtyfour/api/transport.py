"""
What the transports share: how a request is put, whose certificates are trusted, and what a failure means.

Every request has a timeout and follows no redirect. No URL is ever repeated in a message: a query may hold a signature.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from airflow_provider_sixtyfour.api.errors import (
    SixtyfourError,
    SixtyfourInputError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.api.protocol import Answer

if TYPE_CHECKING:
    import httpx

    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.settings import Settings

Client = TypeVar("Client", "httpx.Client", "httpx.AsyncClient")

MOST_CONNECTIONS = 8
# Of files to upload, by their ending. Told, since httpx would first read all types that the system knows.
_CONTENT_TYPES = {"csv": "text/csv", "json": "application/json"}
IDLE_SECONDS = 75.0  # for which a connection is kept: longer than the usual poll intervals


def opened(kind: type[Client], settings: Settings) -> Client:
    """
    Return a client of httpx, of either kind. Takes tens of milliseconds, to read the CA certificates.

    :raises SixtyfourInputError: if the CA bundle, or a proxy that the environment names, can't be used.
    """
    import httpx

    limits = httpx.Limits(
        max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS, keepalive_expiry=IDLE_SECONDS
    )
    verify = tls(settings.verify, settings.base_url)
    try:
        return kind(verify=verify, timeout=settings.timeout, limits=limits, follow_redirects=False)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise unusable_proxy(error) from None


def request(
    http: httpx.Client | httpx.AsyncClient, settings: Settings, call: Call[Any], headers: dict[str, str]
) -> httpx.Request:
    """
    Return the request for a call.

    :param headers: those that authenticate it.
    """
    files = None
    if call.upload is not None:
        name = call.upload.filename
        kind = _CONTENT_TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")
        files = {"file": (name, call.upload.stream, kind)}  # httpx begins at the stream's beginning, each time
    return http.build_request(
        call.method,
        settings.base_url + call.path + ("?" + urlencode(call.query) if call.query else ""),
        content=call.body,
        data=dict(call.form) if call.form is not None else None,
        files=files,
        headers={**call.headers(), **headers},
    )


def answer(response: httpx.Response) -> Answer:
    """Return what the protocol reads of a response."""
    lower = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, lower, response.content)


def failure(error: Exception, settings: Settings, call: Call[Any]) -> SixtyfourError:
    """Say what kept a call from an answer; ``error`` is httpx's."""
    import httpx

    return network_error(
        error,
        purpose=call.purpose,
        host=settings.base_url,
        timeout=settings.timeout,
        never_sent=isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout),
    )


def network_error(error: Exception, *, purpose: str, host: str, timeout: float, never_sent: bool) -> SixtyfourError:
    """
    Say what the network did.

    :param never_sent: whether the connection was never made, so that the request can't have been carried out.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SixtyfourRefusedError(
                f"The certificate of {host} is not trusted ({cause.verify_message or 'verification failed'}) while "
                f"{purpose}. Set verify in the connection's extra to the path of the right CA bundle."
            )
    return SixtyfourUnavailableError(
        f"No answer from {host} while {purpose}: {_reason(causes, timeout)}.", may_have_worked=not never_sent
    )


def _reason(causes: list[BaseException], timeout: float) -> str:
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return f"its name can't be resolved ({cause.strerror or 'DNS'})"
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return f"no TLS connection comes about ({cause.reason or type(cause).__name__})"
    for cause in causes:
        # The system's own words: asyncio puts others into the exception than a plain socket does.
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
    if any("timeout" in type(cause).__name__.lower() for cause in causes):
        return f"nothing within {timeout:g} s"
    return f"the connection broke ({type(causes[-1]).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk to the bottom of an exception: causes, contexts, and exceptions kept in ``args`` and ``reason``."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
        waiting += getattr(cause, "exceptions", ())  # one for each address of the host


def tls(verify: bool | str, url: str) -> ssl.SSLContext:
    """
    Return what TLS connections are made with; the same for all clients of a process, until a bundle changes.

    :param verify: as in `Settings`. If True, what requests and curl go by holds as well, if it is set: the bundle of
        ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE``.
    :param url: where to; without TLS, no certificate is read.
    :raises SixtyfourInputError: if the CA bundle can't be read.
    """
    if url.startswith("http:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody
    bundle = verify if isinstance(verify, str) else ""
    if verify is True:
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or ""
    try:
        return _context(bool(verify), bundle, os.stat(bundle).st_mtime_ns if bundle else 0)
    except OSError as error:
        raise SixtyfourInputError(f"The CA bundle {bundle!r} can't be read: {error}") from None


@lru_cache(maxsize=8)
def _context(verifies: bool, bundle: str, changed_at: int) -> ssl.SSLContext:
    import httpx

    if not bundle:
        return httpx.create_ssl_context(verify=verifies)
    is_folder = os.path.isdir(bundle)
    return ssl.create_default_context(cafile=None if is_folder else bundle, capath=bundle if is_folder else None)


def unusable_proxy(error: Exception) -> SixtyfourInputError:
    """Say that a proxy can't be used; not which, since its URL may hold a password."""
    reason = str(error) if isinstance(error, ImportError) else "its URL can't be read"
    return SixtyfourInputError(f"A proxy that the environment names (HTTPS_PROXY, ALL_PROXY) can't be used: {reason}.")
