"""
Which runs nobody waits for any more: still active at Sixtyfour, while the tasks that started them have ended.

Such a run is paid for, and its results are wanted by nobody. In doubt a run is none: it is too young, its age is not
known, somebody else has started it, or one of several task instances that name it may still wait for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.runs.status import canonical

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.models import ListedRun

JOB_ID = "job_id"  # the XCom in which a task names the run that it has started
RETURNED = "return_value"
OLDER_THAN = 15 * 60.0  # seconds
SUCCESS = "success"
# What a task instance does not leave by itself. One in any other state waits, or will, also one that is not known here.
_RESTING = frozenset({SUCCESS, "failed", "upstream_failed", "skipped", "removed"})


class Starter(NamedTuple):
    """
    A task instance that has started a run, or continues one.

    :param state: as Airflow has it; ``removed`` also where the task instance is gone.
    :param is_dag_run_active: whether its Dag run is queued or running.
    :param has_left_it: whether it has returned the run's id: it did not want to wait.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    is_dag_run_active: bool
    has_left_it: bool = False

    @property
    def waits(self) -> bool:
        """Whether it waits for its run, or will."""
        return self.is_dag_run_active if self.state is None else self.state not in _RESTING

    def __str__(self) -> str:
        index = "" if self.map_index < 0 else f" [{self.map_index}]"
        return f"task {self.dag_id}.{self.task_id}{index} in {self.run_id}"


class Orphan(NamedTuple):
    """A run that nobody waits for, and the last of the task instances that have started it."""

    job_id: str
    workflow_id: str | None
    status: str
    started_at: str | None
    starter: Starter

    def as_value(self) -> dict[str, Any]:
        """Return it as JSON types."""
        starter = self.starter
        return {
            "job_id": self.job_id,
            "workflow_id": self.workflow_id,
            "status": self.status,
            "started_at": self.started_at,
            "dag_id": starter.dag_id,
            "run_id": starter.run_id,
            "task_id": starter.task_id,
            "map_index": starter.map_index,
            "state": starter.state,
        }


def candidates(active: Iterable[ListedRun], *, now: float, older_than: float = OLDER_THAN) -> dict[str, ListedRun]:
    """
    Return the runs that may be orphans, by their ids: those that are not too young.

    :param active: the runs that are active at Sixtyfour.
    :param now: in seconds of the epoch.
    :param older_than: seconds since a run was submitted.
    """
    return {run.job_id: run for run in active if (since := submitted_at(run)) is not None and now - since > older_than}


def submitted_at(run: ListedRun) -> float | None:
    """Return when a run was submitted, in seconds of the epoch; ``None`` if the API doesn't say."""
    moment = run.created_at or run.queued_at or run.started_at
    return None if moment is None else moment.timestamp()


def orphans(
    runs: Mapping[str, ListedRun],
    starters: Mapping[str, Sequence[Starter]],
    dag_ids: Collection[str] | None = None,
) -> Iterator[Orphan]:
    """
    Give the runs that nobody waits for.

    :param runs: see `candidates`.
    :param starters: of each run, the task instances that name it; of a run that was started elsewhere, none.
    :param dag_ids: the Dags whose runs are wanted; ``None`` for all. Tasks of other Dags may wait for them too.
    """
    for job_id, run in runs.items():
        its = starters.get(job_id, ())
        is_wanted = dag_ids is None or any(one.dag_id in dag_ids for one in its)
        if its and is_wanted and not any(one.waits or one.has_left_it for one in its):
            when = run.timestamps.get("created_at") or run.timestamps.get("queued_at")
            yield Orphan(job_id, run.workflow_id, canonical(run.status), when, its[-1])


def has_left(job_id: str, state: str | None, returned: Any) -> bool:
    """
    Return whether a task instance has left its run on purpose.

    :param returned: what it has returned, as an XCom; ``None`` for nothing.
    """
    if isinstance(returned, Mapping):
        returned = returned.get(JOB_ID)
    return state == SUCCESS and returned == job_id


def check_older_than(value: Any, name: str) -> float:
    """
    Return an age in seconds.

    :param value: a number of seconds, or a ``timedelta``; 0 or more.
    :raises SixtyfourInputError: if it is something else.
    """
    from datetime import timedelta

    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds < float("inf"):
        raise SixtyfourInputError(f"{name} should be a timedelta or seconds, 0 or more, not {value!r:.60}.")
    return float(seconds)
