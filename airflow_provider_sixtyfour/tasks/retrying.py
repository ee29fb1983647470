"""What a task asks of Airflow's API server, or of a file that takes its place, is tried again while that is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.runs.log import Log

T = TypeVar("T")

PATIENCE = 120.0  # seconds; a restart of Airflow's API server takes less, Airflow itself tries for some 20 s
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds between two tries; the last one from then on


def with_retries(
    act: Callable[[], T],
    what: str,
    *,
    log: Log,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """
    Return what ``act`` returns, which is tried again for as long as `PATIENCE` if it raises.

    :param what: what it does, as a log line begins: "record the run of this task".
    :param sleep: takes the seconds to pause; may raise what ends the task.
    :raises Exception: the last error of ``act``; at once where Airflow says that it no longer knows the task instance,
        as after a Clear.
    """
    gives_up_at = clock() + PATIENCE
    number = 0
    while True:
        try:
            return act()
        except Exception as error:
            if _is_lasting(error) or clock() >= gives_up_at:
                raise
            pause = PAUSES[min(number, len(PAUSES) - 1)]
            log.warning("Could not %s: %s. Trying again in %g s.", what, _cause(error), pause)
            number += 1
        sleep(pause)


def _is_lasting(error: Exception) -> bool:
    """
    Return whether trying again can't help.

    That is where Airflow's API server has answered and refused, as for a task instance that was cleared meanwhile, and
    where a file can't be written.
    """
    if isinstance(error, PermissionError | FileNotFoundError | NotADirectoryError | TypeError | ValueError):
        return True
    detail = getattr(getattr(error, "error", None), "detail", None)
    status = detail.get("status_code") if isinstance(detail, dict) else None
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429)


def _cause(error: Exception) -> Any:
    return f"{type(error).__name__}: {error}"[:200]
