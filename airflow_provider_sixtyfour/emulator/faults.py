"""
Trouble to order: answers, delays and broken connections that a test asks for.

Invariant: a fault acts on the real connection and only on the requests that it describes; the first fault that
describes a request is the one that acts on it, and each time is counted.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_sixtyfour.emulator.connections import Connections, until_closed

Where = Literal["api", "storage"]


class FaultBody(BaseModel):
    """What a test orders. Times are in seconds."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["answer", "drop", "reset", "delay", "cut"]
    method: str | None = None
    path: str | None = None  # a regular expression for the whole path
    query: str | None = None  # a regular expression to be found in the query
    where: Where = "api"
    when: Literal["before", "after"] = "before"  # after: the request is processed first
    times: int | None = Field(default=None, ge=1)  # null: for ever; left out: once, or for ever in the `seconds`
    seconds: float | None = Field(default=None, gt=0)  # how long from now
    skip: int = Field(default=0, ge=0)  # how many to let through first
    status: int = Field(default=503, ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None  # text as it is, anything else as JSON
    delay: float = Field(default=0, ge=0)
    cut_after: int = Field(default=0, ge=0)  # bytes of the body

    @property
    def limit(self) -> int | None:
        """How often it fires at most; None: without limit."""
        return 1 if "times" not in self.model_fields_set and self.seconds is None else self.times

    @field_validator("path", "query")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern


@dataclass(slots=True)
class Fault:
    """An order and how far it is carried out."""

    id: int
    body: FaultBody
    added_at: float
    seen: int = 0
    fired: int = 0

    def describe(self) -> dict[str, Any]:
        """Return what the control API shows."""
        return {"id": self.id, "fired": self.fired, **self.body.model_dump()}

    def takes(self, scope: Scope, where: Where, now: float) -> bool:
        """Return whether this request is one to act on; counts it if so."""
        body = self.body
        if body.where != where or (body.method and body.method.upper() != scope["method"]):
            return False
        if body.path and not re.fullmatch(body.path, scope["path"]):
            return False
        if body.query and not re.search(body.query, scope["query_string"].decode("latin-1")):
            return False
        if body.limit is not None and self.fired >= body.limit:
            return False
        if body.seconds and now > self.added_at + body.seconds:
            return False
        self.seen += 1
        if self.seen <= body.skip:
            return False
        self.fired += 1
        return True


class Faults:
    """All faults that were ordered."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._all: list[Fault] = []

    def add(self, body: FaultBody) -> Fault:
        """Order a fault."""
        fault = Fault(next(self._ids), body, time.monotonic())
        self._all.append(fault)
        return fault

    def match(self, scope: Scope, where: Where) -> Fault | None:
        """Return the fault that acts on a request."""
        now = time.monotonic()
        return next((fault for fault in self._all if fault.takes(scope, where, now)), None)

    def describe(self) -> list[dict[str, Any]]:
        """Return all, in the order of their arrival."""
        return [fault.describe() for fault in self._all]

    def clear(self) -> None:
        """Cancel all orders."""
        self._all.clear()


class Faulty:
    """The layer that carries faults out."""

    def __init__(self, app: ASGIApp, faults: Faults, connections: Connections, where: Where) -> None:
        self._app = app
        self._faults = faults
        self._connections = connections
        self._where: Where = where

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or do what the fault says."""
        fault = self._faults.match(scope, self._where)
        if fault is None:
            await self._app(scope, receive, send)
            return
        scope["emulator.request"].fault = fault.id
        body = fault.body
        if body.action == "cut":
            try:
                await self._app(scope, receive, _cutting(send, body.cut_after))
            except _CutError:
                self._connections.close(scope)
                await until_closed(receive)
            return
        held: list[Message] = []
        if body.when == "after":
            await self._app(scope, receive, _holding(held))
        elif body.action != "delay":
            await _read_to_the_end(receive)
        await asyncio.sleep(body.delay)
        if body.action == "delay":
            if body.when == "before":
                await self._app(scope, receive, send)
            for message in held:
                await send(message)
        elif body.action == "answer":
            await _answer(body, send)
        else:
            breaks = self._connections.reset if body.action == "reset" else self._connections.close
            breaks(scope)
            await until_closed(receive)


class _CutError(Exception):
    """Ends the making of an answer that has been sent far enough."""


def _cutting(send: Send, left: int) -> Send:
    """Return a sender that lets the headers and so many bytes of the body through."""

    async def cutting(message: Message) -> None:
        nonlocal left
        body = message.get("body", b"")
        if message["type"] != "http.response.body" or len(body) < left:
            left -= len(body)
            await send(message)
            return
        await send({"type": "http.response.body", "body": body[:left], "more_body": True})
        raise _CutError

    return cutting


def _holding(held: list[Message]) -> Send:
    async def hold(message: Message) -> None:
        held.append(message)

    return hold


async def _read_to_the_end(receive: Receive) -> None:
    """Take the whole request in: a close with unread bytes would be a reset, and an early answer a broken pipe."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass


async def _answer(body: FaultBody, send: Send) -> None:
    text = body.body if isinstance(body.body, str) else json.dumps(body.body)
    content = b"" if body.body is None else text.encode()
    headers = {name.lower(): value for name, value in body.headers.items()}
    headers.setdefault("content-length", str(len(content)))
    if body.body is not None:
        headers.setdefault("content-type", "text/html" if isinstance(body.body, str) else "application/json")
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": body.status, "headers": raw})
    await send({"type": "http.response.body", "body": content})
