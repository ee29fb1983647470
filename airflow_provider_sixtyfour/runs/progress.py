"""How far a run is, as plain JSON that is small enough to be published each minute, and when it is worth that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.runs.status import FAILED, canonical

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.models import BlockProgress, LiveStatus

STEP = 5.0  # percent: less is no news
MOST_BLOCKS = 50
PAUSE = 60.0  # seconds between what is published of one run, at least
WRITES = 1.0  # a second, of all runs that one triggerer publishes, at most


def snapshot(live: LiveStatus, now: float) -> dict[str, Any]:
    """
    Return how far a run is, as JSON types.

    :param now: seconds of the epoch.
    """
    running = next((block for block in live.blocks if canonical(block.status or "") == "running"), None)
    return {
        "status": canonical(live.status),
        "percent": round(live.percent, 1),
        "block": running.block_name if running else live.current_block,
        "processed": running.processed if running else None,
        "total": running.total if running else None,
        "blocks": [_block(block) for block in live.blocks[:MOST_BLOCKS]],
        "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
    }


def _block(block: BlockProgress) -> dict[str, Any]:
    return {
        "number": block.sequence_number,
        "name": block.block_name,
        "status": canonical(block.status) if block.status else None,
        "processed": block.processed,
        "total": block.total,
        "error": block.error_message,
    }


def has_failed(value: dict[str, Any]) -> bool:
    """Return whether a snapshot is of a run that has ended, and not as completed: it says in which block."""
    return value["status"] in FAILED


class ProgressNews:
    """What is worth publishing of one run: another status, another block, or 5 % more; and not too often."""

    def __init__(self) -> None:
        self._published: tuple[Any, ...] | None = None
        self._next_at = 0.0

    def is_news(self, value: dict[str, Any]) -> bool:
        """Return whether a snapshot differs enough from the last one that was published."""
        return _kind(value) != self._published

    def wait(self, now: float) -> float:
        """Return the seconds until something may be published."""
        return max(0.0, self._next_at - now)

    def published(self, value: dict[str, Any], now: float) -> None:
        """Take in that a snapshot is published."""
        self._published = _kind(value)
        self._next_at = now + PAUSE


class WriteRate:
    """Spreads what a process writes for all its runs: so many a second, one after the other."""

    def __init__(self) -> None:
        self._next_at = 0.0

    def wait(self, now: float) -> float:
        """Take the next place, and return the seconds until it."""
        at = max(now, self._next_at)
        self._next_at = at + 1 / WRITES
        return at - now


def _kind(value: dict[str, Any]) -> tuple[Any, ...]:
    return value["status"], value["block"], value["percent"] // STEP
