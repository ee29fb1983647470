"""
The calls by which an OAuth client gets its tokens.

Invariant: every refusal has the shape of the API's own or, by an option, of RFC 6749; no answer may be cached.
"""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from airflow_provider_sixtyfour.emulator.middleware.tokens import SCOPE, oauth_error
from airflow_provider_sixtyfour.emulator.state import State


def oauth_routes(state: State) -> APIRouter:
    """Return the routes of one emulator."""
    router = APIRouter()

    @router.get("/.well-known/oauth-authorization-server")
    async def discovery(request: Request) -> JSONResponse:
        issuer = str(request.base_url).rstrip("/")
        return JSONResponse(
            {
                "issuer": issuer,
                "token_endpoint": f"{issuer}/oauth/token",
                "grant_types_supported": ["client_credentials"],
                "response_types_supported": [],
                "scopes_supported": [SCOPE],
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
            }
        )

    @router.post("/oauth/token")
    async def token(request: Request) -> JSONResponse:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise oauth_error(400, "invalid_request", "The body must be application/x-www-form-urlencoded")
        form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        audience = f"{str(request.base_url).rstrip('/')}/oauth/token"
        granted = state.tokens.grant(form, [audience], time.time())
        return JSONResponse(granted, headers={"Cache-Control": "no-store"})

    return router
