"""The asynchronous client doesn't block the event loop that it shares with all other triggers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.settings import Settings
from tests.emulator_process import EmulatorProcess
from tests.unit.api.conftest import plain_settings
from tests.unit.api.servers import Reply, Server

MakeSettings = Callable[..., Settings]


async def test_the_loop_runs_on_while_a_request_waits(emulator: EmulatorProcess, key_settings: Settings):
    emulator.fault("delay", path="/workflows", delay=0.5)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async with AsyncSixtyfourClient(key_settings) as client:
        ticking = asyncio.create_task(tick())
        await client.send(calls.list_workflows())
        ticking.cancel()
    assert ticks > 5


async def test_waiting_requests_wait_together(emulator: EmulatorProcess, key_settings: Settings):
    emulator.fault("delay", path="/workflows", delay=0.5, times=20)
    loop = asyncio.get_running_loop()
    async with AsyncSixtyfourClient(key_settings) as client:
        await client.send(calls.list_blocks())
        began = loop.time()
        await asyncio.gather(*(client.send(calls.list_workflows()) for _ in range(20)))
    assert loop.time() - began < 5  # one after the other they would take ten


@pytest.mark.parametrize(("rows", "is_on_the_loop"), [(100, True), (40_000, False)])
async def test_a_long_answer_is_read_off_the_loop(rows: int, is_on_the_loop: bool):
    body = json.dumps(list(range(rows))).encode()
    call: calls.Call[Any] = calls.list_workflows()._replace(read=lambda value, _: (len(value), threading.get_ident()))
    with Server(lambda _: Reply(body=body)) as server:
        async with AsyncSixtyfourClient(plain_settings(server.url, ApiKey("k"))) as client:
            count, thread = await client.send(call, attempts=1)
    assert count == rows
    assert (thread == threading.get_ident()) == is_on_the_loop


async def test_secrets_are_reported_off_the_event_loop(emulator: EmulatorProcess, oauth_settings: MakeSettings):
    # Airflow's `mask_secret` sends a request to the supervisor, which must not be done on the triggerer's loop.
    threads: list[int] = []
    settings = oauth_settings(on_secret=lambda _: threads.append(threading.get_ident()))
    async with AsyncSixtyfourClient(settings) as client:
        await client.send(calls.list_workflows())
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_trigger_that_is_cancelled_while_it_gets_a_token_is_in_nobodys_way(
    emulator: EmulatorProcess, oauth_settings: MakeSettings
):
    emulator.fault("delay", path="/oauth/token", delay=30)
    async with AsyncSixtyfourClient(oauth_settings()) as client:
        stuck = asyncio.create_task(client.send(calls.list_workflows()))
        waiting = asyncio.create_task(client.send(calls.list_workflows()))
        while not emulator.requests():  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)
        stuck.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stuck
        await asyncio.wait_for(waiting, 20)
    assert [request["path"] for request in emulator.requests()] == ["/oauth/token", "/oauth/token", "/workflows"]


async def test_a_client_can_be_closed_unused_and_twice(key_settings: Settings):
    client = AsyncSixtyfourClient(key_settings)
    await client.close()
    await client.send(calls.list_workflows())
    await client.close()
    await client.close()
