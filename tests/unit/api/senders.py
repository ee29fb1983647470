"""Both clients behind one blocking interface, so that each test covers both."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
from airflow_provider_sixtyfour.api.calls import Call
from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.api.settings import Settings

T = TypeVar("T")


class SyncSender:
    """`slept` holds the pauses between tries, in seconds; none is really slept."""

    def __init__(self, settings: Settings) -> None:
        self.slept: list[float] = []
        self.client = SixtyfourClient(settings, sleep=self.slept.append)

    def send(self, call: Call[T], **options: Any) -> T:
        return self.client.send(call, **options)

    def close(self) -> None:
        self.client.close()


class AsyncSender:
    """The same for the asynchronous client, in an event loop of its own."""

    def __init__(self, settings: Settings) -> None:
        self.slept: list[float] = []
        self.client = AsyncSixtyfourClient(settings, sleep=self._sleep)
        self._runner = asyncio.Runner()

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def send(self, call: Call[T], **options: Any) -> T:
        return self._runner.run(self.client.send(call, **options))

    def close(self) -> None:
        self._runner.run(self.client.close())
        self._runner.close()


Sender = SyncSender | AsyncSender
SENDERS: dict[str, type[SyncSender] | type[AsyncSender]] = {"sync": SyncSender, "async": AsyncSender}
