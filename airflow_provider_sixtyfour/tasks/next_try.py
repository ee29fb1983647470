"""
Whether Airflow will retry a task instance that is being stopped: then its run must be kept for that retry.

A worker that is shut down, a pod that is evicted and a task that is taken for dead while it lives are stopped as a
user stops a task: by SIGTERM. The state that Airflow has given the task distinguishes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.tasks.task_state import state_in, where_it_is

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# "running": nobody has acted on the task, so its end will be taken for a failure, and retried. The others: Airflow
# has given the try up already. A user's acts give "failed", "success" or, a clear, "restarting".
_TRIED_AGAIN = frozenset({"running", "up_for_retry", "scheduled", "queued", "deferred"})


def has_next_try(context: Context) -> bool:
    """Say whether Airflow will try the task again if this try fails. A ``retry_policy`` may decide otherwise."""
    return bool(context["ti"].try_number <= context["ti"].max_tries)


def next_try(context: Context) -> Callable[[], bool] | None:
    """
    Return a function that asks whether the task will be retried; ``None`` if it won't, or nobody can be asked.

    To be asked in a thread of its own: a signal handler may have interrupted what holds the lock that it waits for.
    Where Airflow gives no answer, the answer is yes: its API server is away, and for that, too, it stops tasks.

    :param context: the task's context; before Airflow 3.3, where it has no ``task_state_store`` yet, threads can't ask.
    """
    ti = context["ti"]
    if context.get("task_state_store") is None or not has_next_try(context):
        return None
    ask = ti.get_task_states

    def is_tried_again() -> bool:
        try:
            return state_in(ti, ask(**where_it_is(ti))) in _TRIED_AGAIN
        except Exception:  # whatever it is: work that somebody may wait for is not stopped on a guess
            return True

    return is_tried_again
