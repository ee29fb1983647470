"""What the provider hands to Airflow's ``Stats``, kept."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any, NamedTuple


class Sent(NamedTuple):
    """A value as ``Stats`` got it."""

    kind: str
    name: str
    value: Any
    tags: dict[str, str]


class Sink:
    """In place of Airflow's ``Stats``, with the same signatures."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def incr(self, stat: str, count: int = 1, rate: float = 1, *, tags: dict[str, str] | None = None) -> None:
        self.sent.append(Sent("counter", stat, count, dict(tags or {})))

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, str] | None = None) -> None:
        self.sent.append(Sent("timer", stat, dt, dict(tags or {})))

    def gauge(
        self, stat: str, value: float, rate: float = 1, delta: bool = False, *, tags: dict[str, str] | None = None
    ) -> None:
        self.sent.append(Sent("gauge", stat, value, dict(tags or {})))

    def timer(self, stat: str | None = None, *, tags: dict[str, str] | None = None) -> object:
        assert stat is None, "a stopwatch that sends nothing"
        return object()

    def counted(self, prefix: str = "sixtyfour.runs_") -> dict[str, Any]:
        """Return the sums of the counters whose names begin with a prefix, by the rest of their names."""
        sums: dict[str, Any] = defaultdict(int)
        for one in self.sent:
            if one.kind == "counter" and one.name.startswith(prefix):
                sums[one.name.removeprefix(prefix)] += one.value
        return dict(sums)

    def values(self, name: str) -> list[Any]:
        """Return what was sent under a name, in order."""
        return [one.value for one in self.sent if one.name == name]


class BrokenSink:
    """A ``Stats`` that fails in every way that it is used, and counts how often."""

    def __init__(self) -> None:
        self.used = 0

    def __getattr__(self, name: str) -> Any:
        self.used += 1
        raise RuntimeError(f"no {name} here")
