"""
The TCP connections of a server: counted, and within reach of those who are to break them.

Invariant: a connection is known by its client's address and port from the moment it is made until it is lost.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol
else:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as Protocol

Address = tuple[str, int]


class Connections:
    """Those that are open, and how many there have been. Calls of the control API don't count as use."""

    def __init__(self) -> None:
        self._open: dict[Address, asyncio.Transport] = {}
        self._used: set[Address] = set()
        self._used_by_host: Counter[str] = Counter()

    def protocol(self) -> type[asyncio.Protocol]:
        """Return uvicorn's own protocol, which also registers its connections here."""
        connections = self

        class Registered(Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                self.address = _address(transport.get_extra_info("peername"))
                connections._open[self.address] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                connections._open.pop(self.address, None)
                connections._used.discard(self.address)
                super().connection_lost(exc)

        return Registered

    def use(self, scope: Scope) -> None:
        """Note that a connection carries a request."""
        address = _address(scope.get("client"))
        if address not in self._used:
            self._used.add(address)
            self._used_by_host[address[0]] += 1

    def describe(self) -> dict[str, Any]:
        """Return the counts of the connections that carried requests, in all and by the client's host."""
        open_by_host = Counter(host for host, _ in self._used)
        return {
            "open": len(self._used),
            "total": self._used_by_host.total(),
            "by_peer": {
                host: {"open": open_by_host[host], "total": total} for host, total in self._used_by_host.items()
            },
        }

    def reset(self, scope: Scope) -> None:
        """Break a request's connection with an RST, so that its client sees a reset."""
        transport = self._open.get(_address(scope.get("client")))
        if transport is None:
            return
        # A linger of 0 s makes the kernel send an RST instead of a FIN.
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def write(self, scope: Scope, data: bytes) -> None:
        """Write bytes to a request's connection, past the server's own protocol."""
        transport = self._open.get(_address(scope.get("client")))
        if transport is not None:
            transport.write(data)

    def close(self, scope: Scope) -> None:
        """Close a request's connection after what was already written to it."""
        transport = self._open.get(_address(scope.get("client")))
        if transport is not None:
            transport.close()


async def until_closed(receive: Receive) -> None:
    """Wait until uvicorn knows that the connection is gone; it would answer a 500 before."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _address(peer: Any) -> Address:
    return (str(peer[0]), int(peer[1])) if peer else ("", 0)
