"""
Counts of a server's requests and connections.

Invariant: every request and every connection counts, whatever becomes of it; a connection counts once, however many
requests it carries.
"""

from __future__ import annotations

import asyncio
import re
import time
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol
else:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as Protocol

MINUTE = 60.0  # seconds


class Counts:
    """What has arrived since the last `clear`; the outermost layer of an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.open = 0
        self.clear()

    def clear(self) -> None:
        """Begin again; connections that are open count as this measurement's."""
        self.connections = self.open
        self._arrivals = array("d")
        self._statuses: Counter[str] = Counter()
        self._routes: Counter[str] = Counter()
        self._cpu = time.process_time()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request, and its answer's status."""
        self._arrivals.append(time.monotonic())
        self._routes[re.sub(r"/[0-9][0-9a-f-]*/|/[0-9a-f-]{36}/", "/{id}/", scope["path"])] += 1

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._statuses[str(message["status"])] += 1
            await send(message)

        await self._app(scope, receive, counting)

    def protocol(self) -> type[asyncio.Protocol]:
        """Return uvicorn's own protocol, which also counts its connections here."""
        counts = self

        class Counted(Protocol):
            def connection_made(self, transport: Any) -> None:
                counts.open += 1
                counts.connections += 1
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                counts.open -= 1
                super().connection_lost(exc)

        return Counted

    def describe(self) -> dict[str, Any]:
        """Return all counts, and the server's own seconds of CPU."""
        return {
            "requests": len(self._arrivals),
            "worst_minute": worst_minute(self._arrivals),
            "refused": self._statuses["429"],
            "connections": self.connections,
            "statuses": dict(self._statuses),
            "routes": dict(self._routes),
            "server_cpu": time.process_time() - self._cpu,
        }


def worst_minute(arrivals: array[float]) -> int:
    """Return how many requests arrived in the minute with the most, wherever it begins."""
    worst = first = 0
    for last, arrival in enumerate(arrivals):
        while arrivals[first] <= arrival - MINUTE:
            first += 1
        worst = max(worst, last - first + 1)
    return worst
