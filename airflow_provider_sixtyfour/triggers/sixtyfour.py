"""
The trigger that waits for a run.

It carries ids and numbers only, yields one event and returns. All triggers of a triggerer that wait with one connection
share one monitor. Stopping, restarting or moving the triggerer leaves
the run alone; only a user's act on the deferred task cancels it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_sixtyfour.api.errors import SixtyfourError, SixtyfourTimeoutError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.monitor.watch import NEWBORN, RunWatch
from airflow_provider_sixtyfour.triggers.ownership import still_waits_for, warm_up

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
    from airflow_provider_sixtyfour.monitor.shared import Monitor

# Seconds from its start in which a trigger fires no event. Airflow's LocalExecutor (3.3.2) loses a task that is
# queued again while the supervisor of its first slice still lingers, up to 5 s ("state mismatch").
SETTLING = 8.0

_cancellations: set[asyncio.Task[None]] = set()  # strong references: the loop itself keeps weak ones


class SixtyfourRunTrigger(BaseTrigger):
    """
    Wait until a run has ended, its deadline has passed, or the API refuses to tell.

    The one event names the ``job_id`` and has one more entry: ``ended`` (a verdict), ``deadline`` (what was going
    on then), ``refused`` (why no retry can help) or ``broken`` (what broke the wait; a retry resumes it).

    :param sixtyfour_conn_id: the connection.
    :param job_id: the run.
    :param poll_interval: seconds between two questions, as a rule: all waits share theirs, see `monitor.pace`.
    :param deadline: when to give up, in seconds of the epoch; ``None`` for never.
    :param cancel_on_kill: whether a user's act on the deferred task (mark failed, mark success, clear) cancels the
        run. Airflow calls it from 3.3 on.
    :param may_be_unknown: seconds in which a 404 means that the run is too new to be known.
    """

    def __init__(
        self,
        sixtyfour_conn_id: str,
        job_id: str,
        poll_interval: float,
        deadline: float | None,
        cancel_on_kill: bool = True,
        may_be_unknown: float = NEWBORN,
    ) -> None:
        BaseTrigger.__init__(self)
        self.sixtyfour_conn_id = sixtyfour_conn_id
        self.job_id = job_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.may_be_unknown = may_be_unknown

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments, plain JSON types all."""
        return (
            "airflow_provider_sixtyfour.triggers.sixtyfour.SixtyfourRunTrigger",
            {
                "sixtyfour_conn_id": self.sixtyfour_conn_id,
                "job_id": self.job_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "cancel_on_kill": self.cancel_on_kill,
                "may_be_unknown": self.may_be_unknown,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        if self.cancel_on_kill:
            warm_up(self.task_instance)
        loop = asyncio.get_running_loop()
        settled_at = loop.time() + SETTLING
        event = await self._outcome()
        await asyncio.sleep(max(0.0, settled_at - loop.time()))
        yield TriggerEvent({"job_id": self.job_id, **event})

    async def _outcome(self) -> dict[str, Any]:
        watch = RunWatch(
            self.job_id,
            poll_interval=self.poll_interval,
            deadline=self.deadline,
            log=self.log,
            may_be_unknown=self.may_be_unknown,
        )
        try:
            async with self._monitor() as monitor:
                return {"ended": (await monitor.wait(self.job_id, watch)).as_event()}
        except SixtyfourTimeoutError as error:
            return {"deadline": str(error)}
        except SixtyfourUnavailableError as error:
            return {"broken": str(error)}
        except SixtyfourError as error:
            return {"refused": str(error)}
        except Exception as error:  # a connection that is gone, a bug: the worker must hear of it, with the run's id
            self.log.exception("Waiting for run %s broke off", self.job_id)
            return {"broken": f"{type(error).__name__}: {error}"}

    def _monitor(self) -> AbstractAsyncContextManager[Monitor]:
        # Here, since a task that defers needs the trigger's class and not what makes it wait.
        from airflow_provider_sixtyfour.monitor.shared import shared_monitor

        return shared_monitor(self.sixtyfour_conn_id, self._open_client)

    async def _open_client(self) -> AsyncSixtyfourClient:
        return await SixtyfourHook(self.sixtyfour_conn_id).open_async_client()

    async def on_kill(self) -> None:
        """
        Cancel the run when a user has acted on the task.

        Airflow calls this too when a live triggerer has lost the trigger to another one, and gives it about one
        second before it cancels it. So the work is done in a task of its own, and only after a look at whether the
        Airflow task still waits for this run.
        """
        if not self.cancel_on_kill:
            return
        task = asyncio.create_task(self._cancel_unless_waited_for())
        _cancellations.add(task)
        task.add_done_callback(_cancellations.discard)
        await asyncio.shield(task)

    async def _cancel_unless_waited_for(self) -> None:
        from airflow_provider_sixtyfour.api.cancelling import cancel_async

        if await still_waits_for(self.task_instance, self.job_id):
            self.log.info("Run %s goes on: its task still waits for it, in another triggerer.", self.job_id)
            return
        try:
            async with self._monitor() as monitor:
                await cancel_async(monitor, self.job_id)
            self.log.info("Cancelled run %s.", self.job_id)
        except Exception as error:  # nobody is left to raise it to
            self.log.error("Run %s could not be cancelled and may go on: %s", self.job_id, error)
