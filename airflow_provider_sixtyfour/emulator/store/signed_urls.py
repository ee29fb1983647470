"""
Signed links to result files.

Invariant: a link opens one file until one instant. Who holds it needs no credential, and a change of any part of it
makes it worthless.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import parse_qs

from airflow_provider_sixtyfour.emulator import errors

PREFIX = "/storage/results/"


class SignedUrls:
    """Signs paths and checks signatures, with a secret of its own."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def sign(self, path: str, expires_at: float) -> str:
        """Return the path with its query."""
        expires = f"{expires_at:.3f}"
        return f"{path}?X-Expires={expires}&X-Signature={self._signature(path, expires)}"

    def check(self, path: str, query: str, now: float) -> None:
        """Raise the 403 for a link that was changed or has expired."""
        given = parse_qs(query)
        expires, signature = given.get("X-Expires", [""])[0], given.get("X-Signature", [""])[0]
        if not hmac.compare_digest(signature.encode(), self._signature(path, expires).encode()):
            raise errors.titled(403, "SignatureDoesNotMatch", "The signature of this link is missing or wrong")
        if now >= float(expires):
            raise errors.titled(403, "AccessDenied", "This link has expired: ask for a new one")

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
