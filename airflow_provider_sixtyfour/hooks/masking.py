"""Masking in logs what a client in a triggerer mints: tokens that no connection holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def masking_in(loop: asyncio.AbstractEventLoop) -> Callable[[str], None]:
    """
    Return Airflow's ``mask_secret`` for threads that ``asyncio.to_thread`` has started in a triggerer's event loop.

    It also reports the secret to the supervisor, whose channel belongs to that loop. Airflow finds the loop from a
    thread of ``sync_to_async`` only: from any other it reads the channel in a loop of its own, and on 3.0 and 3.1 the
    triggerer ends with "Response read out of order". What is sent here is not cancelled with whoever waits for it.
    """

    def mask(secret: str) -> None:
        asyncio.run_coroutine_threadsafe(_mask(secret), loop).result()

    return mask


async def _mask(secret: str) -> None:
    from airflow.providers.common.compat.sdk import mask_secret
    from asgiref.sync import sync_to_async

    await sync_to_async(mask_secret)(secret)
