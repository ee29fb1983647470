"""
Which task instances name a run, as a task of Airflow 3 can find out: from Airflow's API server, by the task SDK.

The SDK gives the states of a Dag's task instances in one answer, and XComs task by task. So tasks that wait are read
first, all of them, then those that have ended, the newest Dag runs first, up to a number of requests.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.runs.log import Log
from airflow_provider_sixtyfour.runs.orphans import JOB_ID, RETURNED, SUCCESS, Starter, has_left

MOST_REQUESTS = 1000
_MAPPED = re.compile(r"(.+)_([0-9]+)")  # as the SDK names an instance of a mapped task: its task and its index
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+")


class _Group(NamedTuple):
    """
    A task in a Dag run, with all its instances.

    :param instances: the state of each by its map index.
    :param others: what their names mean if the task is not mapped; none where there is no doubt.
    """

    dag_id: str
    run_id: str
    task_id: str
    instances: Mapping[int, str | None]
    others: Sequence[_Group] = ()

    def starters(self) -> dict[int, Starter]:
        return {
            index: Starter(self.dag_id, self.run_id, self.task_id, index, state, is_dag_run_active=True)
            for index, state in self.instances.items()
        }

    @property
    def waits(self) -> bool:
        return any(starter.waits for starter in self.starters().values())


class _LimitReachedError(Exception):
    """As many requests were sent as may be."""


class StartersByTaskSdk:
    """
    Finds the task instances that name runs.

    :param ti: the task instance of this task: what the SDK gives it.
    :param most_requests: for XComs.
    """

    def __init__(self, ti: Any, log: Log, *, most_requests: int = MOST_REQUESTS) -> None:
        self._ti = ti
        self._log = log
        self._most = self._left = most_requests

    def find(
        self, job_ids: Collection[str], dag_ids: Sequence[str], task_ids: Sequence[str] | None
    ) -> dict[str, list[Starter]]:
        """
        Return the task instances of some Dags that name these runs.

        :param task_ids: of these tasks alone; ``None`` for all.
        :raises SixtyfourInputError: if so many tasks wait that not all of them can be looked at.
        """
        groups = [group for dag_id in dag_ids for group in self._groups(dag_id, task_ids)]
        found: dict[str, list[Starter]] = defaultdict(list)
        try:
            for group in groups:
                if group.waits:
                    self._look(group, job_ids, found)
        except _LimitReachedError:
            raise SixtyfourInputError(
                f"The tasks of these Dags that wait take more than {self._most:,} requests to read, so it isn't "
                "known which runs nobody waits for: name fewer dag_ids, or the task_ids that start runs."
            ) from None
        ended = sorted((group for group in groups if not group.waits), key=_age)
        for number, group in enumerate(ended):
            if found.keys() >= set(job_ids):
                break
            try:
                self._look(group, job_ids, found)
            except _LimitReachedError:
                self._log.warning(
                    "Looked at %d of %d tasks that have ended, the newest first: runs of others are not found. Name "
                    "the task_ids that start runs, to look further.",
                    number,
                    len(ended),
                )
                break
        return found

    def waits_by_now(self, starters: Sequence[Starter]) -> bool:
        """Return whether one of these task instances waits, by its state now."""
        for starter in starters:
            for group in self._groups(starter.dag_id, [starter.task_id], [starter.run_id]):
                for each in (group, *group.others):
                    now = each.starters().get(starter.map_index) if each.task_id == starter.task_id else None
                    if now is not None and now.waits:
                        return True
        return False

    def _groups(
        self, dag_id: str, task_ids: Sequence[str] | None, run_ids: Sequence[str] | None = None
    ) -> Iterator[_Group]:
        given = {name: list(value) for name, value in (("task_ids", task_ids), ("run_ids", run_ids)) if value}
        for run_id, states in self._ti.get_task_states(dag_id=dag_id, **given).items():
            mapped: dict[str, dict[int, str | None]] = defaultdict(dict)
            for name, state in states.items():
                state = None if state is None else str(getattr(state, "value", state))
                if (match := _MAPPED.fullmatch(name)) is None:
                    yield _Group(dag_id, run_id, name, {-1: state})
                else:
                    mapped[match[1]][int(match[2])] = state
            for task_id, instances in mapped.items():
                # `load_1` may be an instance of `load`, or a task of that name.
                others = [
                    _Group(dag_id, run_id, f"{task_id}_{index}", {-1: state}) for index, state in instances.items()
                ]
                yield _Group(dag_id, run_id, task_id, instances, others)

    def _look(self, group: _Group, job_ids: Collection[str], found: dict[str, list[Starter]]) -> None:
        """Take in the runs that the instances of a task name."""
        values = self._pull(group, JOB_ID)
        if not values:
            for other in group.others:
                self._look(other, job_ids, found)
            return
        if not set(job_ids).intersection(value for value in values if isinstance(value, str)):
            return
        starters = group.starters()
        indexes = sorted(starters)
        if len(values) != len(indexes):  # some have started none: who has which can't be seen from their number
            values = [self._pull_one(group, index, JOB_ID) for index in indexes]
        for index, job_id in zip(indexes, values, strict=True):
            if isinstance(job_id, str) and job_id in job_ids:
                found[job_id].append(self._judged(starters[index], job_id, group))

    def _judged(self, starter: Starter, job_id: str, group: _Group) -> Starter:
        if starter.state is None:
            state = str(self._ti.get_dagrun_state(starter.dag_id, starter.run_id))
            return starter._replace(is_dag_run_active=state in ("queued", "running"))
        if starter.state != SUCCESS:
            return starter
        returned = self._pull_one(group, starter.map_index, RETURNED)
        return starter._replace(has_left_it=has_left(job_id, starter.state, returned))

    def _pull(self, group: _Group, key: str) -> list[Any]:
        """Return the XComs of all instances of a task, in their order."""
        self._count()
        found = self._ti.xcom_pull(dag_id=group.dag_id, run_id=group.run_id, task_ids=[group.task_id], key=key)
        return [value for value in found or () if value is not None]

    def _pull_one(self, group: _Group, index: int, key: str) -> Any:
        self._count()
        return self._ti.xcom_pull(
            dag_id=group.dag_id, run_id=group.run_id, task_ids=group.task_id, key=key, map_indexes=index
        )

    def _count(self) -> None:
        """
        Count a request.

        :raises _LimitReachedError: if there were as many as there may be.
        """
        if self._left <= 0:
            raise _LimitReachedError
        self._left -= 1


def _age(group: _Group) -> tuple[int, ...]:
    """Return what sorts tasks by their Dag run's date, the newest first; those without one in their id first of all."""
    date = _DATE.search(group.run_id)
    return (0,) if date is None else (1, *(-ord(char) for char in date[0]))
