"""The settings of a connection, with digests that are equal where two of them are the same."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_sixtyfour.api.observing import Observer, unobserved
from airflow_provider_sixtyfour.api.settings import Settings

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient


_SALT = secrets.token_bytes(16)  # so that a digest says nothing outside of this process


class Resolved(NamedTuple):
    """
    What a connection resolves to.

    :param key: a digest of all of it; the same for connections that differ in their name only.
    :param account: a digest of the API's address and the credential, which is what the API's rate limit counts for.
    """

    settings: Settings
    key: str
    account: str

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return self.settings.base_url

    async def open_client(self, observe: Observer = unobserved) -> AsyncSixtyfourClient:
        """
        Return a new client for the running event loop.

        :param observe: counts its requests.
        """
        from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient

        return AsyncSixtyfourClient(self.settings, observe=observe)


def resolved(settings: Settings) -> Resolved:
    """Return settings with the digests that identify them."""
    account = _digest(settings.base_url, settings.credential.identity())
    key = _digest(account, settings.timeout, settings.verify, settings.requests_per_minute)
    return Resolved(settings, key, account)


def _digest(*parts: object) -> str:
    return hashlib.sha256(_SALT + repr(parts).encode()).hexdigest()
