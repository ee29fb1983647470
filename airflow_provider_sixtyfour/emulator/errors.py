"""
The refusals of the API, in every shape of body that it is known to answer with.

Invariant: whatever is refused leaves nothing behind. An :class:`ApiError` is raised before anything is stored or
charged, and ends the request.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from fastapi.responses import JSONResponse


class ApiError(Exception):
    """A refusal with its status, its JSON body and its headers; `older` is the body of the API's older pages."""

    def __init__(
        self, status: int, body: object, headers: Mapping[str, str] | None = None, *, older: object = None
    ) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.older = body if older is None else older
        self.headers = dict(headers or {})

    def response(self, *, older: bool = False) -> JSONResponse:
        """Return the answer to send."""
        return JSONResponse(self.older if older else self.body, status_code=self.status, headers=self.headers)


def titled(status: int, error: str, message: str, headers: Mapping[str, str] | None = None) -> ApiError:
    """Return a refusal whose older shape is ``{"error": "...", "message": "..."}``."""
    return ApiError(status, {"detail": message}, headers, older={"error": error, "message": message})


def coded(status: int, code: str, message: str) -> ApiError:
    """Return a refusal whose older shape is ``{"error": {"code": "...", "message": "..."}}``."""
    return ApiError(status, {"detail": message}, older={"error": {"code": code, "message": message}})


def too_many(message: str, wait: float, retry_after: bool) -> ApiError:
    """Return the 429 of a limit that has room again after so many seconds."""
    headers = {"Retry-After": str(math.ceil(wait))} if retry_after else {}
    return titled(429, "Too Many Requests", message, headers)


def detailed(status: int, detail: str) -> ApiError:
    """Return a refusal of the shape ``{"detail": "..."}``."""
    return ApiError(status, {"detail": detail})


def invalid(location: list[str | int], message: str, kind: str = "value_error") -> ApiError:
    """Return a 422 of FastAPI's own shape, for a check that FastAPI doesn't make."""
    return ApiError(422, {"detail": [{"type": kind, "loc": location, "msg": message}]})


_USUAL = {
    400: "Invalid request body",
    401: "Invalid API key",
    402: "Insufficient API credits",
    403: "Access denied",
    404: "Not found",
    409: "Conflict",
    429: "Rate limit exceeded",
    500: "Internal server error",
}


def refused(status: int) -> ApiError:
    """Return a refusal as the API words it for this status."""
    return detailed(status, _USUAL.get(status, "Error"))
