"""
Fetches one result file through its signed link, chunk by chunk and in order: whole, or an error.

Constant memory, no disk. A broken connection continues where it stopped (``Range``, ``If-Range``), or from the start
where the host has no ranges or another version of the file; a link that has expired is requested again. The number of
tries that bring nothing is bounded. A signed link is a secret: it is masked before use and named in no message.

A redirect is followed, since stores use them between regions and to their mirrors; but no further than `MOST_HOPS`
times, to an http(s) URL only, never from https to http, and never with the credential: whoever answers for a storage
host must not be able to send it elsewhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from requests import PreparedRequest, Request, RequestException, Response

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.proxy_errors import proxy_refusal
from airflow_provider_sixtyfour.api.responses import retry_after
from airflow_provider_sixtyfour.api.retry import pause
from airflow_provider_sixtyfour.api.session import NoAuth, OriginAuth, Session, origin
from airflow_provider_sixtyfour.api.transport import network_error
from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError, SixtyfourUnavailableError, during
from airflow_provider_sixtyfour.results.partial_file import CHUNK, FileBody

if TYPE_CHECKING:
    from requests.auth import AuthBase

    from airflow_provider_sixtyfour.api.settings import Settings
    from airflow_provider_sixtyfour.storage.protocols import Restartable

log = logging.getLogger(__name__)

FRUITLESS_TRIES = 6  # in a row that together bring less than a chunk
MOST_HOPS = 3  # redirects of one request
_EXPIRED = {401, 403, 404, 410}  # what storage hosts answer to a signed URL that has expired
_REDIRECTS = {301, 302, 303, 307, 308}


class Link(NamedTuple):
    """A signed link, kept out of ``repr``, and when (by ``time.monotonic``) it ends."""

    url: str
    ends_at: float

    def __repr__(self) -> str:
        """Show only when it ends."""
        return f"Link(ends_at={self.ends_at})"


class Fetched(NamedTuple):
    """
    What is known of a file that has arrived.

    :param bytes: of the file, after any compression of the connection was undone.
    :param is_end_known: whether something said where the file ends: its host, its compression, or the API's size.
    :param content_type: what its host calls it.
    """

    bytes: int
    is_end_known: bool
    content_type: str


class _LinkRefusedError(SixtyfourUnavailableError):
    """The storage host does not take a link: it has probably expired."""


class Download:
    """
    Downloads files, one at a time.

    :param on_secret: is called with the secret part of each link before it is used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_secret: Callable[[str], object],
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._settings = settings
        self._on_secret = on_secret
        self._sleep = sleep
        self._session = _Session(settings)
        self._no_auth = NoAuth()
        self._auth = OriginAuth(settings.base_url, lambda: settings.credential.headers() or {})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def fetch(self, name: str, new_link: Callable[[], Link], target: Restartable, *, size: int | None) -> Fetched:
        """
        Fetch a file into ``target``.

        :param name: of the file, for messages.
        :param new_link: asks the API for a link.
        :param size: bytes, where the API announced them. They decide where the host names no length of its own.
        :raises SixtyfourTransferError: naming how far it came, when the tries are used up.
        """
        body = FileBody(target, f"fetching result file {name!r}")
        link: Link | None = None
        fruitless = furthest = 0
        while True:
            error: Exception
            try:
                if link is None or time.monotonic() >= link.ends_at:
                    link = new_link()
                self._attempt(name, link, body, size)
                break
            except _LinkRefusedError as refused:
                error, link = refused, None
            except SixtyfourUnavailableError as unavailable:
                error = unavailable
            # A chunk further than ever: a host without ranges that breaks off here and there, or one that sends some
            # bytes on each connection, would otherwise never end.
            if body.position >= furthest + CHUNK:
                fruitless, furthest = 1, body.position
            else:
                fruitless += 1
            if fruitless >= FRUITLESS_TRIES:
                whole = size if body.total is None else body.total
                of = f" of {whole}" if whole is not None else ""
                raise SixtyfourTransferError(
                    f"Result file {name!r} could not be fetched: {error} Got {body.position}{of} bytes, then nothing "
                    f"more in {fruitless} tries. Nothing was left at the destination; a retry starts over."
                )
            self._sleep(pause(error, fruitless))
        is_end_known = body.is_end_known or body.position == size
        if not is_end_known:
            log.warning(
                "Result file %r came without a length, so its end can't be verified: it has %d bytes, and a connection "
                "that broke would look the same.",
                name,
                body.position,
            )
        return Fetched(body.position, is_end_known, body.content_type)

    def _attempt(self, name: str, link: Link, body: FileBody, size: int | None) -> None:
        """
        Fetch what is missing.

        :raises SixtyfourUnavailableError: if the file is not whole then.
        """
        purpose = f"fetching result file {name!r}"
        headers = {"Accept-Encoding": "identity", **body.resuming()}
        request = self._request(link.url, headers, self._auth, purpose)
        for _ in range(MOST_HOPS + 1):
            host = self._host(request)
            try:
                with self._session.send(request, stream=True) as response:
                    if response.status_code not in _REDIRECTS:
                        self._take(response, body, host, purpose, size)
                        return
                    where = response.headers.get("Location")
            except RequestException as error:
                raise network_error(
                    error, purpose=purpose, host=host, timeout=self._settings.timeout, never_sent=False
                ) from None
            request = self._redirected(request, where, headers, purpose)
        raise _no_redirect(f"{host} redirected more than {MOST_HOPS} times", purpose)

    def _take(self, response: Response, body: FileBody, host: str, purpose: str, size: int | None) -> None:
        if response.status_code in _EXPIRED:
            raise _LinkRefusedError(during(f"{host} answered {response.status_code}, as for an expired link.", purpose))
        if response.status_code == 407:  # for plain http, a proxy answers itself; for https, requests raises the like
            raise proxy_refusal(407, purpose=purpose, host=host)
        if response.status_code == 416:
            if body.position and response.headers.get("Content-Range") == f"bytes */{body.position}":
                body.total, body.is_end_known = body.position, True
            if body.position and body.total == body.position:
                return
            body.distrust_ranges()
        if response.status_code not in (200, 206):
            raise SixtyfourUnavailableError(
                during(f"{host} answered {response.status_code}.", purpose),
                status=response.status_code,
                retry_after=retry_after({key.lower(): value for key, value in response.headers.items()}),
            )
        body.begin(response)
        body.read(response)
        if body.total is not None and body.position != body.total:
            if body.position > body.total:
                body.distrust_ranges()
            raise SixtyfourUnavailableError(during(f"{host} stopped early.", purpose))
        if not body.is_end_known and size is not None and body.position < size:
            raise SixtyfourUnavailableError(during(f"{host} closed the connection early.", purpose))

    def _request(self, url: str, headers: Mapping[str, str], auth: AuthBase, purpose: str) -> PreparedRequest:
        """
        Return the request for a URL, whose secret part is masked from now on.

        :param auth: looks at what is sent, not at what the API wrote: in a URL with a backslash, parsers see two hosts.
        :raises SixtyfourUnavailableError: if it is none of http or https.
        """
        try:
            request = self._session.prepare_request(Request("GET", url, headers=dict(headers), auth=auth))
            # An empty or endless label fails here, not in the middle of a request.
            origin(request.url or "")[1].encode("idna")
        except (RequestException, ValueError):
            raise SixtyfourUnavailableError(during("The API gives no http(s) link.", purpose)) from None
        for secret in {text for each in (url, request.url or "") for text in (each, each.partition("?")[2])} - {""}:
            self._on_secret(secret)
        return request

    def _host(self, request: PreparedRequest) -> str:
        return Cleaner(self._settings.credential.secrets()).name(origin(request.url or "")[1])

    def _redirected(
        self, request: PreparedRequest, where: str | None, headers: Mapping[str, str], purpose: str
    ) -> PreparedRequest:
        """
        Return the request that a redirect leads to, without the credential.

        :raises SixtyfourTransferError: if it can't be followed.
        """
        here = request.url or ""
        try:
            # Header fields are read as Latin-1; a host that puts other characters into a URL means UTF-8.
            there = urljoin(here, (where or "").encode("latin-1").decode("utf-8", "replace"))
            then = self._request(there, headers, self._no_auth, purpose) if where else None
        except (ValueError, SixtyfourUnavailableError):
            then = None
        if then is None:
            raise _no_redirect(f"{self._host(request)} redirected to no http(s) URL", purpose)
        if urlsplit(here).scheme == "https" and urlsplit(then.url or "").scheme == "http":
            raise _no_redirect(f"{self._host(request)} redirected from https to http", purpose)
        return then


class _Session(Session):
    """Follows no redirect, and keeps no cookie of a storage host."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: Response) -> str | None:
        """Return ``None``: to prepare a redirect, `requests` would read the whole body that came with it."""
        return None


def _no_redirect(reason: str, purpose: str) -> SixtyfourTransferError:
    return SixtyfourTransferError(
        during(
            f"{reason}. Is a proxy or a login page in between? Let the worker reach the storage host directly. Nothing "
            "was left at the destination; a retry requests a new link.",
            purpose,
        )
    )
