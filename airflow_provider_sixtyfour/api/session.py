"""
Sessions of `requests` with the timeout, certificates and proxies of a connection.

The credential goes to the API's origin only: not to another host, and along no redirect. Nothing of the environment
counts but its proxies and CA bundles, as for the API's client: a ``~/.netrc`` would put a login on every request to a
host that it names, a signed URL included.

Imported by what downloads or asks for a session: `requests` takes 30 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import InvalidSchema
from requests.utils import rewind_body

from airflow_provider_sixtyfour.api.http_logging import redact_http_logs
from airflow_provider_sixtyfour.api.proxies import proxy_for
from airflow_provider_sixtyfour.api.transport import tls, unusable_proxy
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.api.settings import Settings

CREDENTIAL_HEADERS = ("x-api-key", "Authorization")
_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int]:
    """
    Return scheme, host and port of a URL as it is requested, of a `requests.PreparedRequest`.

    :raises ValueError: if it is none of http or https.
    """
    parts = urlsplit(url)  # as the adapter of `requests` reads where to connect
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("no http(s) URL")
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


class NoAuth(AuthBase):
    """No credential: neither one of the session, nor a login in the URL."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request as it is."""
        return request


class OriginAuth(AuthBase):
    """
    Puts the credential on requests to the API's origin, and on no other.

    :param base_url: of the API.
    :param headers: returns what authenticates a request.
    """

    def __init__(self, base_url: str, headers: Callable[[], Mapping[str, str]]) -> None:
        self._origin = origin(requests.Request("GET", base_url).prepare().url or "")
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers if the request goes to the API."""
        if self.covers(request):
            request.headers.update(self._headers())
        return request

    def covers(self, request: requests.PreparedRequest) -> bool:
        """Return whether a request goes to the API's origin."""
        try:
            return origin(request.url or "") == self._origin
        except ValueError:
            return False


class RenewingAuth(OriginAuth):
    """
    The same, with an OAuth token that is renewed before it ends, and once when the API refuses it.

    :param client: whose tokens it shares.
    """

    def __init__(self, settings: Settings, client: SixtyfourClient) -> None:
        super().__init__(settings.base_url, client.authorize)
        self._credential = settings.credential

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """
        Add the headers if the request goes to the API.

        :raises SixtyfourError: if no token can be got.
        """
        if self.covers(request):
            request.register_hook("response", self._renewed)
        return super().__call__(request)

    def _renewed(self, response: requests.Response, **options: Any) -> requests.Response:
        """Return the answer to the request with another token, if it was refused for its token."""
        request = response.request
        # Of a redirect's request this is empty: it inherits the hook, not the credential.
        sent = {name: str(request.headers[name]) for name in CREDENTIAL_HEADERS if name in request.headers}
        if response.status_code != 401 or not sent or not self.covers(request) or not _can_be_sent_again(request):
            return response
        if not self._credential.discard(sent):
            return response
        response.close()
        again = request.copy()
        if not isinstance(again.body, bytes | str | None):
            rewind_body(again)
        again.headers.update(self._headers())
        answer: requests.Response = response.connection.send(again, **options)
        answer.history.append(response)
        answer.request = again
        return answer


def _can_be_sent_again(request: requests.PreparedRequest) -> bool:
    return isinstance(request.body, bytes | str | None) or isinstance(getattr(request, "_body_position", None), int)


class _Adapter(HTTPAdapter):
    """
    Makes connections with the same TLS contexts as the API's client.

    Left to itself, `requests` reads a CA bundle for each host, and knows none of a folder or of ``SSL_CERT_FILE``.

    :param verify: as in `Settings`, for proxies.
    """

    def __init__(self, verify: bool | str) -> None:
        self._verify = verify
        super().__init__()

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return where to connect, and how with TLS; a client certificate of the caller is left to `requests`."""
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if cert:
            return host, pool
        return host, {"ssl_context": tls(verify, str(request.url))} if host["scheme"] == "https" else {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the TLS context as it is."""
        if cert:
            super().cert_verify(conn, url, verify, cert)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """
        Return what connects.

        :raises SixtyfourInputError: if the CA bundle, or the proxy, can't be used.
        """
        if not cert:
            tls(verify, str(request.url))  # a bundle that can't be read is named here: below it would be an invalid URL
        try:
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        except SixtyfourInputError:
            raise
        except InvalidSchema as error:  # SOCKS without its package
            raise unusable_proxy(ImportError(str(error).rstrip("."))) from None
        except (ValueError, TypeError) as error:  # the latter of a proxy without a host
            if not proxies:
                raise
            raise unusable_proxy(error) from None

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return what connects by way of a proxy."""
        if proxy.startswith("https:"):
            # Both: versions of urllib3 differ in what they take for a plain request by way of a proxy with TLS.
            options["ssl_context"] = options["proxy_ssl_context"] = tls(self._verify, proxy)
        return super().proxy_manager_for(proxy, **options)


class _Environment(dict[str, str]):
    """Proxies that the environment names for one URL, not the caller."""


class Session(requests.Session):
    """A session without a credential, with the connection's timeout and certificates and the environment's proxies."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        redact_http_logs()
        self.trust_env = False
        self.verify = settings.verify
        self.auth = NoAuth()
        self._timeout = settings.timeout
        for prefix in ("https://", "http://"):
            self.mount(prefix, _Adapter(settings.verify))

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """
        Send a request; each redirect that is followed comes by here, too.

        :raises SixtyfourInputError: if the CA bundle, or the proxy, can't be used.
        """
        if options.get("timeout") is None:
            options["timeout"] = self._timeout
        if not options.get("proxies"):
            options["proxies"] = self.proxies or _environment(str(request.url))
        return super().send(request, **options)

    def rebuild_proxies(self, prepared_request: requests.PreparedRequest, proxies: Any) -> Any:
        """Return the proxies for a redirect: those of its own host, unless the caller has named some."""
        if isinstance(proxies, _Environment):
            return _environment(str(prepared_request.url))
        return super().rebuild_proxies(prepared_request, proxies)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Take the credential off a redirect, wherever it leads: `requests` leaves ``x-api-key`` on it."""
        for name in CREDENTIAL_HEADERS:
            prepared_request.headers.pop(name, None)


class ApiSession(Session):
    """
    A session for the API: authenticated for its origin, with paths in place of whole URLs.

    :param client: gets the tokens of an OAuth client.
    """

    def __init__(self, settings: Settings, client: SixtyfourClient) -> None:
        super().__init__(settings)
        self.auth = RenewingAuth(settings, client)
        self.base_url = settings.base_url

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Return the request as it is sent; a path is one of the API's."""
        if isinstance(request.url, str) and request.url.startswith("/"):
            request.url = self.base_url + request.url
        return super().prepare_request(request)


def _environment(url: str) -> _Environment:
    try:
        proxy = proxy_for(url)
    except ValueError as error:
        raise unusable_proxy(error) from None
    return _Environment({urlsplit(url).scheme: proxy} if proxy else {})
