"""Logging of errors that are retried for as long as it takes: each cause once, and that it works again."""

from __future__ import annotations

from typing import Any

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourRefusedError, SixtyfourUnavailableError


class RepeatedErrors:
    """
    Logs why something fails, once for each cause that follows another, and that it works again.

    :param log: where to.
    :param what_next: a sentence: what is done about it.
    """

    def __init__(self, log: Any, what_next: str) -> None:
        self.count = 0
        self._log = log
        self._what_next = what_next
        self._cause: tuple[Any, ...] | None = None

    def add(self, error: Exception) -> None:
        """Count an error, and log it if its cause is not that of the one before."""
        self.count += 1
        cause = _cause(error)
        if cause != self._cause:
            self._cause = cause
            self._log.warning("%s %s", _described(error), self._what_next)

    def clear(self) -> None:
        """Log that it works again, after an error, and begin to count again."""
        if self._cause is not None:
            self._log.info("This works again, after %d failed attempts.", self.count)
        self.count, self._cause = 0, None


def _cause(error: Exception) -> tuple[Any, ...]:
    """Return what two errors of the same cause have in common: their texts may differ in a number."""
    if isinstance(error, SixtyfourRefusedError | SixtyfourUnavailableError):
        return type(error), error.status
    return type(error), str(error)[:200]


def _described(error: Exception) -> str:
    if isinstance(error, SixtyfourError):
        return str(error)
    text = Cleaner().message(f"{type(error).__name__}: {error}").rstrip(".")
    return f"{text}."
