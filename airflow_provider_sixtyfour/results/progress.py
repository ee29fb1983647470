"""Logs how far a file is: every 10 s or 10 %, and no more than once in a second."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY = 10.0  # seconds
EVERY_SHARE = 0.1  # of the whole
AT_MOST_EVERY = 1.0  # seconds


class Progress:
    """
    One file on its way.

    :param name: of the file.
    :param total: bytes, where it is known.
    :param report: takes a line.
    """

    def __init__(
        self,
        name: str,
        total: int | None,
        report: Callable[[str], object],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._total = total
        self._report = report
        self._clock = clock
        self._reported_at = self._began_at = clock()
        self._reported_bytes = 0

    def at(self, position: int, rows: Callable[[], int | None]) -> None:
        """
        Take in how many bytes there are, and log it if it is time to.

        :param rows: gives the number of rows so far; called only when it is logged.
        """
        now = self._clock()
        since = now - self._reported_at
        if since < AT_MOST_EVERY:
            return
        is_step = self._total is not None and position - self._reported_bytes >= EVERY_SHARE * self._total
        if since < EVERY and not is_step:
            return
        speed = (position - self._reported_bytes) / since
        self._reported_at, self._reported_bytes = now, position
        counted = rows()
        of = f" of {size(self._total)} ({position / self._total:.0%})" if self._total else ""
        also = f", {counted:,} rows" if counted is not None else ""
        self._report(f"{self._name}: {size(position)}{of}{also}, {size(speed)}/s.")

    def seconds(self) -> float:
        """Return how long it has been under way."""
        return self._clock() - self._began_at


def size(number: float) -> str:
    """Write a number of bytes as people read it, in decimal units."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number:.0f} bytes"
