"""
One monitor for all that waits in one event loop with one connection: one client, one token, one budget.

It is made on first use, and gone when nobody uses it. What it does for one wait never ends another.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_sixtyfour.api.errors import (
    SixtyfourError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.api.retry import ATTEMPTS
from airflow_provider_sixtyfour.api.verdicts import Verdict
from airflow_provider_sixtyfour.monitor.board import Board
from airflow_provider_sixtyfour.monitor.budget import Budget
from airflow_provider_sixtyfour.monitor.questions import Question
from airflow_provider_sixtyfour.monitor.run import NEVER

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.models import LiveStatus
    from airflow_provider_sixtyfour.monitor.watch import RunWatch

T = TypeVar("T")
OpenClient = Callable[[], Awaitable["AsyncSixtyfourClient"]]

log = logging.getLogger(__name__)

AT_ONCE = 6  # questions under way; the client has a few more connections, for what is urgent
AT_A_TIME = 25  # waits that are told of something before others in the event loop have their turn
LAST_LOOK = 5.0  # seconds that a wait takes at its deadline to ask once more

_monitors: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Monitor]] = WeakKeyDictionary()
_closing: set[asyncio.Task[None]] = set()  # strong references: the loop itself keeps weak ones


@asynccontextmanager
async def shared_monitor(key: Hashable, open_client: OpenClient) -> AsyncIterator[Monitor]:
    """
    Use the monitor of this event loop for a connection.

    :param key: tells the connection from others.
    :param open_client: opens a client for it; called again when its credential is refused, for it may have changed.
    """
    monitors = _monitors.setdefault(asyncio.get_running_loop(), {})
    monitor = monitors.get(key)
    if monitor is None:
        monitor = monitors[key] = Monitor(open_client)
    monitor.users += 1
    try:
        yield monitor
    finally:
        monitor.users -= 1
        if monitor.users == 0:
            if monitors.get(key) is monitor:
                del monitors[key]
            # In a task of its own: a trigger that is being cancelled is cancelled again and again.
            closing = asyncio.create_task(monitor.close())
            _closing.add(closing)
            closing.add_done_callback(_closing.discard)
            await asyncio.shield(closing)


class Monitor:
    """Waits for runs, and sends what is urgent; see `shared_monitor`."""

    def __init__(self, open_client: OpenClient) -> None:
        self.users = 0
        self._open_client = open_client
        self._opening = asyncio.Lock()
        self._urgent = asyncio.Lock()
        self._client: AsyncSixtyfourClient | None = None
        self._retired: list[AsyncSixtyfourClient] = []  # closed in the end: something may still be under way
        self._budget: Budget  # comes with the client
        self._board = Board()
        self._changed = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()

    async def wait(self, job_id: str, watch: RunWatch) -> Verdict:
        """
        Wait until the run has ended.

        :raises SixtyfourTimeoutError: at the watch's deadline; the run goes on.
        :raises SixtyfourRefusedError: if the API refuses to tell of it.
        """
        await self._open()
        waiter = _Waiter(watch)
        self._board.add(job_id, waiter, watch.poll_interval, self._now())
        self._ensure_polling()
        try:
            try:
                async with asyncio.timeout(watch.seconds_left()):
                    return await asyncio.shield(waiter.outcome)
            except TimeoutError:
                waiter.is_over = True
            self._board.hurry(job_id, self._now())
            self._changed.set()
            try:
                async with asyncio.timeout(LAST_LOOK):
                    return await asyncio.shield(waiter.outcome)
            except TimeoutError:
                raise watch.too_late() from None
        finally:
            self._board.remove(job_id, waiter)
            waiter.outcome.cancel()

    async def send(self, call: Call[T], *, attempts: int = ATTEMPTS) -> T:
        """Send something urgent, before all questions, but still inside the rate limit; as the client's own."""
        client = await self._open()
        async with self._urgent:  # one after the other, and no question meanwhile
            await asyncio.sleep(self._budget.delay(self._now(), is_urgent=True))
            self._budget.take(self._now())
        self._changed.set()
        return await client.send(call, attempts=attempts)

    async def close(self) -> None:
        """Stop asking and close the connections."""
        tasks = [task for task in (self._poller, *self._asking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in (*self._retired, self._client):
            if client is not None:
                await client.close()
        self._client = None

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _open(self) -> AsyncSixtyfourClient:
        async with self._opening:
            if self._client is None:
                self._client = await self._open_client()
                self._budget = Budget(self._client.requests_per_minute)
            return self._client

    async def _reopen(self) -> None:
        """Take what the connection says now; its credential may have been replaced since."""
        try:
            client = await self._open_client()
        except Exception as error:  # the one that is in use is then as good as any
            log.warning("The connection can't be read anew: %s", error)
            return
        if self._client is not None:
            self._retired.append(self._client)
        self._client = client

    def _ensure_polling(self) -> None:
        self._changed.set()
        if self._poller is None:
            # Without the context of the task that happens to be first: its log isn't the place for what concerns all.
            self._poller = asyncio.create_task(self._poll(), context=contextvars.Context())
            self._poller.add_done_callback(self._stop_waiting)

    def _stop_waiting(self, poller: asyncio.Task[None]) -> None:
        """End all waits if the poller has a bug; else they would never end."""
        if not poller.cancelled() and (error := poller.exception()) is not None:
            log.error("Waiting for runs broke off", exc_info=error)
            self._poller = None
            self._board.end_all(error)
            while self._board.deliveries:
                self._board.deliveries.popleft()()

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            await self._deliver()
            if self._board.needs_new_client:
                self._board.needs_new_client = False
                await self._reopen()
            now = self._now()
            may_ask = len(self._asking) < AT_ONCE and not self._urgent.locked()
            pause = self._budget.delay(now) if may_ask else None
            if pause == 0.0:
                question = self._board.next(now, self._budget.spacing(now))
                if not isinstance(question, float):
                    self._budget.take(now)
                    self._start(question)
                    continue
                pause = question - now
            alarm = None if pause is None or pause == NEVER else loop.call_later(pause, self._changed.set)
            await self._changed.wait()
            if alarm is not None:
                alarm.cancel()

    async def _deliver(self) -> None:
        """Tell the waits what is new, a few at a time: their logs take longer than the telling."""
        deliveries = self._board.deliveries
        while deliveries:
            for _ in range(min(AT_A_TIME, len(deliveries))):
                try:
                    deliveries.popleft()()
                except Exception:  # of one wait's log
                    log.exception("A wait can't be told what is new")
            await asyncio.sleep(0)

    def _start(self, question: Question) -> None:
        self._asking.add(asyncio.create_task(self._ask(question)))

    async def _ask(self, question: Question) -> None:
        try:
            await self._put(question)
        except Exception as error:  # a bug: it ends what it concerns, and nothing else
            log.exception("An answer can't be taken in")
            self._board.give_up(question, error)
        finally:
            task = asyncio.current_task()
            self._asking = {each for each in self._asking if each is not task}
            self._changed.set()

    async def _put(self, question: Question) -> None:
        client = await self._open()
        try:
            answer = await client.send(question.call(), attempts=1)
        except SixtyfourError as error:
            if isinstance(error, SixtyfourUnavailableError) and error.status == 429:
                self._budget.refused(error, self._now())
            self._board.failed(question, error, self._now())
        else:
            await asyncio.sleep(0)  # a list has taken its 10 ms to read
            self._budget.accepted()
            self._board.answered(question, answer, self._now())


class _Waiter:
    """One wait: the watch of a trigger, called in the trigger's own context, which is where its log leads."""

    def __init__(self, watch: RunWatch) -> None:
        self.outcome: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.is_over = False  # the deadline has passed; the next answer is the last
        self._watch = watch
        self._context = contextvars.copy_context()

    def answered(self, live: LiveStatus) -> Verdict | None:
        ended = self._context.run(self._watch.answered, live)
        if ended is None and self.is_over:
            raise self._watch.too_late()
        return ended

    def failed(self, error: SixtyfourError) -> float:
        self._context.run(self._watch.failed, error)
        if self.is_over:
            raise self._watch.too_late()
        return self._watch.next_pause

    def warned(self, error: SixtyfourError) -> None:
        self._context.run(self._watch.warned, error)

    def cleared(self) -> None:
        self._context.run(self._watch.cleared)

    def end(self, outcome: Verdict | BaseException) -> None:
        if self.outcome.done():
            return
        if isinstance(outcome, BaseException):
            self.outcome.set_exception(outcome)
            self.outcome.exception()  # seen: whoever waited may be gone
            return
        try:
            self._context.run(self._watch.ended, outcome)
        finally:
            self.outcome.set_result(outcome)
