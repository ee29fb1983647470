"""
What a run has used, as the API counts it: numbers by their names.

The API promises an object of anything (rows in and out, costs). Numbers alone are taken from it, those in objects
within it too, and a bounded number of them: they travel through Airflow's database, and they can be added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

MOST = 50  # numbers of one run
LONGEST_NAME = 100  # characters
DEEPEST = 3  # objects within objects


def numbers(metrics: Mapping[str, Any], cleaned: Callable[[str], str] = str) -> dict[str, float]:
    """
    Return the numbers of a run's metrics; one in an object within is named ``object.name``.

    :param cleaned: cleans a name, before it is cut.
    """
    return dict(pair for _, pair in zip(range(MOST), _named(metrics, "", DEEPEST, cleaned), strict=False))


def used(metrics: Mapping[str, float], name: str) -> float | None:
    """Return what has been used, by one metric; ``None`` if it isn't given, or negative, which would add to a limit."""
    number = metrics.get(name)
    return number if number is not None and number >= 0 else None


def total(of_each: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Add up the metrics of several runs, name by name."""
    sums: dict[str, float] = {}
    for one in of_each:
        for name, number in one.items():
            sums[name] = sums.get(name, 0) + number
    return sums


def _named(
    values: Mapping[str, Any], prefix: str, depth: int, cleaned: Callable[[str], str]
) -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        name = f"{prefix}{cleaned(key)}"[:LONGEST_NAME]
        if isinstance(value, int | float):
            if not isinstance(value, bool) and abs(value) < 2**63:
                yield name, value
        elif isinstance(value, Mapping) and depth > 1:
            yield from _named(value, f"{name}.", depth - 1, cleaned)
