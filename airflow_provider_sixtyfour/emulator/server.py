"""
The emulator as a process: its sockets, its servers, its end.

Invariant: when it has said that it listens, it does, on the ports that it named; when it has ended, nothing of it is
left, neither a socket nor a file (but for those in a data directory that the user chose).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from airflow_provider_sixtyfour.emulator.app import api_application, storage_application
from airflow_provider_sixtyfour.emulator.config import Options
from airflow_provider_sixtyfour.emulator.middleware.connections import Connections
from airflow_provider_sixtyfour.emulator.state import State
from airflow_provider_sixtyfour.emulator.store.samples import SAMPLES
from airflow_provider_sixtyfour.emulator.store.workflows import Workflow

_BACKLOG = 2048
_KEEP_ALIVE = 75  # seconds; longer than clients poll, so that a pooled connection isn't closed under them


class _Server(uvicorn.Server):
    """A server that says when it listens, and leaves the signals to the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    async def refuse(self, seconds: float) -> None:
        """Break all connections and don't listen for a while."""
        address = self.servers[0].sockets[0].getsockname()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if connection.transport:
                connection.transport.abort()
        await asyncio.sleep(seconds)
        if not self.should_exit:
            listener = _listen(address[0], address[1])
            loop = asyncio.get_running_loop()
            self.servers = [await loop.create_server(self._connection, sock=listener, backlog=_BACKLOG)]

    def _connection(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state={}, _loop=asyncio.get_running_loop()
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: the process has handlers of its own, which stop all of its servers at once."""
        yield


def serve(options: Options, key_hint: str) -> None:
    """Serve until SIGINT or SIGTERM. `key_hint` tells the user which API key to use."""
    with contextlib.ExitStack() as stack:
        folder = options.data_dir
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sixtyfour-emulator-")))
        api_socket = stack.enter_context(_listen(options.host, options.port))
        storage_socket = None
        if options.storage_port is not None:
            storage_socket = stack.enter_context(_listen(options.host, options.storage_port))
        asyncio.run(_serve(options, folder, api_socket, storage_socket, key_hint))


async def _serve(
    options: Options, folder: Path, api_socket: socket.socket, storage_socket: socket.socket | None, key_hint: str
) -> None:
    storage_port = storage_socket.getsockname()[1] if storage_socket else None
    state = State.fresh(options, folder, storage_port, _origin(api_socket))
    for document in (*SAMPLES, *options.workflows):
        state.workflows.load(document, time.time())
    servers = [(_server(api_application(state), state.api_side.connections), api_socket)]
    if storage_socket:
        servers.append((_server(storage_application(state), state.storage_side.connections), storage_socket))

    def stop() -> None:
        for server, _ in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if options.stop_with_stdin:
        loop.add_reader(sys.stdin.fileno(), lambda: _read_stdin(loop, stop))
    tasks = [
        asyncio.create_task(state.deliveries.work()),
        asyncio.create_task(state.outage.work(servers[0][0].refuse)),
        asyncio.create_task(_announce(servers, key_hint, state.workflows.all())),
    ]
    try:
        await asyncio.gather(*(server.serve(sockets=[sock]) for server, sock in servers))
    finally:
        for task in tasks:
            task.cancel()


def _read_stdin(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        stop()


async def _announce(servers: list[tuple[_Server, socket.socket]], key_hint: str, workflows: list[Workflow]) -> None:
    for server, _ in servers:
        await server.listens.wait()
    origins = [_origin(sock) for _, sock in servers]
    storage = f", storage on {origins[1]}" if len(origins) > 1 else ""
    print(f"Sixtyfour emulator listening on {origins[0]}{storage} (API key: {key_hint})")
    for workflow in workflows:
        print(f"Workflow {workflow.workflow_id}  {ascii(workflow.name)[1:-1]}")
    sys.stdout.flush()


def _server(app: ASGIApp, connections: Connections) -> _Server:
    config = uvicorn.Config(
        app,
        http=connections.protocol(),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=1,
    )
    return _Server(config)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named, and each answer would take 40 ms longer.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _origin(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a wildcard is no address to call
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
