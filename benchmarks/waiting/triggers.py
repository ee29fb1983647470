"""
The process that is measured: ``python -m benchmarks.waiting.triggers SUBJECT ...``.

Invariant: the triggers run as a triggerer runs them: as tasks of one event loop, logging as its runner process does.
It takes orders as lines of JSON on stdin, the runs to wait for, and answers each with one on stdout: what each
trigger's event reported and when, and what the process spent meanwhile. It ends when stdin does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib
import json
import os
import selectors
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

CONNECTION = "waiting"  # the id of the Airflow connection that the environment describes


@dataclass(frozen=True, slots=True)
class Subject:
    """
    A trigger that can be measured.

    :param make: makes the trigger for a run's id and a poll interval in seconds.
    :param read: returns the status and the message that an event's payload has for a run; a status that no run has
        where it has something else.
    """

    make: Callable[[Any, float], Any]
    read: Callable[[Any, Any], tuple[str, str | None]]


def sixtyfour() -> Subject:
    """Return this provider's trigger."""
    from airflow_provider_sixtyfour.triggers.sixtyfour import SixtyfourRunTrigger

    def make(run: Any, poll_interval: float) -> Any:
        return SixtyfourRunTrigger(
            sixtyfour_conn_id=CONNECTION, job_id=run, poll_interval=poll_interval, deadline=None, cancel_on_kill=False
        )

    def read(run: Any, payload: Any) -> tuple[str, str | None]:
        ended = payload.get("ended")
        if payload["job_id"] != run or ended is None or ended["job_id"] != run:
            return f"no outcome: {payload}", None
        return ended["status"], ended["message"]

    return Subject(make, read)


def dbt_cloud() -> Subject:
    """Return the trigger of apache-airflow-providers-dbt-cloud."""
    # By its name: the package is in this benchmark's environment only, and type checking runs elsewhere.
    trigger = importlib.import_module("airflow.providers.dbt.cloud.triggers.dbt").DbtCloudRunJobTrigger

    def make(run: Any, poll_interval: float) -> Any:
        never = time.time() + 7 * 86400
        return trigger(conn_id=CONNECTION, run_id=run, end_time=never, poll_interval=poll_interval, account_id=1)

    def read(run: Any, payload: Any) -> tuple[str, str | None]:
        if payload["status"] == "success" and payload["run_id"] == run:
            return "completed", None
        # It gives its own errors the same status, with another message.
        if payload["message"] == f"Job run {run} has failed.":
            return "failed", None
        return f"no outcome: {payload}", None

    return Subject(make, read)


SUBJECTS = {"sixtyfour": sixtyfour, "dbt-cloud": dbt_cloud}


class TimedSelector(selectors.DefaultSelector):
    """
    The selector of an event loop, which times how long the loop is busy.

    `turn` is the longest that the loop was busy before it looked for news again: so long could anything be kept
    waiting. On a busy machine that may be the kernel's doing, so `work` is the most CPU time that the loop's thread
    spent in one turn. Both are in seconds. A task that beats every 10 ms would show the same, but cost more than a
    second of CPU time a minute, and that is measured too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._woke: tuple[float, float] | None = None
        self.clear()

    def clear(self) -> None:
        """Begin again."""
        self.turn = self.work = 0.0
        self._woke = None  # what was done in this turn so far is not measured

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Record the turn that ends, wait, and record when the next begins."""
        if self._woke is not None:
            self.turn = max(self.turn, time.perf_counter() - self._woke[0])
            self.work = max(self.work, time.thread_time() - self._woke[1])
        ready = super().select(timeout)
        self._woke = (time.perf_counter(), time.thread_time())
        return ready


class MemoryMeter:
    """Measures the process's memory; `peak` is the most that it had, in bytes."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.peak = 0
        self.first = self.measure()

    def measure(self) -> int:
        """Record and return the process's memory."""
        size: int = self._process.memory_info().rss
        self.peak = max(self.peak, size)
        return size

    async def keep_measuring(self) -> None:
        """Measure every second until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            self.measure()


async def wait_for_all(
    subject: Subject, runs: list[Any], *, poll_interval: float, seconds: float, selector: TimedSelector
) -> dict[str, Any]:
    """Wait for the runs, for so many seconds at most, and return the measurements."""
    events: dict[int, tuple[float, float, str, str | None]] = {}  # when it began, when it ended, status, message
    count = len(runs)
    gc.collect()  # what Airflow's start has left; else it falls into the measurement, as one pause of 0.15 s
    memory = MemoryMeter()
    selector.clear()
    cpu, began = time.process_time(), time.time()

    async def one(number: int, run: Any) -> None:
        await asyncio.sleep(poll_interval * number / count)  # tasks defer at different moments
        start = time.time()
        try:
            async for event in subject.make(run, poll_interval).run():
                events[number] = (start, time.time(), *subject.read(run, event.payload))
        except Exception as error:
            events[number] = (start, time.time(), f"raised {error!r}", None)

    measuring = asyncio.create_task(memory.keep_measuring())
    _, late = await asyncio.wait([asyncio.create_task(one(*run)) for run in enumerate(runs)], timeout=seconds)
    cpu, ended = time.process_time() - cpu, time.time()
    memory.measure()
    for task in (measuring, *late):
        task.cancel()
    await asyncio.gather(measuring, *late, return_exceptions=True)
    return {
        "began": began,
        "ended": ended,
        "cpu": cpu,
        "memory": memory.peak - memory.first,
        "turn": selector.turn,
        "work": selector.work,
        "events": [events.get(number) for number in range(count)],
    }


def log_as_a_triggerer_does() -> None:
    """Write each log line as a triggerer's runner does for its supervisor, but to nowhere."""
    from airflow.sdk.log import configure_logging

    nowhere = os.fdopen(os.open(os.devnull, os.O_WRONLY), "wb", buffering=0)
    configure_logging(json_output=True, output=nowhere, sending_to_supervisor=True)


async def carry_out_orders(subject: Subject, poll_interval: float, selector: TimedSelector) -> None:
    """Carry out the orders on stdin; cancelled when it ends, also in the middle of an order."""
    loop, me = asyncio.get_running_loop(), asyncio.current_task()
    assert me is not None
    orders: asyncio.Queue[str] = asyncio.Queue()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(orders.put_nowait, line)
        loop.call_soon_threadsafe(me.cancel)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        order = json.loads(await orders.get())
        seen = await wait_for_all(
            subject, order["runs"], poll_interval=poll_interval, seconds=order["seconds"], selector=selector
        )
        print(json.dumps(seen), flush=True)


def main() -> int:
    """Wait as often as ordered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subject", choices=list(SUBJECTS))
    parser.add_argument("--poll-interval", type=float, required=True)
    given = parser.parse_args()
    subject = SUBJECTS[given.subject]()
    log_as_a_triggerer_does()
    selector = TimedSelector()
    with (
        contextlib.suppress(asyncio.CancelledError),
        asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner,
    ):
        runner.run(carry_out_orders(subject, given.poll_interval, selector))
    return 0


if __name__ == "__main__":
    sys.exit(main())
