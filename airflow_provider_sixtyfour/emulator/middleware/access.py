"""
Who may call, and how often.

Invariant: a request that has no good credential, or is over the limit, reaches nothing behind this layer. The
discovery document and the token endpoint need no credential and count against no limit.
"""

from __future__ import annotations

import hmac
import time
from collections import deque

from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.config import Options
from airflow_provider_sixtyfour.emulator.middleware.tokens import Tokens

_WINDOW = 60.0  # seconds
BULK_PER_MINUTE = 10  # submissions of bulk jobs, of the whole organisation
OPEN_PATHS = frozenset({"/oauth/token", "/.well-known/oauth-authorization-server"})


class RateLimit:
    """A sliding window of a minute for each credential; a refused request doesn't count."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._taken: dict[str, deque[float]] = {}

    def wait(self, credential: str, now: float) -> float:
        """Take a place in the window and return 0, or return the seconds until there is one."""
        if not self._per_minute:
            return 0.0
        taken = self._taken.setdefault(credential, deque())
        while taken and taken[0] <= now - _WINDOW:
            taken.popleft()
        if len(taken) >= self._per_minute:
            return taken[0] + _WINDOW - now
        taken.append(now)
        return 0.0

    def clear(self) -> None:
        """Give everyone a fresh window."""
        self._taken.clear()


class AcceptedKey:
    """The one API key that opens the API; a test may replace it, as an organisation rotates its key."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key.encode()

    def rotate(self, api_key: str) -> None:
        """Accept this key from now on, and no other."""
        self._api_key = api_key.encode()

    def is_key(self, sent: bytes) -> bool:
        """Return whether a request was sent with it."""
        return hmac.compare_digest(sent, self._api_key)


class AccessControl:
    """The layer before the API."""

    def __init__(self, app: ASGIApp, options: Options, api_key: AcceptedKey, tokens: Tokens, limit: RateLimit) -> None:
        self._app = app
        self._options = options
        self._api_key = api_key
        self._tokens = tokens
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer 400, 401 or 429."""
        if scope["path"] not in OPEN_PATHS:
            try:
                credential = self._credential(scope)
                self._check_rate(credential)
            except errors.ApiError as error:
                await error.response(older=self._options.older_errors)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _credential(self, scope: Scope) -> str:
        headers = {name.lower(): value for name, value in scope["headers"]}
        key, authorization = headers.get(b"x-api-key"), headers.get(b"authorization")
        if key is not None and authorization is not None:
            raise errors.coded(400, "ambiguous_credentials", "Send x-api-key or Authorization, not both")
        if key is not None:
            if not self._api_key.is_key(key):
                raise errors.titled(401, "Unauthorized", "Invalid API key")
            return "api-key"
        if authorization is None:
            raise errors.titled(401, "Unauthorized", "Missing credential: send x-api-key or Authorization")
        scheme, _, token = authorization.decode("latin-1").partition(" ")
        client = self._tokens.owner(token.strip(), time.time()) if scheme.lower() == "bearer" else None
        if client is None:
            refusal = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise errors.titled(401, "Unauthorized", "The access token is unknown or has expired", refusal)
        return f"client:{client}"

    def _check_rate(self, credential: str) -> None:
        wait = self._limit.wait(credential, time.monotonic())
        if wait > 0:
            message = f"Rate limit exceeded: more than {self._options.requests_per_minute} requests in a minute"
            raise errors.too_many(message, wait, self._options.retry_after)
