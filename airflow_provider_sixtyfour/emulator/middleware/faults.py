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
from typing import Any

from pydantic import field_validator
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_sixtyfour.emulator.middleware.connections import Connections
from airflow_provider_sixtyfour.emulator.middleware.exchange import Exchange
from airflow_provider_sixtyfour.emulator.middleware.fault_order import FaultBody, Where
from airflow_provider_sixtyfour.emulator.middleware.misbehaviours import MISBEHAVIOURS


class KnownFault(FaultBody):
    """An order whose action the table has."""

    @field_validator("action")
    @classmethod
    def _known(cls, action: str) -> str:
        if action not in MISBEHAVIOURS:
            raise ValueError(f"the actions are {', '.join(MISBEHAVIOURS)}")
        return action


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
