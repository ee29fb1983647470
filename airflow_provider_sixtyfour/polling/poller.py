"""
One poller for all that waits in one event loop with one client: one token, one rate limit.

It is made on first use, and gone when nobody uses it. What it does for one wait never ends another. Its client never
changes: a wait whose connection has another credential by now leaves for another monitor.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from airflow_provider_sixtyfour.api.retry import ATTEMPTS
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourUnavailableError, during
from airflow_provider_sixtyfour.polling.queries import Query
from airflow_provider_sixtyfour.polling.rate_limit import RateLimiter
from airflow_provider_sixtyfour.polling.run_state import NEVER
from airflow_provider_sixtyfour.polling.schedule import PollSchedule
from airflow_provider_sixtyfour.polling.waiter import WatchWaiter
from airflow_provider_sixtyfour.runs.status import RunOutcome

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.polling.run_watch import RunWatch

T = TypeVar("T")
OpenClient = Callable[[], Awaitable["AsyncSixtyfourClient"]]
Reread = Callable[[], Awaitable[bool]]

log = logging.getLogger(__name__)

AT_ONCE = 6  # queries under way; the client has a few more connections, for what is urgent
OVERDUE = 10.0  # seconds after which a query counts among the slow ones, and another may take its place
SLOW_AT_ONCE = 3  # queries that may take longer than that at the same time; others that do are given up
LONGEST = 120.0  # seconds after which any query is given up, whatever the client's own limits
AT_A_TIME = 25  # waiters that are notified before others in the event loop have their turn
LAST_LOOK = 5.0  # seconds that a wait takes at its deadline to ask once more

_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, RunPoller]] = WeakKeyDictionary()
# The rate limits, by what shares them: also pollers whose clients differ in nothing but a timeout.
_rate_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Hashable, RateLimiter]] = (
    WeakKeyDictionary()
)
_closing: set[asyncio.Task[None]] = set()  # strong references: the loop itself keeps weak ones


@asynccontextmanager
async def shared_poller(
    key: Hashable, open_client: OpenClient, *, account: Hashable | None = None
) -> AsyncIterator[RunPoller]:
    """
    Use the poller of this event loop for a client.

    :param key: identifies what the client is made of.
    :param open_client: opens it.
    :param account: identifies whose rate limit it uses; by default that of ``key`` alone.
    """
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.get(key)
    if poller is None:
        poller = pollers[key] = RunPoller(open_client, account=key if account is None else account)
    poller.users += 1
    try:
        yield poller
    finally:
        poller.users -= 1
        if poller.users == 0:
            if pollers.get(key) is poller:
                del pollers[key]
            # In a task of its own: a trigger that is being cancelled is cancelled again and again.
            closing = asyncio.create_task(poller.close())
            _closing.add(closing)
            closing.add_done_callback(_closing.discard)
            await asyncio.shield(closing)


class RunPoller:
    """Waits for runs, and sends what is urgent; see `shared_poller`."""

    def __init__(self, open_client: OpenClient, *, account: Hashable) -> None:
        self.users = 0
        self._account = account
        self._open_client = open_client
        self._opening = asyncio.Lock()
        self._urgent = asyncio.Lock()
        self._client: AsyncSixtyfourClient | None = None
        self._rate_limiter: RateLimiter  # comes with the client
        self._schedule = PollSchedule()
        self._changed = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._slow: set[object] = set()  # one for each of these that is overdue

    async def wait(self, job_id: str, watch: RunWatch, *, reread: Reread | None = None) -> RunOutcome | None:
        """
        Wait until the run has ended.

        :param reread: reads the connection again, after a refused status check; says whether to leave for another
            poller.
        :returns: ``None`` if it said so.
        :raises SixtyfourTimeoutError: at the watch's deadline; the run keeps running.
        :raises SixtyfourWaitError: if the API refuses to answer, for as long as `failure_policy` says.
        """
        await self._open()
        waiter = WatchWaiter(watch)
        self._schedule.add(job_id, waiter, watch.poll_interval, self._now(), watch.kind)
        self._ensure_polling()
        try:
            try:
                async with asyncio.timeout(watch.seconds_left()):
                    while not waiter.outcome.done():
                        await waiter.news.wait()
                        waiter.news.clear()
                        if not waiter.outcome.done() and reread is not None and await reread():
                            watch.reconnected()
                            return None
                    return waiter.outcome.result()
            except TimeoutError:
                waiter.is_over = True
            self._schedule.hurry(job_id, self._now())
            self._changed.set()
            try:
                async with asyncio.timeout(LAST_LOOK):
                    return await asyncio.shield(waiter.outcome)
            except TimeoutError:
                raise watch.too_late() from None
        finally:
            self._schedule.remove(job_id, waiter)
            waiter.outcome.cancel()

    async def send(self, call: Call[T], *, attempts: int = ATTEMPTS) -> T:
        """Send something urgent, before all queries, but still inside the rate limit; as the client's own."""
        client = await self._open()
        async with self._urgent:  # one after the other, and no query meanwhile
            await asyncio.sleep(self._rate_limiter.delay(self._now(), is_urgent=True))
            self._rate_limiter.take(self._now())
        self._changed.set()
        try:
            return await client.send(call, attempts=attempts)
        except SixtyfourUnavailableError as error:
            if error.status == 429:
                self._rate_limiter.refused(error, self._now())
            raise

    async def close(self) -> None:
        """Stop asking and close the connections."""
        tasks = [task for task in (self._poller, *self._asking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()
        self._client = None

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _open(self) -> AsyncSixtyfourClient:
        async with self._opening:
            if self._client is None:
                self._client = await self._open_client()
                self._rate_limiter = _shared_rate_limiter(self._account, self._client.requests_per_minute)
            return self._client

    def _ensure_polling(self) -> None:
        self._changed.set()
        if self._poller is None:
            # Without the context of the task that happens to be first: its log isn't the place for what concerns all.
            self._poller = asyncio.create_task(self._poll(), context=contextvars.Context())
            self._poller.add_done_callback(self._stop_waiting)

    def _stop_waiting(self, poller: asyncio.Task[None]) -> None:
        """End all waits if the poller has a bug; else they would never end."""
        if not poller.cancelled() and (error := poller.exception()) is not None:
            log.error("The poller of runs crashed", exc_info=error)
            self._poller = None
            self._schedule.end_all(error)
            while self._schedule.deliveries:
                self._schedule.deliveries.popleft()()

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            await self._deliver()
            now = self._now()
            slow = len(self._slow)
            may_ask = len(self._asking) - slow < min(AT_ONCE, AT_ONCE + 1 - slow) and not self._urgent.locked()
            pause = self._rate_limiter.delay(now) if may_ask else None
            if pause == 0.0:
                query = self._schedule.next(now, self._rate_limiter.spacing(now))
                if not isinstance(query, float):
                    self._rate_limiter.take(now)
                    self._start(query)
                    continue
                pause = query - now
            alarm = None if pause is None or pause == NEVER else loop.call_later(pause, self._changed.set)
            await self._changed.wait()
            if alarm is not None:
                alarm.cancel()

    async def _deliver(self) -> None:
        """Notify the waiters, a few at a time: their logs take longer than the notification."""
        deliveries = self._schedule.deliveries
        while deliveries:
            for _ in range(min(AT_A_TIME, len(deliveries))):
                try:
                    deliveries.popleft()()
                except Exception:  # of one wait's log
                    log.exception("A waiting trigger could not be notified")
            await asyncio.sleep(0)

    def _start(self, query: Query) -> None:
        asking = asyncio.create_task(self._ask(query))
        self._asking.add(asking)
        asking.add_done_callback(self._asked)

    def _asked(self, asking: asyncio.Task[None]) -> None:
        self._asking.discard(asking)
        self._changed.set()

    async def _ask(self, query: Query) -> None:
        try:
            await self._put(query)
        except Exception as error:  # a bug: it ends what it concerns, and nothing else
            log.exception("An answer of the API could not be processed")
            self._schedule.give_up(query, error, self._now())

    async def _put(self, query: Query) -> None:
        try:
            client = await self._open()
            answer = await self._sent(client, query)
        except SixtyfourError as error:
            if isinstance(error, SixtyfourUnavailableError) and error.status == 429:
                self._rate_limiter.refused(error, self._now())
            self._schedule.failed(query, error, self._now())
        else:
            await asyncio.sleep(0)  # a list has taken its 10 ms to read
            self._rate_limiter.accepted()
            self._schedule.answered(query, answer, self._now())

    async def _sent(self, client: AsyncSixtyfourClient, query: Query) -> Any:
        """Send a query. It makes room for others when it is overdue, and doesn't take for ever."""
        call, began, place = query.call(), self._now(), object()

        def overdue() -> None:
            self._schedule.late(query)
            if len(self._slow) < SLOW_AT_ONCE:
                self._slow.add(place)
                self._changed.set()
            else:
                limit.reschedule(self._now())

        alarm = asyncio.get_running_loop().call_later(OVERDUE, overdue)
        try:
            async with asyncio.timeout(LONGEST) as limit:
                return await client.send(call, attempts=1)
        except TimeoutError:
            client.gave_up()
            raise SixtyfourUnavailableError(
                during(f"No whole answer within {self._now() - began:.0f} s.", call.purpose)
            ) from None
        finally:
            alarm.cancel()
            self._slow.discard(place)


def _shared_rate_limiter(account: Hashable, per_minute: float) -> RateLimiter:
    """Return the rate limit that an account has in this event loop; whoever came last knows what it allows."""
    rate_limiters = _rate_limiters.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    rate_limiter = rate_limiters.get(account)
    if rate_limiter is None:
        rate_limiter = rate_limiters[account] = RateLimiter(per_minute)
    rate_limiter.adopt(per_minute)
    return rate_limiter
