"""
What was asked of the API and of the storage, kept for tests.

Invariant: a request is recorded before anything else looks at it, so that also one that a fault swallowed is seen;
the record is bounded, and the control API's own calls are never in it. A credential is kept as its fingerprint only,
unless the emulator was started to show them.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_sixtyfour.emulator.middleware.connections import Connections

_KEPT = 100_000
_INTERNED = 20_000
_log = logging.getLogger(__name__)

Header = tuple[bytes, bytes]
_SECRET_HEADERS = frozenset({b"x-api-key", b"authorization", b"proxy-authorization", b"cookie"})
_SECRET_PARAMETERS = re.compile(r"((?:^|&)(?:client_assertion|X-Signature|access_token|api_key)=)([^&]+)", re.I)


def fingerprint(secret: str) -> str:
    """Return what stands for a secret in the record: the same for the same one."""
    return f"sha256:{hashlib.sha256(secret.encode('latin-1', 'replace')).hexdigest()[:16]}"


def _redacted(header: Header) -> Header:
    """Return the header with its credential replaced; of ``Authorization`` the scheme stays."""
    name, value = header
    if name.lower() not in _SECRET_HEADERS:
        return header
    scheme, space, secret = value.decode("latin-1").partition(" ")
    if not space or not name.lower().endswith(b"authorization"):
        scheme, secret = "", value.decode("latin-1")
    return name, f"{scheme}{' ' if scheme else ''}{fingerprint(secret)}".encode()


def _without_secrets(query: str) -> str:
    return _SECRET_PARAMETERS.sub(lambda found: found[1] + fingerprint(found[2]), query)


@dataclass(slots=True)
class Request:
    """One request; `status` is None until an answer starts, and stays so where none is sent."""

    at: float
    method: str
    path: str
    query: str
    client: str
    headers: tuple[Header, ...]
    status: int | None = None
    fault: int | None = None  # the id of the fault that acted on it

    def describe(self) -> dict[str, Any]:
        """Return what the control API shows."""
        headers: dict[str, str] = {}
        for name, value in self.headers:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return {
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "status": self.status,
            "idempotency_key": headers.get("idempotency-key"),
            "headers": headers,
            "client": self.client,
            "fault": self.fault,
        }


class RequestLog:
    """The last requests, and counts of all."""

    def __init__(self, show_credentials: bool = False) -> None:
        self._show_credentials = show_credentials
        self.requests: deque[Request] = deque(maxlen=_KEPT)
        self.by_route: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self._headers: dict[Header, Header] = {}

    def add(self, scope: Scope) -> Request:
        """Record a request that arrives."""
        if len(self._headers) > _INTERNED:
            self._headers.clear()
        keep = self._headers.setdefault
        host, port = scope.get("client") or ("", 0)
        query = scope["query_string"].decode("latin-1")
        headers = map(tuple, scope["headers"])
        if not self._show_credentials:
            query, headers = _without_secrets(query), map(_redacted, headers)
        request = Request(
            at=time.time(),
            method=scope["method"],
            path=scope["path"],
            query=query,
            client=f"{host}:{port}",
            headers=tuple(keep(header, header) for header in headers),
        )
        self.requests.append(request)
        return request

    def clear(self) -> None:
        """Forget the requests and the counts."""
        self.requests.clear()
        self.by_route.clear()
        self.by_status.clear()


class Recorded:
    """The outermost layer: records what passes."""

    def __init__(self, app: ASGIApp, traffic: RequestLog, connections: Connections) -> None:
        self._app = app
        self._traffic = traffic
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the request and the status of its answer."""
        request = self._traffic.add(scope)
        self._connections.use(scope)
        scope["emulator.request"] = request

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            # FastAPI leaves the route that it chose in the scope.
            template = getattr(scope.get("route"), "path", None) or scope.get("emulator.route", request.path)
            self._traffic.by_route[f"{request.method} {template}"] += 1
            self._traffic.by_status[str(request.status)] += 1
            _log.info("%s %s -> %s", request.method, request.path, request.status)
