"""
One request that a fault acts on: what it carried, what the true answer would be, and the ways to answer it.

Invariant: the true answer is made at most once, and a request is read to its end before its connection is broken or
it is answered: a close with unread bytes would be a reset, and an early answer a broken pipe.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_sixtyfour.emulator.middleware.connections import Connections, until_closed


@dataclass(slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    content: bytes = b""

    def json(self) -> Any:
        """Return the parsed body."""
        return json.loads(self.content)


class Exchange:
    """A request and its answer."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, connections: Connections) -> None:
        self._app = app
        self.scope = scope
        self.receive = receive
        self.asgi_send = send
        self._connections = connections
        self._made: Answer | None = None

    async def real(self) -> Answer:
        """Process the request and return the true answer instead of sending it."""
        if self._made is None:
            made = Answer(0)

            async def hold(message: Message) -> None:
                if message["type"] == "http.response.start":
                    made.status = message["status"]
                    pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"])
                    made.headers = {name.lower(): value for name, value in pairs}
                else:
                    made.content += message.get("body", b"")

            self._made = made
            await self._app(self.scope, self.receive, hold)
        return self._made

    async def run(self, send: Send) -> None:
        """Send the true answer through this sender, as it is made if it was not made before."""
        if self._made is None:
            await self._app(self.scope, self.receive, send)
            return
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._made.headers.items()]
        await send({"type": "http.response.start", "status": self._made.status, "headers": raw})
        await send({"type": "http.response.body", "body": self._made.content})

    async def read_request(self) -> None:
        """Take the whole request in."""
        if self._made is None:
            while (message := await self.receive())["type"] == "http.request" and message.get("more_body"):
                pass

    def credential(self) -> str:
        """Return the credential that the request carries."""
        headers = {name.lower(): value.decode("latin-1") for name, value in self.scope["headers"]}
        key: str = headers.get(b"x-api-key", "")
        return key or headers.get(b"authorization", "").partition(" ")[2]

    async def send(self, answer: Answer) -> None:
        """Answer, with the length of the body unless the headers have one."""

        async def one() -> AsyncIterator[bytes]:
            yield answer.content

        headers = {"content-length": str(len(answer.content)), **answer.headers}
        await self.stream(answer.status, headers, one())

    async def stream(self, status: int, headers: Mapping[str, str], chunks: AsyncIterator[bytes]) -> None:
        """Answer with a body that is made as it is sent; chunked where the headers have no length."""
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self.asgi_send({"type": "http.response.start", "status": status, "headers": raw})
        async for chunk in chunks:
            await self.asgi_send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self.asgi_send({"type": "http.response.body", "body": b""})

    def write(self, data: bytes) -> None:
        """Write bytes to the connection as they are; only :meth:`close` or :meth:`reset` may follow."""
        self._connections.write(self.scope, data)

    def head_of(self, answer: Answer, *, length: int | None, version: str = "1.1") -> bytes:
        """Return status line and headers as bytes, with this Content-Length, or none."""
        self.scope["emulator.request"].status = answer.status
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        if length is not None:
            headers["content-length"] = str(length)
        lines = [f"HTTP/{version} {answer.status} Emulated", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1")

    async def pause(self, seconds: float) -> bool:
        """Wait, and return whether the client is still there."""
        try:
            await asyncio.wait_for(until_closed(self.receive), seconds)
        except TimeoutError:
            return True
        return False

    async def wait_for_the_client_to_leave(self) -> None:
        """Send nothing, ever."""
        await until_closed(self.receive)

    async def close(self) -> None:
        """Close the connection after what was already written to it."""
        self._connections.close(self.scope)
        await until_closed(self.receive)

    async def reset(self) -> None:
        """Break the connection with an RST."""
        self._connections.reset(self.scope)
        await until_closed(self.receive)
