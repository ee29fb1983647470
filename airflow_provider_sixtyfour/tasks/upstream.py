"""The states of the upstream tasks, as Airflow records them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_SKIPPED = "skipped"


def were_skipped(context: Context, task_ids: Collection[str]) -> bool:
    """
    Return whether all of these tasks of this Dag run were skipped; not if Airflow can't say.

    A task with the trigger rule ``all_done`` runs after such tasks, too, though there is nothing for it to do.
    """
    try:
        states = _states(context, task_ids)
    except Exception:  # whatever it is: the task then says what it lacks
        return False
    return bool(states) and all(str(getattr(state, "value", state)) == _SKIPPED for state in states)


def _states(context: Context, task_ids: Collection[str]) -> list[Any]:
    ti: Any = context["ti"]
    if hasattr(ti, "get_task_states"):  # from Airflow 3.0 on
        return list(ti.get_task_states(ti.dag_id, task_ids=list(task_ids), run_ids=[ti.run_id])[ti.run_id].values())
    return [each.state for each in ti.get_dagrun().get_task_instances() if each.task_id in task_ids]
