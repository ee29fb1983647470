"""The methods of a log that the lower layers call; ``logging``'s and Airflow's own both give it."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """A log that takes a message and the values for its ``%s``."""

    def info(self, event: str, *args: Any) -> Any:
        """Log what happens."""

    def warning(self, event: str, *args: Any) -> Any:
        """Log what the reader should look at."""

    def error(self, event: str, *args: Any) -> Any:
        """Log what the reader has to fix."""
