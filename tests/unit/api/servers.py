"""A small HTTP server on loopback for what the emulator can't do: a function answers, and requests are recorded."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, BinaryIO


@dataclass
class Request:
    method: str
    path: str  # with the query
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes of the body after which the connection is closed
    has_length: bool = True


Respond = Callable[[Request], Reply]


class Server:
    """``with Server(lambda request: Reply(body=b"{}")) as server: ...``; `requests` is what it was asked."""

    def __init__(
        self,
        respond: Respond,
        *,
        tls: ssl.SSLContext | None = None,
        read_body: Callable[[BinaryIO, int], bytes] = lambda stream, length: stream.read(length),
    ) -> None:
        self.requests: list[Request] = []
        self._tls = tls
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                request = Request(
                    self.command,
                    self.path,
                    {k.lower(): v for k, v in self.headers.items()},
                    read_body(self.rfile, length),
                )
                outer.requests.append(request)
                self._answer(respond(request))

            do_POST = do_GET

            def _answer(self, reply: Reply) -> None:
                self.send_response(reply.status)
                if reply.has_length and reply.status != 204:
                    reply.headers.setdefault("Content-Length", str(len(reply.body)))
                else:
                    self.close_connection = True
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body[: reply.cut_after])
                if reply.cut_after is not None:
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Don't log clients that disconnect: tests make them."""


def closed_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Silent:
    """A server that takes connections and doesn't answer; who has waited for 15 s sees it hang up."""

    def __enter__(self) -> Silent:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._taken: list[socket.socket] = []
        self._watchdog = threading.Timer(15, self._hang_up)
        self._watchdog.daemon = True
        self._watchdog.start()
        return self

    def _hang_up(self) -> None:
        self._socket.settimeout(0)
        with contextlib.suppress(OSError):
            while True:
                self._taken.append(self._socket.accept()[0])
                self._taken[-1].close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watchdog.cancel()
        self._socket.close()


class Raw:
    """
    A server that does what a function does with each connection, in a thread of its own; `connections` counts them.

    :param handle: gets the connection, a request's head having been read, and an event that is set at the end: it
        waits by ``stop.wait(seconds)``, and is called again for the next request while it returns True.
    """

    def __init__(self, handle: Callable[[socket.socket, threading.Event], bool]) -> None:
        self._handle = handle
        self._stop = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Raw:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        with contextlib.suppress(OSError), connection:
            while self._head(connection) and self._handle(connection, self._stop):
                pass

    def _head(self, connection: socket.socket) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := connection.recv(1)):
                return False
            head += byte
        return True


def trickle(connection: socket.socket, stop: threading.Event, data: bytes, seconds: float) -> None:
    """Send some bytes one at a time, with a pause before each."""
    for number in range(len(data)):
        if stop.wait(seconds):
            return
        connection.sendall(data[number : number + 1])
