"""
What a watcher remembers with its asset: one value, in Airflow's store for the state of assets (3.3 and later).

The triggerer gives the store to a watcher before it begins. Its requests go by the triggerer's channel to its
supervisor: each is a task of its own that nobody cancels, since on some versions of Airflow a coroutine that is
cancelled while it awaits that channel ends the triggerer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_under_way: set[asyncio.Task[Any]] = set()  # strong references: the loop itself keeps weak ones


class AssetMemory:
    """
    One value of an asset.

    :param store: what Airflow has given to the watcher: the store of the asset that it watches for. Assets whose
        watchers have the same parameters share one watcher; then each has the value.
    :param key: of the value.
    """

    def __init__(self, store: Any, key: str) -> None:
        self._stores = _of_each_asset(store)
        self._key = key

    async def read(self) -> Any:
        """Return the value; ``None`` if there is none. Raises whatever Airflow does where it can't be read."""
        for store in self._stores:
            value = await _uncancelled(store.aget(self._key))
            if value is not None:
                return value
        return None

    async def write(self, value: Any) -> None:
        """Store a value. Raises likewise."""
        for store in self._stores:
            await _uncancelled(store.aset(self._key, value))


def _of_each_asset(store: Any) -> list[Any]:
    """Return the store of each asset: of several, Airflow's own takes no request that doesn't name one."""
    by_name = getattr(store, "_by_name", None)
    return [by_name[name] for name in sorted(by_name)] if by_name and len(by_name) > 1 else [store]


async def _uncancelled(request: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(request)
    _under_way.add(task)
    task.add_done_callback(_finished)
    return await asyncio.shield(task)


def _finished(task: asyncio.Task[Any]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # so that asyncio doesn't report it, where the watcher was stopped meanwhile
