"""An event loop whose time passes only when nothing is left to do, and a fake Sixtyfour API on its clock."""

from __future__ import annotations

import asyncio
import selectors
from bisect import bisect_right
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_sixtyfour.api.calls import Call
from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.exceptions import SixtyfourNotFoundError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.polling.poller import shared_poller
from airflow_provider_sixtyfour.polling.run_watch import RunWatch
from tests.unit.polling.conftest import Lines

T = TypeVar("T")
EPOCH = 1_000_000.0  # the watch's clock when the loop's begins
NO_END = float("inf")


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that doesn't wait for its timers but moves its time to them; nothing else may be waited for."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Impatient(self))

    def time(self) -> float:
        return self.now


class _Impatient(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        self._loop.now += timeout
        return super().select(0)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a virtual clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


@dataclass
class FakeRun:
    """
    A run: when it starts and ends, and how.

    :param known_at: before, its live status is a 404.
    :param live_lag: seconds by which its live status shows the end later than the lists.
    """

    job_id: str
    ends_at: float = NO_END
    status: str = "completed"
    workflow_id: str = "w"
    starts_at: float = 0.0
    known_at: float = 0.0
    live_lag: float = 0.0
    block_message: str | None = "no credits"
    reason: str | None = None

    def status_at(self, moment: float) -> str:
        return self.status if moment >= self.ends_at else "running"


@dataclass
class FakeApi:
    """
    The API, as one client sees it.

    :param latency: seconds that an answer takes.
    :param list_lag: seconds by which the lists are late.
    :param fails: is asked before each answer, with the call and the time; returns what to raise, or ``None``.
    :param delays: is asked at each call; returns the seconds that its answer takes besides the latency.
    :param per_minute: the limit; 429 beyond.
    """

    runs: dict[str, FakeRun] = field(default_factory=dict)
    latency: float = 0.1
    list_lag: float = 0.0
    fails: Callable[[Call[Any], float], BaseException | None] = lambda call, moment: None
    delays: Callable[[Call[Any], float], float] = lambda call, moment: 0.0
    per_minute: int = 500
    requests_per_minute: float = 360.0
    host: str = "host"
    asked: list[tuple[float, Call[Any]]] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    given_up: int = 0
    under_way: int = 0
    most_under_way: int = 0

    def add(self, *runs: FakeRun) -> None:
        self.runs.update({run.job_id: run for run in runs})
        self._newest_first = sorted(self.runs.values(), key=lambda run: -run.starts_at)

    async def open(self) -> Any:
        self.opened += 1
        return self

    async def close(self) -> None:
        self.closed += 1

    def gave_up(self) -> None:
        self.given_up += 1

    async def send(self, call: Call[T], *, attempts: int) -> T:
        self.asked.append((now(), call))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.latency + self.delays(call, now()))
        finally:
            self.under_way -= 1
        if (error := self.fails(call, now())) is not None:
            raise error
        if self.in_a_minute() > self.per_minute:
            raise SixtyfourUnavailableError("Sixtyfour answered 429.", status=429)
        return call.read(self._answer(call), Cleaner())

    def in_a_minute(self) -> int:
        return len(self.asked) - bisect_right(self.asked, now() - 60, key=lambda each: each[0])

    def request_times(self, path: str = "") -> list[float]:
        """Return when the calls with this in their path were made."""
        return [moment for moment, call in self.asked if path in call.path]

    def _answer(self, call: Call[Any]) -> Any:
        if call.path == "/workflows/runs":
            return self._rows(dict(call.query), now() - self.list_lag)
        if call.path == "/workflows/cancel":
            return {}
        run = self.runs.get(call.path.split("/")[3])
        if run is None or now() < run.known_at:
            raise SixtyfourNotFoundError("No such run.", status=404, from_api=True)
        status = run.status_at(now() - run.live_lag)
        has_message = status == "failed" and run.block_message
        block = {"block_name": "b", "sequence_number": 1, "status": status, "error_message": run.block_message}
        percent = 100.0 * min(1.0, (now() - run.starts_at) / max(run.ends_at - run.starts_at, 1e-9))
        return {
            "overall_status": status,
            "workflow_id": run.workflow_id,
            "overall_progress_percentage": percent,
            "blocks": [block] if has_message else [],
        }

    def _rows(self, query: dict[str, str], moment: float) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for run in self._newest_first:
            if len(found) == int(query["limit"]):
                break
            status = run.status_at(moment)
            wanted = query.get("status") in (None, status, "active" if status == "running" else "")
            if moment >= run.starts_at and wanted and query.get("workflow_id") in (None, run.workflow_id):
                row = {"job_id": run.job_id, "workflow_id": run.workflow_id, "status": status}
                found.append({**row, "error_message": run.reason if status != "running" else None})
        return found


class Connection:
    """What a connection holds, which may change: the API behind it, and the credential that it gives."""

    def __init__(self, api: FakeApi, credential: str = "conn") -> None:
        self.api = api
        self.credential = credential
        self.reads = 0


class Wait:
    """One wait through the shared poller, as a trigger waits, and its outcome."""

    def __init__(self, api: FakeApi, job_id: str, *, key: str = "conn", connection: Any = None, **options: Any) -> None:
        self.log = Lines()
        self.outcome: Any = None
        self.ended_at = 0.0
        self.job_id = job_id
        self.rereads: list[float] = []
        self._connection = connection or Connection(api, key)
        self._api, self._key = self._connection.api, self._connection.credential
        self._options = {"poll_interval": 10.0, "deadline": None, **options}

    async def __call__(self) -> Wait:
        watch = RunWatch(self.job_id, log=self.log, clock=lambda: EPOCH + now(), **self._options)
        try:
            while self.outcome is None:
                async with shared_poller(self._key, self._api.open) as poller:
                    self.outcome = await poller.wait(self.job_id, watch, reread=self._reread)
        except Exception as error:
            self.outcome = error
        self.ended_at = now()
        return self

    async def _reread(self) -> bool:
        self.rereads.append(now())
        await asyncio.sleep(0.02)
        if self._connection.api.host != self._api.host or self._connection.credential == self._key:
            return False
        self._api, self._key = self._connection.api, self._connection.credential
        return True

    @property
    def status(self) -> Any:
        return getattr(self.outcome, "status", self.outcome)


async def wait_for_all(api: FakeApi, *, over: float = 0.0, limit: float = 36_000.0, **options: Any) -> list[Wait]:
    """Wait for all runs; the waits begin spread over some seconds."""
    waits = [Wait(api, job_id, **options) for job_id in api.runs]

    async def begin(number: int, wait: Wait) -> None:
        await asyncio.sleep(over * number / len(waits))
        await wait()

    async with asyncio.timeout(limit):
        await asyncio.gather(*(begin(number, wait) for number, wait in enumerate(waits)))
    return waits
