"""
Connections to the hosts that result files are on.

A request goes where its URL says and nowhere else, by way of the environment's proxy if there is one: no redirect is
followed, nothing is kept of an answer, and no credential is added. On urllib3, which takes less than half of httpx's
time for a byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

import urllib3
from urllib3.util import Url, parse_url

from airflow_provider_sixtyfour.api.http_logs import redact_http_logs
from airflow_provider_sixtyfour.api.proxies import proxy_for
from airflow_provider_sixtyfour.api.transport import tls, unusable_proxy

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.settings import Settings

_PORTS = {"http": 80, "https": 443}


def parsed(url: str) -> Url:
    """
    Return a URL as it is requested.

    :raises ValueError: if it is none of http or https.
    """
    parts = parse_url(url)
    if parts.scheme not in _PORTS or not parts.host:
        raise ValueError("no http(s) URL")
    parts.host.encode("idna")  # an empty or endless label fails here, not in the middle of a request
    return parts


def origin(url: Url) -> tuple[str, str, int]:
    """Return scheme, host and port."""
    scheme = url.scheme or ""
    return scheme, url.host or "", url.port or _PORTS[scheme]


class Hosts:
    """Keeps the connections, for one thread."""

    def __init__(self, settings: Settings) -> None:
        redact_http_logs()
        self._settings = settings
        self._pools: dict[tuple[str, str | None], urllib3.PoolManager] = {}  # by scheme and proxy

    def get(self, url: Url, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """
        Ask for a file; the body is still to be read.

        :raises urllib3.exceptions.HTTPError: if no answer comes.
        :raises SixtyfourInputError: if the CA bundle, or the proxy, can't be used.
        """
        try:
            proxy = proxy_for(url.url)
        except ValueError as error:
            raise unusable_proxy(error) from None
        scheme = origin(url)[0]
        if (pool := self._pools.get((scheme, proxy))) is None:
            pool = self._pools[scheme, proxy] = self._pool(url, proxy)
        response = pool.request(
            *("GET", url._replace(auth=None, fragment=None).url),
            headers=headers,
            timeout=self._settings.timeout,
            redirect=False,
            retries=False,
            preload_content=False,
        )
        if response.status == 407:  # for plain http, a proxy answers itself; for https, urllib3 raises the like
            response.close()
            raise urllib3.exceptions.ProxyError("refused", OSError("407"))
        return response

    def close(self) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            pool.clear()

    def _pool(self, url: Url, proxy: str | None) -> urllib3.PoolManager:
        # That of a proxy by TLS, also for a plain request through it, for which versions of urllib3 differ.
        is_tls = proxy is not None and proxy.startswith("https:")
        context = tls(self._settings.verify, str(proxy) if is_tls else url.url)
        if proxy is None:
            return urllib3.PoolManager(ssl_context=context)
        try:
            if proxy.startswith("socks"):
                from urllib3.contrib.socks import SOCKSProxyManager

                return SOCKSProxyManager(proxy, ssl_context=context)
            login = parse_url(proxy).auth
            headers = urllib3.make_headers(proxy_basic_auth=unquote(login)) if login else None
            return urllib3.ProxyManager(
                proxy, proxy_headers=headers, ssl_context=context, proxy_ssl_context=context if is_tls else None
            )
        except (ImportError, ValueError) as error:
            raise unusable_proxy(error) from None
