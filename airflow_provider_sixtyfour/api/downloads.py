"""
Fetches one result file through its signed link, piece by piece and in order: whole, or an error.

Constant memory, no disk. A broken connection goes on where it stopped (``Range``, ``If-Range``), or from the start
where the host has no ranges; a link that has expired is asked for anew. The number of tries that bring nothing is
bounded. A signed link is a secret: it is masked before use and named in no message.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from urllib3.exceptions import HTTPError

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.errors import SixtyfourTransferError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.api.hosts import Hosts, origin, parsed
from airflow_provider_sixtyfour.api.protocol import retry_after
from airflow_provider_sixtyfour.api.retry import pause
from airflow_provider_sixtyfour.api.transport import network_error

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from airflow_provider_sixtyfour.api.settings import Settings

# Bytes. As much as this of what has arrived is lost when a connection breaks: urllib3 gives whole chunks only.
CHUNK = 256 * 1024
FRUITLESS_TRIES = 6  # in a row that bring not one byte
_EXPIRED = {401, 403, 404, 410}  # what storage hosts answer to a link that is no longer good


class Link(NamedTuple):
    """A signed link, kept out of ``repr``, and when (by ``time.monotonic``) it ends."""

    url: str
    ends_at: float

    def __repr__(self) -> str:
        """Tell only when it ends."""
        return f"Link(ends_at={self.ends_at})"


class Target(Protocol):
    """Where a file goes: its pieces from the first to the last, or from the first on again."""

    def write(self, piece: bytes, /) -> object:
        """Take in the next piece. What it raises ends the download: asking the host again wouldn't help."""

    def start_over(self) -> None:
        """Forget all that was written: the host sends the file from its beginning."""


class Download:
    """
    Downloads files, one at a time.

    :param on_secret: is told the secret part of each link before it is used.
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
        self._hosts = Hosts(settings)

    def close(self) -> None:
        """Close the connections."""
        self._hosts.close()

    def fetch(self, name: str, new_link: Callable[[], Link], target: Target, *, size: int | None) -> int:
        """
        Fetch a file into ``target`` and return the number of bytes.

        :param name: of the file, for messages.
        :param new_link: asks the API for a link.
        :param size: bytes, where the API told; what the host says itself counts for more.
        :raises SixtyfourTransferError: telling how far it came, when the tries are used up.
        """
        state = _State(target)
        link: Link | None = None
        fruitless = furthest = 0
        while True:
            error: Exception
            try:
                if link is None or time.monotonic() >= link.ends_at:
                    link = new_link()
                if self._attempt(name, link, state):
                    break
                error, link = SixtyfourUnavailableError("its link is no longer good"), None
            except SixtyfourUnavailableError as unavailable:
                error = unavailable
            # Further than ever: a host without ranges that breaks off here and there would else go on for ever.
            fruitless = 1 if state.position > furthest else fruitless + 1
            furthest = max(furthest, state.position)
            if fruitless >= FRUITLESS_TRIES:
                of = f" of {state.total}" if state.total is not None else ""
                raise SixtyfourTransferError(
                    f"Result file {name!r} could not be fetched: {error} Got {state.position}{of} bytes, then nothing "
                    f"more in {fruitless} tries. Nothing was left at the destination; a retry starts over."
                )
            self._sleep(pause(error, fruitless))
        if state.total is None and size is not None and state.position != size:
            raise SixtyfourTransferError(
                f"Result file {name!r} should have {size} bytes by the API, but the host sent {state.position}."
            )
        return state.position

    def _attempt(self, name: str, link: Link, state: _State) -> bool:
        """Fetch what is missing; return whether the file is whole, False if the link is not good."""
        purpose = f"fetching result file {name!r}"
        try:
            url = parsed(link.url)
        except ValueError:
            raise SixtyfourUnavailableError(f"The API gives no http(s) link while {purpose}.") from None
        for secret in {text for each in (link.url, url.url) for text in (each, each.partition("?")[2])} - {""}:
            self._on_secret(secret)
        headers = {"Accept-Encoding": "identity", **state.resuming()}
        # The origin of what is sent, not of what the API wrote: of a URL with a backslash in it, parsers see two.
        if origin(url) == origin(parsed(self._settings.base_url)):
            headers.update(self._settings.credential.headers() or {})
        host = Cleaner(self._settings.credential.secrets()).name(str(url.host))
        try:
            with self._hosts.get(url, headers) as response:
                if response.status in _EXPIRED:
                    return False
                if response.status == 416 and state.total == state.position:
                    return True
                if response.status not in (200, 206):
                    raise SixtyfourUnavailableError(
                        f"{host} answered {response.status} while {purpose}.",
                        status=response.status,
                        retry_after=retry_after({key.lower(): value for key, value in response.headers.items()}),
                    )
                state.begin(response)
                for chunk in response.stream(CHUNK):
                    state.write(chunk)
        except HTTPError as error:
            raise network_error(
                error, purpose=purpose, host=host, timeout=self._settings.timeout, never_sent=False
            ) from None
        if state.total is not None and state.position != state.total:
            raise SixtyfourUnavailableError(f"{host} stopped early while {purpose}.")
        return True


class _State:
    """How much of a file is there, and what the host said of the whole."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._validator: str | None = None
        self.position = 0
        self.total: int | None = None

    def resuming(self) -> dict[str, str]:
        """Return the headers that ask for the rest, if the host can tell whether it is still the same file."""
        if not self.position or self._validator is None:
            return {}
        return {"Range": f"bytes={self.position}-", "If-Range": self._validator}

    def begin(self, response: BaseHTTPResponse) -> None:
        """Take in the head of an answer: go on, or start over where the host sends the whole."""
        encoded = response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity")
        goes_on = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if response.status == 206:
            total = int(goes_on[2]) if goes_on and goes_on[2] != "*" else self.total
            is_next = goes_on is not None and int(goes_on[1]) == self.position and not encoded
            if is_next and self.total in (None, total):
                self.total = total
                return
            self._validator = None  # this host's ranges can't be trusted: from the start, without them
            raise SixtyfourUnavailableError("The host sent another part than was asked for.")
        if self.position:
            self._target.start_over()
        self.position = 0
        length = response.headers.get("Content-Length", "")
        # Of an encoded body the length says nothing about the file, and a part can't be asked for.
        self.total = int(length) if length.isdigit() and not encoded else None
        etag = response.headers.get("ETag", "")
        strong = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
        self._validator = None if encoded else strong

    def write(self, chunk: bytes) -> None:
        """Pass a piece on."""
        self._target.write(chunk)
        self.position += len(chunk)
