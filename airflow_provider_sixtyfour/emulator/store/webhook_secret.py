"""
The secret that signs outgoing webhooks.

Invariant: there is one secret or none, and while a rotation lasts the one before it; without any, deliveries carry no
signature. A secret is shown once, when it is made.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.store.run_views import timestamp

_PREFIX = "sk_whsec_"


@dataclass(slots=True)
class Secret:
    """A secret and how long it signs. Times are seconds since the epoch."""

    id: str
    text: str
    created_at: float
    signs_until: float | None = None  # None: until it is revoked

    def meta(self) -> dict[str, Any]:
        """Return what may be shown of it at any time."""
        return {
            "id": self.id,
            "org_id": "emulator",
            "preview": f"{_PREFIX}••••…{self.text[-4:]}",
            "status": "active",
            "created_at": timestamp(self.created_at),
            "revoked_at": None,
        }


class Signing:
    """The secrets of the one organisation."""

    def __init__(self, text: str | None, now: float) -> None:
        self._current = Secret(str(uuid.uuid4()), text, now) if text else None
        self._previous: Secret | None = None

    def signature(self, at: int, body: bytes) -> str | None:
        """Return the ``Sixtyfour-Signature`` of a body that is sent at this time; the newer secret's comes first."""
        previous = self._previous if self._previous and at < (self._previous.signs_until or 0) else None
        texts = [secret.text for secret in (self._current, previous) if secret]
        macs = [hmac.new(text.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest() for text in texts]
        return ",".join([f"t={at}", *(f"v1={mac}" for mac in macs)]) if macs else None

    def describe(self) -> dict[str, Any]:
        """Return what is known of the secret, without it."""
        return {"plaintext": None, "meta": self._current.meta() if self._current else None}

    def create(self, now: float) -> dict[str, Any]:
        """Make a secret and show it; the one before it ends at once."""
        self._previous = None
        return self._make(now)

    def roll(self, overlap_hours: float, now: float) -> dict[str, Any]:
        """Make a secret and show it; the one before it also signs for a while. Raise the 404 where there is none."""
        if self._current is None:
            raise errors.detailed(404, "No signing secret exists")
        self._current.signs_until = now + overlap_hours * 3600
        self._previous = self._current if overlap_hours else None
        return self._make(now)

    def revoke(self, now: float) -> dict[str, Any]:
        """End all secrets, or raise the 404 where there is none."""
        if self._current is None:
            raise errors.detailed(404, "No signing secret exists")
        meta = {**self._current.meta(), "status": "revoked", "revoked_at": timestamp(now)}
        self._current = self._previous = None
        return {"plaintext": None, "meta": meta}

    def _make(self, now: float) -> dict[str, Any]:
        self._current = Secret(str(uuid.uuid4()), _PREFIX + secrets.token_hex(32), now)
        return {"plaintext": self._current.text, "meta": self._current.meta()}
