"""
Publishes how far a run is, as an XCom of its task: for the tab in Airflow's UI, which asks nobody else.

On a worker that is a push between two status checks. In a triggerer it is a request to its supervisor, by the channel
that Airflow does not document as public. On Airflow 3.1 a coroutine that is cancelled while it awaits that channel ends
the triggerer, since the late answer is read by the next one who asks. So a publisher is a task of its own that ends
when it is asked to, and is never cancelled.

Invariant: publishing never fails a wait, and never delays one: what can't be published is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.exceptions import SixtyfourError
from airflow_provider_sixtyfour.runs.progress import ProgressNews, WriteRate, has_failed, snapshot
from airflow_provider_sixtyfour.tasks.airflow_version import HAS_TABS
from airflow_provider_sixtyfour.tasks.tab_settings import places

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sixtyfour.api.models import LiveStatus

log = logging.getLogger(__name__)

KEY = "sixtyfour_progress"
ERROR_KEY = "sixtyfour_error"
OnProgress = Callable[["LiveStatus"], None]

_rate = WriteRate()
_publishing: set[asyncio.Task[None]] = set()  # of this triggerer; strong references: the loop keeps weak ones


def is_wanted() -> bool:
    """Return whether anybody can see it."""
    return HAS_TABS and bool(places())


def worker_publisher(context: Context) -> OnProgress | None:
    """
    Return what publishes the progress of a task that waits on its worker; ``None`` if nobody can see it.

    :param context: the task's.
    """
    if not is_wanted():
        return None
    news, push = ProgressNews(), context["ti"].xcom_push

    def publish(live: LiveStatus) -> None:
        try:
            now = time.time()
            value = snapshot(live, now)
            if news.is_news(value) and (not news.wait(now) or has_failed(value)):
                news.published(value, now)
                push(key=KEY, value=value)
        except Exception as error:  # Airflow's API server is away, say: the page shows what it has
            log.debug("The progress could not be published: %r", error)

    return publish


@contextmanager
def published_error(context: Context) -> Iterator[None]:
    """Publish what ends a task, as its log has it, and let it pass; Airflow removes it when the task is tried again."""
    try:
        yield
    except SixtyfourError as error:
        if is_wanted():
            try:
                context["ti"].xcom_push(key=ERROR_KEY, value=str(error))
            except Exception as problem:
                log.debug("The error could not be published: %r", problem)
        raise


class TriggererPublisher:
    """
    Publishes the progress of one run that a trigger waits for.

    :param task_instance: of the trigger; ``None`` if it has none.
    """

    def __init__(self, task_instance: Any) -> None:
        self._ti = task_instance
        self._news = ProgressNews()
        self._value: dict[str, Any] | None = None  # the newest that waits to be sent
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def offer(self, live: LiveStatus) -> None:
        """Take in how far the run is; the first time also begin to publish."""
        if self._ti is None or not is_wanted():
            return
        try:
            self._offer(snapshot(live, time.time()))
        except Exception as error:
            log.debug("The progress could not be published: %r", error)

    def _offer(self, value: dict[str, Any]) -> None:
        if not self._news.is_news(value):
            return
        self._value = value
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._publish(), name="sixtyfour-progress")
            _publishing.add(self._task)
            self._task.add_done_callback(_publishing.discard)

    def close(self) -> None:
        """Tell it to end; what has not been sent by then is dropped, unless it says in which block a run failed."""
        self._ended.set()
        self._changed.set()

    async def _publish(self) -> None:
        while not self._ended.is_set() or self._value is not None:
            await self._changed.wait()
            await self._pause()
            value, self._value = self._value, None
            if value is None or (self._ended.is_set() and not has_failed(value)):
                return
            self._changed.clear()
            self._news.published(value, time.time())
            await self._send(value)

    async def _pause(self) -> None:
        """Wait until the next may be sent, or nothing more is to be: what is sent at the end takes no place."""
        await self._until_ended(self._news.wait(time.time()))
        if not self._ended.is_set():
            await self._until_ended(_rate.wait(time.time()))

    async def _until_ended(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    async def _send(self, value: dict[str, Any]) -> None:
        from airflow.sdk.execution_time import task_runner
        from airflow.sdk.execution_time.comms import SetXCom

        ti = self._ti
        try:
            await task_runner.SUPERVISOR_COMMS.asend(
                SetXCom(
                    key=KEY, value=value, dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index
                )
            )
        except Exception as error:  # the supervisor or the API server is away: the page shows what it has
            log.debug("The progress could not be published: %r", error)
