"""
Access tokens for OAuth clients that prove who they are with a signed assertion (RFC 7523).

Invariant: a token is given only for an assertion that the client's registered key has signed, for this token
endpoint, for at most ten minutes, and that was never seen before; a token ends when it says.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_sixtyfour.emulator.config import OAuthClient
from airflow_provider_sixtyfour.emulator.errors import ApiError

SCOPE = "full_access"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST = 600  # seconds that an assertion may live


class Tokens:
    """The clients, the tokens that they hold and the assertions that they have used."""

    def __init__(self, clients: Iterable[OAuthClient], token_seconds: float) -> None:
        self._clients = {client.client_id: client for client in clients}
        self._token_seconds = token_seconds
        self._owners: dict[str, tuple[str, float]] = {}
        self._used: dict[tuple[str, str], float] = {}

    def owner(self, token: str, now: float) -> str | None:
        """Return the client that a token was given to, while it is alive."""
        client, expires_at = self._owners.get(token, ("", 0.0))
        return client if now < expires_at else None

    def revoke_all(self) -> None:
        """Make every token that was given worthless."""
        self._owners.clear()

    def grant(self, form: Mapping[str, str], audiences: Iterable[str], now: float) -> dict[str, Any]:
        """Return the answer to a token request, or raise its refusal."""
        if form.get("grant_type") != "client_credentials":
            kind = "unsupported_grant_type" if form.get("grant_type") else "invalid_request"
            raise oauth_error(400, kind, "grant_type must be client_credentials")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise oauth_error(400, "invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}")
        for name in ("client_id", "client_assertion"):
            if not form.get(name):
                raise oauth_error(400, "invalid_request", f"{name} is missing")
        if form.get("scope", SCOPE) != SCOPE:
            raise oauth_error(400, "invalid_scope", f"The only scope is {SCOPE}")
        client = self._authenticated(form["client_id"], form["client_assertion"], audiences, now)
        token = secrets.token_urlsafe(32)
        self._owners[token] = (client.client_id, now + self._token_seconds)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(self._token_seconds),
            "scope": SCOPE,
        }

    def _authenticated(self, client_id: str, assertion: str, audiences: Iterable[str], now: float) -> OAuthClient:
        import jwt  # late: with its cryptography it takes a quarter of the start, and few ask for tokens

        client = self._clients.get(client_id)
        if client is None:
            raise _invalid_client(f"Unknown client {client_id}")
        try:
            header = jwt.get_unverified_header(assertion)
            if header.get("kid") != client.key_id:
                raise _invalid_client(f"The assertion's kid is {header.get('kid')!r}, not the client's key")
            claims = jwt.decode(
                assertion,
                client.public_key,
                algorithms=["RS256"],
                audience=list(audiences),
                issuer=client_id,
                options={"require": ["iss", "sub", "aud", "exp", "jti"]},
            )
        except jwt.InvalidTokenError as error:
            raise _invalid_client(f"The assertion is not valid: {error}") from error
        if claims["sub"] != client_id:
            raise _invalid_client("The assertion's sub is not the client's id")
        expires_at = float(claims["exp"])
        if expires_at > now + _LONGEST:
            raise _invalid_client(f"The assertion's exp is more than {_LONGEST} seconds ahead")
        self._use(client_id, str(claims["jti"]), expires_at, now)
        return client

    def _use(self, client_id: str, jti: str, expires_at: float, now: float) -> None:
        self._used = {key: until for key, until in self._used.items() if until > now}
        if (client_id, jti) in self._used:
            raise _invalid_client("The assertion's jti was used before")
        self._used[client_id, jti] = expires_at


def oauth_error(status: int, error: str, description: str) -> ApiError:
    """Return a refusal whose older shape is that of RFC 6749."""
    older = {"error": error, "error_description": description}
    return ApiError(status, {"detail": f"{error}: {description}"}, {"Cache-Control": "no-store"}, older=older)


def _invalid_client(description: str) -> ApiError:
    return oauth_error(401, "invalid_client", description)
