"""
The client of the worker: blocking, on requests.

Every request has a timeout, follows no redirect, and carries the credential to the API's origin only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlencode

import requests
import requests.auth
import tenacity

from airflow_provider_sixtyfour.api.errors import SixtyfourInputError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.api.protocol import Answer, read
from airflow_provider_sixtyfour.api.retry import ATTEMPTS, tenacity_options
from airflow_provider_sixtyfour.api.transport import network_error, trusting

if TYPE_CHECKING:
    import httpx

    from airflow_provider_sixtyfour.api.calls import Call, Upload
    from airflow_provider_sixtyfour.api.settings import Settings

T = TypeVar("T")


class NoNetrc(requests.auth.AuthBase):
    """Stands where requests would else look into ``~/.netrc`` for a second credential."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request as it is."""
        return request


class PlainSession(requests.Session):
    """A session that keeps to what it is told: no second credential, no look at where a redirect leads."""

    def __init__(self, verify: bool | str) -> None:
        super().__init__()
        self.auth = NoNetrc()
        self.verify = verify

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Give none: requests would prepare the next request even if it is not to follow, and stumble over some."""
        return None


class SixtyfourClient:
    """
    Sends calls and returns what they ask for; safe to use from several threads.

    :param sleep: takes the seconds to pause between two tries.
    """

    def __init__(self, settings: Settings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._sleep = sleep
        self._renewal = threading.Lock()
        self._session = PlainSession(settings.verify)
        self._bundle_is_good = False

    @property
    def base_url(self) -> str:
        """The API's base URL, without a slash at its end."""
        return self._settings.base_url

    def send(self, call: Call[T], *, attempts: int = ATTEMPTS) -> T:
        """
        Send a call, again where the policy allows it, and return what it asks for.

        :param attempts: how many times to try at most.
        :raises SixtyfourRefusedError: if the API refuses it; after one request.
        :raises SixtyfourUnavailableError: if no try got a usable answer.
        """
        retrying = tenacity.Retrying(sleep=self._sleep, **tenacity_options(call, attempts))
        result: T = retrying(self._try, call)
        return result

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _try(self, call: Call[T]) -> T:
        credential = self._settings.credential
        headers = self._authorize() if call.authenticated else {}
        answer = self._transmit(call, headers)
        if answer.status == 401 and call.authenticated and credential.discard(headers):
            answer = self._transmit(call, self._authorize())
        return read(call, answer, secrets=credential.secrets())

    def _authorize(self) -> dict[str, str]:
        credential = self._settings.credential
        if (headers := credential.headers()) is not None:
            return headers
        with self._renewal:
            if (headers := credential.headers()) is not None:
                return headers
            renewal = credential.renewal(self._settings.base_url)
            try:
                credential.accept(read(renewal, self._transmit(renewal, {}), secrets=credential.secrets()))
            except SixtyfourUnavailableError as error:
                error.may_have_worked = False  # the call that needs the token has not been sent
                raise
            return credential.headers() or {}

    def _transmit(self, call: Call[Any], headers: dict[str, str]) -> Answer:
        settings = self._settings
        if isinstance(settings.verify, str) and not self._bundle_is_good:
            trusting(settings.verify)  # requests would take a bad one for bad weather
            self._bundle_is_good = True
        headers = {**call.headers(), **headers}
        data: Any = call.body
        if call.form is not None:
            data = dict(call.form)
        if call.upload is not None:
            data = _Multipart(call.upload)
            headers["Content-Type"] = data.content_type
        try:
            response = self._session.request(
                call.method,
                settings.base_url + call.path + ("?" + urlencode(call.query) if call.query else ""),
                data=data,
                headers=headers,
                timeout=settings.timeout,
                # Named here, not only by the session: else REQUESTS_CA_BUNDLE would go before the connection's word.
                verify=settings.verify,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise network_error(
                error,
                purpose=call.purpose,
                host=settings.base_url,
                timeout=settings.timeout,
                never_sent=isinstance(error, requests.ConnectTimeout) or _never_connected(error),
            ) from None
        except OSError as error:  # a CA bundle of the environment that isn't there
            raise SixtyfourInputError(f"Can't send a request while {call.purpose}: {error}") from None
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, lower, response.content)


def _never_connected(error: requests.RequestException) -> bool:
    from urllib3.exceptions import NewConnectionError

    return isinstance(getattr(error.args[0] if error.args else None, "reason", None), NewConnectionError)


class _Multipart(Iterable[bytes]):
    """One file as ``multipart/form-data``, encoded by httpx and streamed from its beginning at each iteration."""

    def __init__(self, upload: Upload) -> None:
        import httpx

        upload.stream.seek(0)
        request = httpx.Request("POST", "http://multipart", files={"file": (upload.filename, upload.stream)})
        self.content_type = request.headers["Content-Type"]
        self._length = int(request.headers["Content-Length"])
        self._stream = cast("httpx.SyncByteStream", request.stream)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)
