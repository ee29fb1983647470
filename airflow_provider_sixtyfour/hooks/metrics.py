"""
The metrics of this provider, by their names, and the one place that hands values to Airflow's ``Stats``.

``Stats`` sends them where Airflow's own metrics go: StatsD, Datadog, OpenTelemetry, or nowhere. It is imported when the
first value is sent.

Invariant: nothing here raises. A value that can't be sent is logged and left out; no task or trigger is affected.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.api.observing import Observed, Observer

log = logging.getLogger(__name__)

# Airflow refuses a name of more than 250 characters, and with InfluxDB's format the tags are part of the name.
LONGEST_TAG = 64
UNKNOWN = "unknown"  # the value of a tag that nobody has given
# What separates names, tags and values in one of the formats: `,` and `=` (InfluxDB), `:`, `|`, `#` and `@` (StatsD and
# Datadog). Airflow takes none of these in a name and drops a tag that holds one of the former.
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class Kind(Enum):
    """What is done with the values of a metric."""

    COUNTER = "counter"
    TIMER = "timer"
    GAUGE = "gauge"


class Metric(NamedTuple):
    """
    A metric.

    :param name: as ``Stats`` gets it; Airflow puts its own prefix before it.
    :param counted: what one value stands for.
    """

    name: str
    kind: Kind
    unit: str
    tags: tuple[str, ...]
    counted: str


_RUN = ("workflow_id", "conn_id")

RUNS_STARTED = Metric(
    "sixtyfour.runs_started", Kind.COUNTER, "runs", _RUN, "the API has started a run for a task of this provider"
)
RUNS_REATTACHED = Metric(
    "sixtyfour.runs_reattached", Kind.COUNTER, "runs", _RUN, "a try continues with the run of an earlier try"
)
RUNS_COMPLETED = Metric(
    "sixtyfour.runs_completed",
    Kind.COUNTER,
    "runs",
    _RUN,
    "a task has concluded that its run completed; with result files, once they have landed or failed to",
)
RUNS_FAILED = Metric(
    "sixtyfour.runs_failed",
    Kind.COUNTER,
    "runs",
    _RUN,
    "a task has concluded that its run ended in any other way, such as failed, or cancelled at Sixtyfour",
)
RUNS_CANCELLED = Metric(
    "sixtyfour.runs_cancelled", Kind.COUNTER, "runs", _RUN, "the API has cancelled a run as this provider asked for"
)
RUN_DURATION = Metric(
    "sixtyfour.run_duration",
    Kind.TIMER,
    "ms",
    _RUN,
    "with a run that ended: from its start to its end, by the times that the API gives",
)
ROWS = Metric(
    "sixtyfour.rows", Kind.COUNTER, "rows", _RUN, "with a run that ended: the rows that it took in, as the API counts"
)
CREDITS = Metric(
    "sixtyfour.credits",
    Kind.COUNTER,
    "credits",
    _RUN,
    "with a run that ended: what it has used, where the API gives it; may be a fraction",
)
CHARGE_CENTS = Metric(
    "sixtyfour.charge_cents",
    Kind.COUNTER,
    "cents",
    _RUN,
    "with a bulk job that ended: what was charged, where the API gives it; may be a fraction",
)
API_REQUESTS = Metric(
    "sixtyfour.api.requests", Kind.COUNTER, "requests", ("conn_id",), "a request to the API is sent, retries included"
)
API_429 = Metric("sixtyfour.api.429", Kind.COUNTER, "responses", ("conn_id",), "the API has answered 429")
API_UNAVAILABLE = Metric(
    "sixtyfour.api.unavailable",
    Kind.COUNTER,
    "requests",
    ("conn_id",),
    "a request got no answer, 5xx, 408 or 425, or an answer that can't be read",
)
WAITING = Metric(
    "sixtyfour.poller.waiting",
    Kind.GAUGE,
    "runs",
    ("conn_id", "hostname"),
    "a triggerer begins or ends to wait for a run: how many it waits for",
)

METRICS = (
    *(RUNS_STARTED, RUNS_REATTACHED, RUNS_COMPLETED, RUNS_FAILED, RUNS_CANCELLED),
    *(RUN_DURATION, ROWS, CREDITS, CHARGE_CENTS),
    *(API_REQUESTS, API_429, API_UNAVAILABLE, WAITING),
)

_OF_A_REQUEST = {
    Observed.REQUEST: API_REQUESTS,
    Observed.RATE_LIMITED: API_429,
    Observed.UNAVAILABLE: API_UNAVAILABLE,
}

_waiting: Counter[str] = Counter()  # runs that this process waits for, by connection
_prepared: set[int] = set()  # ids of processes; a forked one makes its own connection
_logged: set[str] = set()  # names of the errors that were logged as a warning


def tag_value(value: str | None) -> str:
    """Return a value of a tag as every backend takes it: letters, digits, ``_.-``, at most `LONGEST_TAG`."""
    return _UNSAFE.sub("_", str(value or UNKNOWN))[:LONGEST_TAG]


def emit(metric: Metric, value: float = 1, /, **tags: str | None) -> None:
    """
    Send a value: what to add to a counter, the seconds of a timer, or what a gauge shows.

    :param tags: by their names; one that is missing is `UNKNOWN`.
    """
    _send(metric, value, {name: tag_value(tags.get(name)) for name in metric.tags})


def observer(conn_id: str) -> Observer:
    """Return what counts the requests of a client with a connection."""
    tags = {"conn_id": tag_value(conn_id)}

    def observe(seen: Observed) -> None:
        _send(_OF_A_REQUEST[seen], 1, tags)

    return observe


@contextmanager
def waiting(conn_id: str) -> Iterator[None]:
    """Count a run as waited for, in this triggerer and with this connection, for as long as the block runs."""
    _wait_for(conn_id, 1)
    try:
        yield
    finally:
        _wait_for(conn_id, -1)


def _wait_for(conn_id: str, more: int) -> None:
    import socket

    _waiting[conn_id] += more
    emit(WAITING, _waiting[conn_id], conn_id=conn_id, hostname=socket.gethostname())


async def prepare() -> None:
    """Make the connection to where metrics go, once a process and off the event loop: it resolves a host's name."""
    import asyncio

    if os.getpid() not in _prepared:
        await asyncio.to_thread(_prepare)


def _prepare() -> None:
    try:
        _stats().timer()  # without a name: a stopwatch, of which nothing is sent
        _prepared.add(os.getpid())
    except Exception as error:
        _log_failure("sixtyfour.*", error)


@cache
def _stats() -> Any:
    from airflow.providers.common.compat.sdk import Stats

    return Stats


def _send(metric: Metric, value: float, tags: Mapping[str, str]) -> None:
    try:
        if metric.kind is Kind.COUNTER:
            # Annotated as a whole number, and handed on as it is: StatsD, Datadog and OpenTelemetry take fractions.
            _stats().incr(metric.name, int(value) if value == int(value) else value, tags=tags)
        elif metric.kind is Kind.TIMER:
            _stats().timing(metric.name, timedelta(seconds=value), tags=tags)
        else:
            _stats().gauge(metric.name, value, tags=tags)
    except Exception as error:
        _log_failure(metric.name, error)


def _log_failure(name: str, error: Exception) -> None:
    """Log that a value is left out: as a warning once for each kind of error in a process, then at debug."""
    kind = type(error).__name__
    level = logging.DEBUG if kind in _logged else logging.WARNING
    _logged.add(kind)
    log.log(level, "A metric could not be sent (%s: %s). Tasks are not affected. Metric %s.", kind, error, name)
