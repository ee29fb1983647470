"""
A time limit for a request as a whole, in the blocking client.

The timeouts of httpx hold for each read and each write: a server that sends one byte a second passes them for ever. A
`TimeLimit` is given in their place. It is a float, which httpx and httpcore pass on as it is, and the streams
of `LimitedBackend` ask it before each step how many seconds are left, from the look-up of the name to the last byte.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

_WRITTEN_AT_ONCE = 16 * 1024  # bytes; between them the clock is checked


class TimeLimit(float):
    """
    Seconds for each step, and for all steps of a request together.

    :param seconds: for one step.
    :param whole: for all steps together; the same if ``None``.
    :param starts_at_first_use: whether the whole begins with the first step that asks, not now.
    """

    def __new__(cls, seconds: float, *, whole: float | None = None, starts_at_first_use: bool = False) -> TimeLimit:
        """Make a float of ``seconds``."""
        limit = super().__new__(cls, seconds)
        limit._whole = seconds if whole is None else whole
        limit._ends_at = None if starts_at_first_use else time.monotonic() + limit._whole
        return limit

    _whole: float
    _ends_at: float | None

    def left(self) -> float:
        """Return the seconds that the next step may take; 0 or less when time is up."""
        now = time.monotonic()
        if self._ends_at is None:
            self._ends_at = now + self._whole
        return min(self, self._ends_at - now)


def hold_limits(http: httpx.Client) -> None:
    """Make a client's connections, also those by way of a proxy, heed `TimeLimit`."""
    # httpx has no parameter for httpcore's network_backend. Without these names of theirs a limit holds for each step.
    for each in (http._transport, *http._mounts.values()):
        pool: Any = getattr(each, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = LimitedBackend()


class LimitedBackend(httpcore.NetworkBackend):
    """Opens connections whose every step heeds `TimeLimit`; any other timeout is httpcore's."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a host that answers; an address that is silent leaves time for the others."""
        addresses = _addresses(host, port, _left(timeout, httpcore.ConnectTimeout))
        error: Exception = httpcore.ConnectError("the name has no address")
        for number, address in enumerate(addresses):
            left = _left(timeout, httpcore.ConnectTimeout)
            if left is not None:
                left /= len(addresses) - number
            try:
                stream = self._inner.connect_tcp(address, port, left, local_address, socket_options)
                return LimitedStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error


class LimitedStream(httpcore.NetworkStream):
    """A connection whose every step heeds `TimeLimit`."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has arrived."""
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of a buffer."""
        for start in range(0, len(buffer), _WRITTEN_AT_ONCE):
            left = _left(timeout, httpcore.WriteTimeout)
            self._inner.write(buffer[start : start + _WRITTEN_AT_ONCE], left)

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Return the same connection under TLS."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return LimitedStream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks of its own streams."""
        return self._inner.get_extra_info(info)


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    if not isinstance(timeout, TimeLimit):
        return timeout
    left = timeout.left()
    if left <= 0:
        raise error("the time for the whole request is up")
    return left


def _addresses(host: str, port: int, seconds: float | None) -> list[str]:
    """Look up a name in a thread, since the system's resolver takes no timeout."""
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    found: list[str] = []
    errors: list[Exception] = []

    def resolve() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(info[4][0]) for info in infos))
        except (OSError, UnicodeError) as error:
            errors.append(error)

    thread = threading.Thread(target=resolve, daemon=True, name=f"resolving {host}")
    thread.start()
    thread.join(seconds)
    if errors:
        raise httpcore.ConnectError(errors[0]) from errors[0]  # both: httpcore drops the cause
    if not found:
        raise httpcore.ConnectTimeout("the name was not resolved in time")
    return found
