"""
Faults to order: which requests misbehave, how often and for how long. How they do is in :mod:`.misbehaviours`.

Invariant: a fault acts on the real connection and only on the requests that it describes; the first fault that
describes a request is the one that acts on it, and each time is counted.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_sixtyfour.emulator.connections import Connections
from airflow_provider_sixtyfour.emulator.exchange import Exchange
from airflow_provider_sixtyfour.emulator.misbehaviours import MISBEHAVIOURS

Where = Literal["api", "storage"]


class FaultBody(BaseModel):
    """What a test orders. Times are in seconds."""

    model_config = ConfigDict(extra="forbid")

    action: str  # a name of the table of misbehaviours
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
    chunk_bytes: int = Field(default=1, ge=1)
    whole: bool = False  # the head of the answer trickles too
    mib: int = Field(default=64, ge=1, le=4096)
    rows: int = Field(default=1_000_000, ge=0)
    members: dict[str, Any] = Field(default_factory=dict)

    @property
    def limit(self) -> int | None:
        """How often it fires at most; None: without limit."""
        return 1 if "times" not in self.model_fields_set and self.seconds is None else self.times

    @field_validator("action")
    @classmethod
    def _known(cls, action: str) -> str:
        if action not in MISBEHAVIOURS:
            raise ValueError(f"the actions are {', '.join(MISBEHAVIOURS)}")
        return action

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
        order = fault.body
        misbehaviour = MISBEHAVIOURS[order.action]
        exchange = Exchange(self._app, scope, receive, send, self._connections)
        if order.when == "after":
            await exchange.real()
        if misbehaviour.may_be_late:
            await asyncio.sleep(order.delay)
        await misbehaviour.act(order, exchange)
