"""
Whether a delivery is signed: HMAC-SHA256 over ``{t}.`` and the raw body, with the bytes of the whole secret.

The header is ``Sixtyfour-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]``: while a secret is rolled, both sign.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import NamedTuple

LONGEST_SKEW = 300.0  # seconds between the time in a signature and now, either way
LONGEST_HEADER = 2000  # characters
MOST_DIGITS = 15  # of a time


class Signature(NamedTuple):
    """
    A signature, as its header gives it.

    :param signed_at: the text of the time: its very characters are signed.
    :param digests: in hexadecimal; one that matches is enough.
    """

    signed_at: str
    digests: tuple[str, ...]

    @classmethod
    def read(cls, header: str) -> Signature | None:
        """Return what a header holds; ``None`` if it isn't the header of a signature."""
        if len(header) > LONGEST_HEADER:
            return None
        parts = [part.strip().partition("=") for part in header.split(",")]
        times = [value for name, _, value in parts if name == "t"]
        digests = tuple(value.lower() for name, _, value in parts if name == "v1")
        if len(times) != 1 or not digests:
            return None
        [signed_at] = times
        if not (signed_at.isascii() and signed_at.isdigit() and len(signed_at) <= MOST_DIGITS):
            return None
        return cls(signed_at, digests)

    def is_valid(self, body: bytes, secrets: Sequence[str], now: float) -> bool:
        """
        Return whether one of the secrets has signed the body, not long ago.

        :param body: as it came, byte by byte.
        :param now: seconds of the epoch.
        """
        signed = f"{self.signed_at}.".encode() + body
        expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode() for secret in secrets]
        # All are compared, so that the time it takes doesn't say which one matched.
        matches = [hmac.compare_digest(one, digest.encode()) for one in expected for digest in self.digests]
        return abs(now - int(self.signed_at)) <= LONGEST_SKEW and any(matches)
