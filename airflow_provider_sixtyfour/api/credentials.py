"""
Who we are to the API: an API key, or an OAuth client that mints short-lived tokens.

Holds no socket: it says which header to send, or that a token must be had first, and judges whether a 401 may
be fixed by a new token. Every token is handed to ``on_secret`` before it is used.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.calls import Call
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.models import Token

RENEW_BEFORE_END = 60.0  # seconds; longer than a request may take to arrive
ASSERTION_LIFE = 300  # seconds from `iat` to `exp`; "a few minutes" by the vendor's page
CLOCK_LEEWAY = 60  # seconds that `iat` lies in the past: a server whose clock is behind ours refuses one of the future


class Credential(Protocol):
    """What a client needs of a credential."""

    def headers(self) -> dict[str, str] | None:
        """Return the headers that authenticate a call, or ``None`` if a token must be had first."""

    def renewal(self, base_url: str) -> Call[Token]:
        """Return the call that gets a token; a new one each time."""

    def accept(self, token: Token) -> None:
        """Keep a token that was got."""

    def discard(self, headers: dict[str, str]) -> bool:
        """Discard what a 401 has refused; return whether another try would use something else."""

    def secrets(self) -> tuple[str, ...]:
        """Return the texts that no message may show."""

    def identity(self) -> str:
        """Return a digest that is the same for the same credential; no secret can be read from it."""


class ApiKey:
    """An API key, sent as ``x-api-key``."""

    def __init__(self, key: str) -> None:
        if not key.isascii() or not key.isprintable() or key != key.strip() or not key:
            raise SixtyfourInputError(
                "The API key (the connection's password) is empty or holds spaces or characters that no key has."
            )
        self._key = key

    def headers(self) -> dict[str, str]:
        """Return the key's header."""
        return {"x-api-key": self._key}

    def renewal(self, base_url: str) -> Call[Token]:
        """Never asked for: a key is not renewed."""
        raise NotImplementedError

    def accept(self, token: Token) -> None:
        """Never asked for: a key is not renewed."""
        raise NotImplementedError

    def discard(self, headers: dict[str, str]) -> bool:
        """Nothing else could be sent instead of a refused key."""
        return False

    def secrets(self) -> tuple[str, ...]:
        """Return the key."""
        return (self._key,)

    def identity(self) -> str:
        """Return a digest of the key."""
        return _digest("key", self._key)


class OAuthClient:
    """
    An OAuth client that proves itself with a signed assertion (``private_key_jwt``, RFC 7523).

    :param client_id: the client's id, both issuer and subject of the assertion.
    :param key_id: names the key to the API, the assertion's ``kid``.
    :param private_key: RSA private key, PEM.
    :param on_secret: gets every token before it is used, to mask it in logs. Not the assertions: what masks keeps
        each text for ever, and an assertion is good for one use and never logged.
    :raises SixtyfourInputError: if the key is not an RSA private key in PEM form.
    """

    def __init__(
        self,
        client_id: str,
        key_id: str,
        private_key: str,
        *,
        on_secret: Callable[[str], object] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(private_key.encode(), password=None)
        # TypeError: the key is encrypted. No text of these is repeated: it may quote.
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise SixtyfourInputError(
                "The connection's private_key can't be read: it should be an unencrypted RSA private key in PEM "
                "form, with its line breaks ('-----BEGIN PRIVATE KEY-----' on a line of its own)."
            ) from None
        if not isinstance(key, RSAPrivateKey):
            raise SixtyfourInputError("The connection's private_key is not an RSA key; the API takes RS256 only.")
        self._client_id = client_id
        self._key_id = key_id
        self._key = key
        self._on_secret = on_secret
        self._clock = clock
        self._token: Token | None = None
        self._renew_at = 0.0
        self._minted: deque[str] = deque(maxlen=20)

    def headers(self) -> dict[str, str] | None:
        """Return the token's header while the token has time left."""
        token = self._token  # read once: another thread may discard it meanwhile
        if token is None or self._clock() >= self._renew_at:
            return None
        return {"Authorization": f"Bearer {token.access_token}"}

    def renewal(self, base_url: str) -> Call[Token]:
        """Return the call that trades a fresh assertion for a token."""
        import jwt

        issued = int(self._clock()) - CLOCK_LEEWAY
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": f"{base_url}/oauth/token",
            "iat": issued,
            "exp": issued + ASSERTION_LIFE,
            "jti": str(uuid.uuid4()),
        }
        assertion = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id})
        self._minted.append(assertion)  # no error message repeats it, should the endpoint echo it
        return calls.exchange_token(self._client_id, assertion)

    def accept(self, token: Token) -> None:
        """Keep the token until a minute before it ends (half its life, if it lives under two minutes)."""
        self._minted.append(token.access_token)
        self._on_secret(token.access_token)
        self._token = token
        self._renew_at = self._clock() + max(token.expires_in - RENEW_BEFORE_END, token.expires_in / 2)

    def discard(self, headers: dict[str, str]) -> bool:
        """Forget the token that was refused, unless it has been replaced already; a new one may do."""
        if headers == self.headers():
            self._token = None
        return True

    def secrets(self) -> tuple[str, ...]:
        """Return the last tokens and assertions; a token that was replaced may still be good."""
        return tuple(self._minted)

    def identity(self) -> str:
        """Return a digest of the client's id and its key, not of the tokens."""
        modulus = self._key.public_key().public_numbers().n
        return _digest("oauth", self._client_id, self._key_id, str(modulus))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
