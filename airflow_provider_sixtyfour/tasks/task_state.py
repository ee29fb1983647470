"""
What Airflow knows of a task instance: whether it has a next try, and its state, read on its worker or in a triggerer.

A worker that is shut down, a pod that is evicted and a task that is taken for dead while it lives are stopped as a
user stops a task: by SIGTERM; and a trigger that moves is stopped as a trigger whose task a user stops. The state of
the task instance distinguishes them, by the table in `runs.cancellation`.

The one place that knows how Airflow spells a task instance in that answer, and that uses the triggerer's channel to its
supervisor, which Airflow does not document as public.

On Airflow 3.0 and 3.1, a coroutine that is cancelled while it awaits that channel ends the triggerer, since the late
answer is read by the next one who asks. So what is reachable there is never cancelled: `warm_up` asks in a task of its
own. `read_in_triggerer` has a timeout, which cancels, and is only for `on_kill`, which Airflow calls from 3.3 on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.runs.cancellation import DEFERRED, TaskState, Unread

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

TRIES = 3
SECONDS_A_TRY = 20.0  # a first request in a cold triggerer was seen to take that long

_warming: set[asyncio.Task[None]] = set()  # at most one for each triggerer, which keeps it


def has_next_try(context: Context) -> bool:
    """Return whether Airflow will try the task again if this try fails. A ``retry_policy`` may decide otherwise."""
    return bool(context["ti"].try_number <= context["ti"].max_tries)


def state_reader(context: Context) -> Callable[[], TaskState] | None:
    """
    Return a function that reads the state of the task instance; ``None`` where that can't be read.

    To be called in a thread of its own: a signal handler may have interrupted what holds the lock that it waits for.

    :param context: the task's context; before Airflow 3.3, where it has no ``task_state_store`` yet, threads can't ask.
    """
    ti = context["ti"]
    if context.get("task_state_store") is None:
        return None
    ask = ti.get_task_states

    def read() -> TaskState:
        try:
            return _state_in(ti, ask(**_where_it_is(ti)))
        except Exception:  # whatever it is: Airflow's API server is away, and for that, too, it stops tasks
            return Unread.NO_ANSWER

    return read


def warm_up(task_instance: Any) -> None:
    """
    Send a first request in the background, once in a triggerer's life, and ignore the answer.

    The supervisor loads its side of the channel for it, which takes 10 to 20 s: too long to begin with when a user
    wants a run stopped.
    """
    if task_instance is not None and not _warming:
        _warming.add(asyncio.create_task(_ask_for_nothing(task_instance)))


async def _ask_for_nothing(task_instance: Any) -> None:
    try:
        await _state(task_instance)
    except Exception as error:
        log.info("Could not read the task instance's state yet: %r. Task %s.", error, task_instance.task_id)


async def read_in_triggerer(task_instance: Any, job_id: str) -> tuple[TaskState, bool]:
    """
    Return the task instance's state, and whether this very run is the one that it waits for if it is deferred.

    Only for `on_kill`, on Airflow 3.3 or later: see above for why.
    """
    if task_instance is None:
        return Unread.UNAVAILABLE, False
    for number in range(TRIES):
        try:
            async with asyncio.timeout(SECONDS_A_TRY):
                state = await _state(task_instance)
                return state, state == DEFERRED and await _job_id(task_instance) == job_id
        except Exception as error:
            log.warning("Could not read the task instance's state: %r. Task %s.", error, task_instance.task_id)
            if number < TRIES - 1:
                await asyncio.sleep(1.0)
    log.error("The run is not cancelled: whether its task still waits for it could not be read. Run %s.", job_id)
    return Unread.NO_ANSWER, False


def _where_it_is(ti: Any) -> dict[str, Any]:
    """Return the arguments of Airflow's request for a task's state."""
    return {"dag_id": ti.dag_id, "task_ids": [ti.task_id], "run_ids": [ti.run_id], "map_index": _map_index(ti)}


def _state_in(ti: Any, states: Mapping[str, Any]) -> str | None:
    """Return the task's state from the answer to that request; ``None`` also if the task instance is gone."""
    key = ti.task_id if _map_index(ti) is None else f"{ti.task_id}_{ti.map_index}"
    state = states.get(ti.run_id, {}).get(key)
    return None if state is None else str(getattr(state, "value", state))


def _map_index(ti: Any) -> int | None:
    return None if ti.map_index is None or ti.map_index < 0 else int(ti.map_index)


async def _state(ti: Any) -> str | None:
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetTaskStates

    answer: Any = await task_runner.SUPERVISOR_COMMS.asend(GetTaskStates(**_where_it_is(ti)))
    return _state_in(ti, answer.task_states)


async def _job_id(ti: Any) -> Any:
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetXCom

    answer: Any = await task_runner.SUPERVISOR_COMMS.asend(
        GetXCom(key="job_id", dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=ti.map_index)
    )
    return answer.value
