"""
Outages to order: for a while nobody listens on the API's port.

Invariant: an outage begins after the answer to its order is on its way, breaks every connection that is open, and ends
by itself; runs continue meanwhile, as they would at the real service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

_GRACE = 0.1  # seconds, for the answer to the order


class Outage:
    """The outages that were ordered, one after the other."""

    def __init__(self) -> None:
        self._ordered: asyncio.Queue[float] = asyncio.Queue()

    def order(self, seconds: float) -> None:
        """Ask for an outage of so many seconds."""
        self._ordered.put_nowait(seconds)

    async def work(self, refuse: Callable[[float], Awaitable[None]]) -> None:
        """Carry orders out for ever."""
        while True:
            seconds = await self._ordered.get()
            await asyncio.sleep(_GRACE)
            await refuse(seconds)
