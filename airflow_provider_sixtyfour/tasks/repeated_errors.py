"""What is logged of failures that end nothing: each cause once, and that it is over."""

from __future__ import annotations

from typing import Any

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourRefusedError, SixtyfourUnavailableError


class Trouble:
    """
    Logs why something fails, once for each cause that follows another, and that it works again.

    :param log: the watcher's.
    :param what_next: a sentence: what the watcher does about it.
    """

    def __init__(self, log: Any, what_next: str) -> None:
        self.times = 0
        self._log = log
        self._what_next = what_next
        self._cause: tuple[Any, ...] | None = None

    def met(self, error: Exception) -> None:
        """Note a failure."""
        self.times += 1
        cause = _cause(error)
        if cause != self._cause:
            self._cause = cause
            self._log.warning("%s %s", _described(error), self._what_next)

    def over(self) -> None:
        """Note a success."""
        if self._cause is not None:
            self._log.info("This works again, after %d failed attempts.", self.times)
        self.times, self._cause = 0, None


def _cause(error: Exception) -> tuple[Any, ...]:
    """Return what two failures have in common that have the same cause: their texts may differ in a number."""
    if isinstance(error, SixtyfourRefusedError | SixtyfourUnavailableError):
        return type(error), error.status
    return type(error), str(error)[:200]


def _described(error: Exception) -> str:
    if isinstance(error, SixtyfourError):
        return str(error)
    text = Cleaner().message(f"{type(error).__name__}: {error}").rstrip(".")
    return f"{text}."
