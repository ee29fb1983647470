"""
Whether a task has a next try, and the state of its instance, read on its worker.

A worker that is shut down, a pod that is evicted and a task that is taken for dead while it lives are stopped as a
user stops a task: by SIGTERM. The state that Airflow has given the task distinguishes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.runs.cancellation import TaskState, Unread
from airflow_provider_sixtyfour.tasks.task_state import state_in, where_it_is

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def has_next_try(context: Context) -> bool:
    """Say whether Airflow will try the task again if this try fails. A ``retry_policy`` may decide otherwise."""
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
            return state_in(ti, ask(**where_it_is(ti)))
        except Exception:  # whatever it is: Airflow's API server is away, and for that, too, it stops tasks
            return Unread.NO_ANSWER

    return read
