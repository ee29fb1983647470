"""
What a connection resolves to at this moment, read in a triggerer.

A thousand triggers that begin together, or meet the same refusal, read their connection once. A read runs in a task of
its own that nobody cancels: on Airflow 3.0 and 3.1, a coroutine that is cancelled while it awaits the triggerer's
channel to its supervisor ends the triggerer, since the late answer is read by the next one who asks.
"""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from airflow_provider_sixtyfour.hooks.resolved import Resolved, resolved

READ_ONCE_IN = 1.0  # seconds for which what was read is good for all that use the same connection


class _Read:
    """One reading of a connection, for all that ask for it meanwhile or just after."""

    def __init__(self, conn_id: str) -> None:
        self.task = asyncio.create_task(_read(conn_id))
        self._good_until: float | None = None
        self.task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Resolved]) -> None:
        has_failed = task.cancelled() or task.exception() is not None
        self._good_until = 0.0 if has_failed else task.get_loop().time() + READ_ONCE_IN

    def is_good(self) -> bool:
        return self._good_until is None or self.task.get_loop().time() < self._good_until


_reads: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Read]] = WeakKeyDictionary()


async def resolve(conn_id: str) -> Resolved:
    """
    Return what a connection resolves to, as it is now or was a second ago.

    Whoever awaits this may be cancelled at any time.

    :raises SixtyfourInputError: naming the field of the connection that is wrong.
    """
    reads = _reads.setdefault(asyncio.get_running_loop(), {})
    read = reads.get(conn_id)
    if read is None or not read.is_good():
        read = reads[conn_id] = _Read(conn_id)
    return await asyncio.shield(read.task)


async def _read(conn_id: str) -> Resolved:
    from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook

    return resolved(await SixtyfourHook(conn_id).read_async())
