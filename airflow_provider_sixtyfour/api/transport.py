"""
What the transports share: how a request is put, whose certificates are trusted, and what a failure means.

Every request has a time limit as a whole, every answer a bound, and no redirect is followed. No URL is ever repeated in
a message: a query may hold a signature.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from airflow_provider_sixtyfour.api.http_logging import redact_http_logs
from airflow_provider_sixtyfour.api.proxies import UnusableProxyError, proxy_for
from airflow_provider_sixtyfour.api.proxy_errors import proxy_failure, proxy_refusal
from airflow_provider_sixtyfour.api.response_body import Body, UnreadableBodyError, check_values
from airflow_provider_sixtyfour.api.responses import Answer, read, retry_after
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourInputError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
    during,
)
from airflow_provider_sixtyfour.formats.table import media_type_of

if TYPE_CHECKING:
    import httpx

    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.settings import Settings

Client = TypeVar("Client", "httpx.Client", "httpx.AsyncClient")
T = TypeVar("T")

MOST_CONNECTIONS = 32  # those that wait for slow answers included, so that they keep nobody else from asking
MOST_IDLE_CONNECTIONS = 8
LONG_BODY = 64 * 1024  # bytes; reading more than this takes so long that it is not done on an event loop
_SLOWEST_UPLOAD = 16 * 1024  # bytes a second, which the time limit of a request allows for what it sends
IDLE_SECONDS = 75.0  # for which a connection is kept: longer than the usual poll intervals


def opened(kind: type[Client], settings: Settings) -> Client:
    """
    Return a client of httpx, of either kind. Takes tens of milliseconds, to read the CA certificates.

    :raises SixtyfourInputError: if the CA bundle, or a proxy that the environment names, can't be used.
    """
    import httpx

    limits = httpx.Limits(
        max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_IDLE_CONNECTIONS, keepalive_expiry=IDLE_SECONDS
    )
    redact_http_logs()
    verify = tls(settings.verify, settings.base_url)
    try:
        proxy = proxy_for(settings.base_url)
        via = httpx.Proxy(proxy, ssl_context=tls(settings.verify, proxy)) if proxy and proxy[:6] == "https:" else proxy
        # Nothing else of the environment: what trusts certificates was made above, and a ~/.netrc is not for this.
        return kind(
            verify=verify, timeout=settings.timeout, limits=limits, follow_redirects=False, proxy=via, trust_env=False
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise unusable_proxy(error) from None


def request(
    http: httpx.Client | httpx.AsyncClient,
    settings: Settings,
    call: Call[Any],
    headers: dict[str, str],
    timeouts: Mapping[str, float | None],
) -> httpx.Request:
    """
    Return the request for a call.

    :param headers: those that authenticate it.
    :param timeouts: seconds to ``connect``, ``read``, ``write`` and wait for the ``pool``, as httpx passes them on.
    """
    files = None
    if call.upload is not None:
        name = call.upload.filename
        # httpx would first read all media types that the system knows. It begins at the stream's beginning, each time.
        files = {"file": (name, call.upload.stream, media_type_of(name))}
    return http.build_request(
        call.method,
        settings.base_url + call.path + ("?" + urlencode(call.query) if call.query else ""),
        content=call.body,
        data=dict(call.form) if call.form is not None else None,
        files=files,
        headers={**call.headers(), "Accept-Encoding": "gzip", **headers},
        extensions={"timeout": timeouts},
    )


def seconds(settings: Settings, call: Call[Any]) -> float:
    """Return the time limit of one request of a call as a whole: the timeout, and more for a large body."""
    size = call.upload.stream.seek(0, os.SEEK_END) if call.upload is not None else len(call.body or b"")
    return settings.timeout + max(0, size - LONG_BODY) // _SLOWEST_UPLOAD


def body(response: httpx.Response, call: Call[Any]) -> Body:
    """
    Return what collects the body of a response, whose head has arrived.

    :raises UnreadableBodyError: if it could not be decoded.
    """
    return Body(response.headers.get("content-encoding", ""), call.longest_answer)


def answer(response: httpx.Response, body: Body) -> Answer:
    """
    Return what the protocol reads of a response, when its body has been taken.

    :raises UnreadableBodyError: if the body is not whole.
    """
    return Answer(response.status_code, _headers(response), body.whole())


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def result(call: Call[T], answer: Answer, settings: Settings) -> T:
    """
    Return what a call asked for; takes long where `LONG_BODY` says so.

    :raises SixtyfourError: as `protocol.read`; also if a proxy answered, or if there are too many values to keep.
    """
    if answer.status == 407:  # a proxy's word, and no server's
        raise proxy_refusal(407, purpose=call.purpose, host=settings.base_url)
    if len(answer.body) > LONG_BODY:
        try:
            check_values(answer.body, call.longest_answer)
        except UnreadableBodyError as error:
            raise _unreadable(error, call, answer.status, answer.headers) from None
    return read(call, answer, secrets=settings.credential.secrets())


def _unreadable(
    error: UnreadableBodyError, call: Call[Any], status: int, headers: Mapping[str, str]
) -> SixtyfourUnavailableError:
    return SixtyfourUnavailableError(
        during(f"Answer {status} of the API can't be read: {error}.", call.purpose),
        status=status,
        retry_after=retry_after(headers),
    )


def failure(
    error: Exception, settings: Settings, call: Call[Any], response: httpx.Response | None = None
) -> SixtyfourError:
    """
    Return the error for a call without an answer.

    :param error: of httpx, `UnreadableBodyError`, or a ``TimeoutError`` when the time for the whole request is up.
    :param response: as far as it came.
    """
    import httpx

    if isinstance(error, UnreadableBodyError) and response is not None:
        return _unreadable(error, call, response.status_code, _headers(response))
    return network_error(
        error,
        purpose=call.purpose,
        host=settings.base_url,
        timeout=settings.timeout if call.upload is not None else seconds(settings, call),
        never_sent=isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout),
    )


def network_error(error: Exception, *, purpose: str, host: str, timeout: float, never_sent: bool) -> SixtyfourError:
    """
    Return the error for a failure of the network, by what it did.

    :param never_sent: whether the connection was never made, so that the request can't have been carried out.
    """
    # A read of anyio's TLS begins with "want read", which then is the context of what ends it.
    causes = [each for each in _causes(error) if not isinstance(each, ssl.SSLWantReadError | ssl.SSLWantWriteError)]
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SixtyfourRefusedError(
                during(
                    f"The certificate of {host} is not trusted ({cause.verify_message or 'verification failed'}). Set "
                    "verify in the connection's extra to the path of the right CA bundle.",
                    purpose,
                )
            )
    reason = _reason(causes, timeout)
    by_proxy = proxy_failure(causes, reason, purpose=purpose, host=host, never_sent=never_sent)
    return by_proxy or SixtyfourUnavailableError(
        during(f"No answer from {host}: {reason}.", purpose), may_have_worked=not never_sent
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
        return f"timed out after {timeout:g} s"
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
    """Return the error for a proxy that can't be used. It does not name it: the URL may hold a password."""
    is_quotable = isinstance(error, ImportError | UnusableProxyError)
    reason = str(error).rstrip(".") if is_quotable else "its URL can't be read"
    return SixtyfourInputError(
        f"A proxy that the environment names can't be used: {reason}. Correct HTTPS_PROXY or ALL_PROXY, or "
        "name the host in NO_PROXY."
    )
