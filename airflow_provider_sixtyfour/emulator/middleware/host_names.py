"""
Which names this emulator answers to: a web page that had its own name resolve to this machine gets nothing.

Invariant: a request whose ``Host`` or ``Origin`` names another server than this one reaches nothing behind this layer.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.config import Options

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_PORTS = {"http": 80, "https": 443}


class KnownHosts:
    """The outermost layer: it lets requests for this server through, and answers 421 to the others."""

    def __init__(self, app: ASGIApp, options: Options) -> None:
        self._app = app
        self._names = _LOOPBACK | {options.host.lower()}
        allowed = [_split(name) for name in options.allowed_hosts]
        self._any_port = {name for name, port in allowed if port is None}
        self._more = {(name, port) for name, port in allowed if port is not None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or refuse it."""
        named = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"origin"]
        if len(named) == 1 and self._knows(named[0], "http", scope) and all(self._is_own(o, scope) for o in origins):
            await self._app(scope, receive, send)
            return
        message = "The emulator doesn't answer to this Host or Origin; --allow-host NAME[:PORT] allows one"
        await errors.detailed(421, message).response()(scope, receive, send)

    def _is_own(self, origin: str, scope: Scope) -> bool:
        scheme, _, rest = origin.partition("://")
        return self._knows(rest, scheme.lower(), scope)

    def _knows(self, host: str, scheme: str, scope: Scope) -> bool:
        name, port = _split(host)
        if not name:
            return False
        port = port or _PORTS.get(scheme, 0)
        own_name, own_port = scope.get("server") or ("", 0)
        if name in self._any_port or (name, port) in self._more:
            return True
        # The address at which the connection arrived, for an emulator that listens on all of them.
        return port == own_port and (name in self._names or name == own_name)


def _split(host: str) -> tuple[str, int | None]:
    """Return name and port; an empty name for what is neither."""
    try:
        parts = urlsplit(f"//{host.strip()}")
        name, port = parts.hostname or "", parts.port
    except ValueError:
        return "", None
    alone = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    return (name.lower().rstrip(".") if alone else ""), port
