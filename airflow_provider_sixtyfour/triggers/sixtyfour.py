"""
The trigger that waits for a run.

It carries ids and numbers only, yields one event and returns. All triggers of a triggerer whose connections resolve to
the same share one monitor. A trigger keeps to the host that it began with, and moves on to another credential for that
host. Stopping, restarting or moving the triggerer leaves the run alone; only a user's act on the deferred task cancels
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_sixtyfour.api.job_kinds import KINDS, WORKFLOW_RUN
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourRefusedError,
    SixtyfourTimeoutError,
    SixtyfourUnavailableError,
    SixtyfourWaitError,
)
from airflow_provider_sixtyfour.hooks import metrics
from airflow_provider_sixtyfour.hooks.sixtyfour import ELSEWHERE, RENEWED
from airflow_provider_sixtyfour.polling.run_watch import NEW_RUN_PERIOD, RunWatch
from airflow_provider_sixtyfour.runs.cancellation import Case, Decision, Event, decide
from airflow_provider_sixtyfour.tasks.progress_xcom import TriggererPublisher
from airflow_provider_sixtyfour.tasks.task_state import read_in_triggerer, warm_up

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.hooks.resolved import Resolved
    from airflow_provider_sixtyfour.polling.poller import RunPoller
    from airflow_provider_sixtyfour.runs.status import RunOutcome

# Seconds from its start in which a trigger fires no event. Airflow's LocalExecutor (3.3.2) loses a task that is
# queued again while the supervisor of its first slice still lingers, up to 5 s ("state mismatch").
SETTLING = 8.0

_cancellations: set[asyncio.Task[None]] = set()  # strong references: the loop itself keeps weak ones


class SixtyfourRunTrigger(BaseTrigger):
    """
    Wait until a run has ended, its deadline has passed, or the API refuses to report it.

    The one event names the ``job_id`` and, if known, the ``host``, and has one more entry: ``ended`` (an outcome),
    ``deadline`` (the progress then), ``refused`` (what the API repeated until the wait was given up) or ``broken``
    (what broke the wait; a retry resumes it).

    :param sixtyfour_conn_id: the connection.
    :param job_id: the run.
    :param poll_interval: target seconds between status checks; all waiting triggers share one poller, see
        `polling.intervals`.
    :param deadline: when to give up, in seconds of the epoch; ``None`` for never.
    :param cancel_on_kill: whether a user's act on the deferred task (mark failed, mark success, clear) cancels the
        run. Airflow calls it from 3.3 on.
    :param may_be_unknown: seconds in which a 404 means that the run is too new to be known.
    :param refusal_patience: seconds for which a refusal (401, 403, 404) has to be repeated until the wait is given up;
        by default `failure_policy.REFUSAL_PATIENCE`.
    :param host: the base URL where the run was started; ``None`` if it isn't known.
    :param kind: ``run`` of a workflow, or ``bulk`` job; see `api.job_kinds`.
    :param workflow_id: that of the run, for the metrics; ``None`` if it isn't known.
    """

    def __init__(
        self,
        sixtyfour_conn_id: str,
        job_id: str,
        poll_interval: float,
        deadline: float | None,
        cancel_on_kill: bool = True,
        may_be_unknown: float = NEW_RUN_PERIOD,
        refusal_patience: float | None = None,
        host: str | None = None,
        kind: str = WORKFLOW_RUN.name,
        workflow_id: str | None = None,
    ) -> None:
        BaseTrigger.__init__(self)
        self.sixtyfour_conn_id = sixtyfour_conn_id
        self.job_id = job_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.may_be_unknown = may_be_unknown
        self.refusal_patience = refusal_patience
        self.host = host
        self.kind = kind
        self.workflow_id = workflow_id
        self._access: Resolved | None = None  # what the connection resolved to when it was taken on
        self._elsewhere = ""  # a sentence, once the connection points to another host than the run's
        self._is_known = False  # the API has answered for the run

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
                "refusal_patience": self.refusal_patience,
                "host": self.host,
                "kind": self.kind,
                "workflow_id": self.workflow_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        if self.cancel_on_kill:
            warm_up(self.task_instance)
        loop = asyncio.get_running_loop()
        settled_at = loop.time() + SETTLING
        await metrics.prepare()
        with metrics.waiting(self.sixtyfour_conn_id):
            event = await self._outcome()
        self._log_outcome(event)
        await asyncio.sleep(max(0.0, settled_at - loop.time()))
        started_at = {} if self.host is None else {"host": self.host}
        yield TriggerEvent({"job_id": self.job_id, **started_at, **event})

    def _log_outcome(self, event: dict[str, Any]) -> None:
        """Log how the wait ended, cause first: the last line that the task's log has until a worker resumes it."""
        match event:
            case {"ended": {} as ended}:
                from airflow_provider_sixtyfour.runs.status import COMPLETED, RunOutcome

                outcome = RunOutcome.from_event(ended)
                say = self.log.info if outcome.status == COMPLETED else self.log.error
                say("%s %s", outcome.cause(), outcome.ids())
            case {"deadline": reason} | {"refused": reason} | {"broken": reason}:
                self.log.error("%s Run %s.", reason, self.job_id)

    async def _outcome(self) -> dict[str, Any]:
        publisher = TriggererPublisher(self.task_instance)
        watch = RunWatch(
            self.job_id,
            poll_interval=self.poll_interval,
            deadline=self.deadline,
            log=self.log,
            may_be_unknown=self.may_be_unknown,
            patience=self.refusal_patience,
            on_progress=publisher.offer,
            kind=KINDS[self.kind],
        )
        try:
            access = await self._taken_on()
            while True:
                ended = await self._wait(access, watch)
                if ended is not None:
                    return {"ended": ended.as_event()}
                access = await self._taken_on()
        except SixtyfourTimeoutError as error:
            return {"deadline": str(error)}
        except SixtyfourWaitError as error:
            return {"refused": f"{error}{self._elsewhere}"}
        except SixtyfourUnavailableError as error:
            return {"broken": str(error)}
        except SixtyfourError as error:  # the connection, say, is gone
            return {"refused": str(error)}
        except Exception as error:  # a bug: the worker must hear of it, with the run's id
            self.log.exception("The wait has failed by an unexpected error. Run %s.", self.job_id)
            from airflow_provider_sixtyfour.api.cleaning import Cleaner

            return {"broken": Cleaner().message(f"{type(error).__name__}: {error}")}
        finally:
            publisher.close()
            self._is_known = watch.is_known

    async def _wait(self, access: Resolved, watch: RunWatch) -> RunOutcome | None:
        async with _poller(access, self.sixtyfour_conn_id) as poller:
            return await poller.wait(self.job_id, watch, reread=self._reread)

    async def _taken_on(self) -> Resolved:
        """Return what the connection resolved to when this trigger began, or has moved on to since."""
        if self._access is None:
            from airflow_provider_sixtyfour.hooks.resolving import resolve

            self._access = await resolve(self.sixtyfour_conn_id)
            if self.host is not None and self._access.base_url != self.host:
                # After a restart, the only credential there is may be for another host than the run's.
                self._note_elsewhere(self.host, self._access.base_url, polled_at=self._access.base_url)
        return self._access

    async def _reread(self) -> bool:
        """Read the connection again; move on to what it says if that is for the same host."""
        from airflow_provider_sixtyfour.hooks.resolving import resolve

        access = await self._taken_on()
        try:
            now = await resolve(self.sixtyfour_conn_id)
        except Exception as error:  # what is in use is then as good as any
            self.log.warning("Connection %r can't be read again: %s", self.sixtyfour_conn_id, error)
            return False
        if now.base_url not in (access.base_url, self.host):
            self._note_elsewhere(self.host or access.base_url, now.base_url, polled_at=access.base_url)
            return False
        if now.key == access.key:
            return False
        if now.base_url == self.host:
            self._elsewhere = ""
        self.log.info(RENEWED, self.sixtyfour_conn_id)
        self._access = now
        return True

    def _note_elsewhere(self, started_at: str, now_at: str, *, polled_at: str) -> None:
        said = f" The run was started at {started_at}; connection {self.sixtyfour_conn_id!r} now points to {now_at}."
        if said != self._elsewhere:
            self._elsewhere = said
            self.log.warning(ELSEWHERE, self.sixtyfour_conn_id, now_at, started_at, polled_at)

    async def on_kill(self) -> None:
        """
        Cancel the run when a user has acted on the task.

        Airflow calls this too when a live triggerer has lost the trigger to another one, and gives it about one
        second before it cancels it. So the work is done in a task of its own, and only after a look at whether the
        Airflow task still waits for this run.
        """
        case = Case(Event.TRIGGER_STOPPED, cancel_on_kill=self.cancel_on_kill)
        if decide(case) is Decision.LEAVE:
            return
        task = asyncio.create_task(self._cancel_unless_waited_for(case))
        _cancellations.add(task)
        task.add_done_callback(_cancellations.discard)
        await asyncio.shield(task)

    async def _cancel_unless_waited_for(self, case: Case) -> None:
        if decide(case) is Decision.ASK_AGAIN:
            state, is_its_run = await read_in_triggerer(self.task_instance, self.job_id)
            case = case._replace(task_state=state, is_its_run=is_its_run)
        if decide(case) is not Decision.CANCEL:
            self.log.info("The run is kept: its task still waits for it, in another triggerer. Run %s.", self.job_id)
            return
        try:
            await self._cancel()
        except Exception as error:  # nobody is left to raise it to
            self.log.error("The run could not be cancelled and may keep running: %s Run %s.", error, self.job_id)

    async def _cancel(self) -> None:
        """Cancel the run at the host that it was started at, and at no other."""
        access = await self._taken_on()
        if self.host not in (None, access.base_url) and not self._is_known:
            self.log.error(
                "The run could not be cancelled and may keep running.%s Run %s.", self._elsewhere, self.job_id
            )
            return
        try:
            await self._send_cancel(access)
        except SixtyfourRefusedError as error:
            is_moved = (error.about_credential or error.status == 403) and await self._reread()
            if not is_moved:
                raise
            await self._send_cancel(await self._taken_on())

    async def _send_cancel(self, access: Resolved) -> None:
        from airflow_provider_sixtyfour.runs.cancel import cancel_async
        from airflow_provider_sixtyfour.tasks.run_metrics import RunMetrics

        kind = KINDS[self.kind]
        async with _poller(access, self.sixtyfour_conn_id) as poller:
            outcome = await cancel_async(poller, self.job_id, kind)
        RunMetrics(self.sixtyfour_conn_id, self.workflow_id, kind).cancelled(outcome)
        self.log.info("%s", outcome.describe(access.base_url))


def _poller(access: Resolved, conn_id: str) -> AbstractAsyncContextManager[RunPoller]:
    # Here, since a task that defers needs the trigger's class and not what makes it wait.
    from airflow_provider_sixtyfour.polling.poller import shared_poller

    open_client = partial(access.open_client, metrics.observer(conn_id))
    return shared_poller(access.key, open_client, account=access.account)
