"""
The server of one measurement, in a process of its own: ``python -m benchmarks.waiting.server SUBJECT ...``.

Invariant: nothing but the measured process connects to its port. It takes orders as lines of JSON on stdin, answers
each with one on stdout, and ends when stdin does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import uvicorn

from benchmarks.waiting.apis import Api, DbtCloud, Sixtyfour
from benchmarks.waiting.counts import Counts
from benchmarks.waiting.schedule import schedule

KEY_VARIABLE = "WAITING_SERVER_KEY"

_BACKLOG = 4096
_KEEP_ALIVE = 75  # seconds; longer than a poll interval


class Server(uvicorn.Server):
    """A server that takes orders from stdin as soon as it listens."""

    def __init__(self, config: uvicorn.Config, api: Api, counts: Counts, port: int) -> None:
        super().__init__(config)
        self._api = api
        self._counts = counts
        self._port = port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, report the port, and begin to read."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._take_orders, args=[loop], daemon=True).start()

    def _take_orders(self, loop: asyncio.AbstractEventLoop) -> None:
        print(json.dumps({"port": self._port}), flush=True)
        for line in sys.stdin:
            done = asyncio.run_coroutine_threadsafe(self._carry_out(json.loads(line)), loop)
            print(json.dumps(done.result()), flush=True)
        self.should_exit = True

    async def _carry_out(self, order: dict[str, Any]) -> Any:
        if order["do"] == "counts":
            return self._counts.describe()
        begun = self._api.begin(schedule(order["count"], order["ends"], order["after"]))
        self._counts.clear()
        return begun


def main() -> int:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subject", choices=["sixtyfour", "dbt-cloud"])
    parser.add_argument("--chain", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--latency", type=float, required=True)
    given = parser.parse_args()
    # With its protocol named, asyncio turns Nagle's algorithm off, which would make each answer 40 ms later.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    with tempfile.TemporaryDirectory() as folder, listener:
        listener.bind(("127.0.0.1", 0))
        api = _api(given.subject, Path(folder), given.latency)
        counts = Counts(api.app)
        config = uvicorn.Config(
            counts,
            http=counts.protocol(),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_level="warning",
            access_log=False,
            ssl_certfile=given.chain,
            ssl_keyfile=given.key,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=1,
        )
        Server(config, api, counts, listener.getsockname()[1]).run(sockets=[listener])
    return 0


def _api(subject: str, folder: Path, latency: float) -> Api:
    return Sixtyfour(folder, os.environ[KEY_VARIABLE], latency) if subject == "sixtyfour" else DbtCloud(latency)


if __name__ == "__main__":
    sys.exit(main())
