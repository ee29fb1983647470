"""What Airflow does differently in a command than in a task: where connections are kept, and how much is logged."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


@contextlib.contextmanager
def logging_disabled(level: int = logging.CRITICAL) -> Iterator[None]:
    """Log nothing of a level or below it."""
    before = logging.root.manager.disable
    logging.disable(max(before, level))
    try:
        yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def as_an_airflow_command() -> Iterator[None]:
    """
    Have Airflow 3.1 and later look for connections in its database too.

    It does that for processes that say so, as its own command ``airflow connections`` does.
    """
    before = os.environ.get(_CONTEXT)
    os.environ.setdefault(_CONTEXT, "server")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_CONTEXT, None)
