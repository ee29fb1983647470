"""
Measures what hostile answers cost 300 waits in the same event loop.

`measured` serves all of it and runs the waits in a process of their own, ``python -m tests.unit.api.hostile``, whose
memory and turns of the event loop are nobody else's. A turn is measured in CPU time, which a busy machine doesn't add
to. To parse JSON holds the interpreter, and with it the event loop, also from another thread: what the longest call
takes counts as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import SixtyfourUnavailableError
from tests.unit.api.servers import Raw, Reply, Request, Server, trickle

WAITS = 300
POLLS = 3  # of each run; the last one returns that it has completed
AT_ONCE = 6  # polls under way. More would queue in the client, and on a busy machine time out there, all of them
INTERVAL = 4.0  # seconds between two polls of a run. All of them take a fifth of a core: what is measured has to fit in
TRICKLING = 6
TIMES = 3  # that each hostile answer comes
TIMEOUT = 4.0  # seconds; the connection's

MIB = 1024 * 1024
_KINDS = ("none", "bomb", "rows", "small rows", "wide")


class Cost(NamedTuple):
    """What one kind of hostile answers costs a process; ``stall`` and ``parsing`` are seconds of CPU time."""

    stall: float
    parsing: float
    late: float  # seconds by which the loop was late, waiting for the machine included
    grown: float  # bytes of memory, the most
    ended: int  # of the other waits
    unreadable: int
    timed_out: int


def measured(kind: str) -> Cost:
    """Measure one kind of `kinds`."""
    body = _body(kind)
    seen: dict[str, int] = {}
    lock = threading.Lock()

    def respond(request: Request) -> Reply:
        if "hostile" in request.path or request.path.startswith("/workflows/runs?"):
            headers = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
            return Reply(body=body, headers=headers)
        with lock:
            polls = seen[request.path] = seen.get(request.path, 0) + 1
        status = "completed" if polls >= POLLS else "running"
        return Reply(body=json.dumps({"overall_status": status, "workflow_id": "w"}).encode())

    def slowly(connection: socket.socket, stop: threading.Event) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        trickle(connection, stop, b" " * 1000, 1.0)
        return False

    with Server(respond) as server, Raw(slowly) as slow:
        done = subprocess.run(
            [sys.executable, "-m", "tests.unit.api.hostile", kind, server.url, slow.url],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=Path(__file__).parents[3],
            env={**os.environ, "NO_PROXY": "*", "no_proxy": "*"},
        )
    if done.returncode:
        raise AssertionError(done.stderr[-3000:])
    return Cost(*json.loads(done.stdout))


def kinds() -> tuple[str, ...]:
    """Name what is measured: nothing hostile, a bomb, a list of a million rows, and what the bounds just let pass."""
    return _KINDS


def _body(kind: str) -> bytes:
    if kind == "bomb":
        squeezed = zlib.compressobj(9, wbits=31)
        return b"".join(squeezed.compress(b" " * MIB) for _ in range(1024)) + squeezed.flush()
    if kind == "rows":
        row = b'{"job_id":"%d","status":"completed","workflow_id":"w","metrics":{"rows_in":1,"rows_out":1}},'
        return b"[" + b"".join(row % number for number in range(1_000_000)) + b"{}]"
    if kind == "small rows":
        return gzip.compress(b"[" + b"{}," * 1_000_000 + b"{}]")
    if kind == "wide":  # as many values, and as wide characters, as fit under both bounds of a list of runs
        text = '["' + '","'.join("\U0001f600" + "x" * 8 for _ in range(260_000)) + '"]'
        return gzip.compress(text.encode())
    return b"[]"


class _Turns(selectors.DefaultSelector):
    """Records the most CPU time that the loop's thread spent between two calls of `select`."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self._woke: float | None = None

    def select(self, timeout: float | None = None) -> Any:
        if self._woke is not None:
            self.longest = max(self.longest, time.thread_time() - self._woke)
        ready = super().select(timeout)
        self._woke = time.thread_time()
        return ready


def _memory(name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024.0


def _main(kind: str, url: str, slow_url: str) -> Cost:
    turns = _Turns()
    parsing = 0.0
    loads = json.loads

    def timed(*args: Any, **options: Any) -> Any:
        nonlocal parsing
        began = time.thread_time()
        try:
            return loads(*args, **options)
        finally:
            parsing = max(parsing, time.thread_time() - began)

    json.loads = timed
    settings = Settings(credential=ApiKey("k"), base_url=url, verify=False, timeout=TIMEOUT)
    late = before = 0.0
    errors: list[str] = []
    sending = asyncio.Semaphore(AT_ONCE)

    async def wait(client: AsyncSixtyfourClient, number: int) -> None:
        await asyncio.sleep(INTERVAL * number / WAITS)
        status = ""
        while status != "completed":
            with contextlib.suppress(SixtyfourUnavailableError):  # the server is slow, on a busy machine
                async with sending:
                    status = (await client.send(calls.live_status(f"r{number}"), attempts=1)).status
            await asyncio.sleep(INTERVAL)

    async def provoke(client: AsyncSixtyfourClient, build: Callable[[], calls.Call[Any]], times: int) -> None:
        for _ in range(times):
            try:
                await client.send(build(), attempts=1)
            except SixtyfourUnavailableError as error:
                errors.append(str(error))
            await asyncio.sleep(0.5)

    async def tick() -> None:
        nonlocal late
        while True:
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            late = max(late, time.monotonic() - due)

    async def all_of_it() -> int:
        nonlocal before, late, parsing
        async with AsyncSixtyfourClient(settings) as client, AsyncSixtyfourClient(settings) as other:
            other._settings = settings._replace(base_url=slow_url)
            await client.send(calls.live_status("warm"), attempts=1)  # what is imported when it is first used
            before, turns.longest, parsing = _memory("VmRSS"), 0.0, 0.0
            ticking = asyncio.create_task(tick())
            waits = [asyncio.create_task(wait(client, number)) for number in range(WAITS)]
            hostile = []
            if kind != "none":
                hostile = [
                    asyncio.create_task(provoke(client, lambda: calls.live_status("hostile"), TIMES)),
                    asyncio.create_task(provoke(client, lambda: calls.list_runs(limit=500), TIMES)),
                ]
                slow = calls.live_status("slow")
                hostile += [asyncio.create_task(provoke(other, lambda: slow, 1)) for _ in range(TRICKLING)]
            ends = await asyncio.gather(*waits)
            await asyncio.gather(*hostile)
            ticking.cancel()
            return len(ends)

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(turns)) as runner:
        ended = runner.run(all_of_it())
    timed_out = sum("timed out" in error for error in errors)
    grown = _memory("VmHWM") - before
    return Cost(turns.longest, parsing, late, grown, ended, len(errors) - timed_out, timed_out)


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:])))
