"""
What Airflow gives a task, as far as the provider uses it, and the way of a task from ``execute`` to its end.

A `Task` is driven as a task runner, a triggerer and a scheduler drive it: each slice gets a new operator (nothing
that was set in ``execute`` is left after a deferral), templates are rendered before each, XComs are wiped before a
fresh try and not before a resumption, Airflow 3 pushes the links after a deferral and after a resumption, and trigger
and event travel as JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import TaskDeferred

try:
    from airflow.sdk.serde import deserialize, serialize
except ImportError:  # Airflow before 3.2
    from airflow.serialization.serde import deserialize, serialize

try:
    from airflow.sdk.execution_time.context import OutletEventAccessors as OutletEventAccessors
except ImportError:  # Airflow 2
    from airflow.utils.context import OutletEventAccessors as OutletEventAccessors

LONGEST_WAIT = 30.0  # seconds that a trigger may take in a test


class StateStore:
    """
    A ``task_state_store``, kept as JSON text: in memory, or in a file that outlives this process.

    :param path: the file.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._text = "{}"

    def get(self, key: str, default: Any = None) -> Any:
        return self._read().get(key, default)

    def set(self, key: str, value: Any) -> None:
        if value is None:
            raise ValueError("Cannot set value as None")  # as Airflow's own does
        self._write({**self._read(), key: value})

    def delete(self, key: str) -> None:
        self._write({name: value for name, value in self._read().items() if name != key})

    def _read(self) -> dict[str, Any]:
        text = self._path.read_text() if self._path and self._path.exists() else self._text
        content: dict[str, Any] = json.loads(text)
        return content

    def _write(self, content: dict[str, Any]) -> None:
        text = json.dumps(content, allow_nan=False)
        if self._path is None:
            self._text = text
        else:
            self._path.write_text(text)


@dataclass
class TaskInstance:
    """A task instance as the context holds it."""

    dag_id: str = "enrich"
    run_id: str = "scheduled__2026-11-01"
    task_id: str = "run"
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 3
    start_date: datetime = field(default_factory=lambda: datetime.now(UTC))
    xcoms: dict[str, Any] = field(default_factory=dict)
    state: str | None = "running"
    states_asked: int = 0

    def get_task_states(
        self, dag_id: str, map_index: int | None, task_ids: list[str], run_ids: list[str]
    ) -> dict[str, Any]:
        """Answer as Airflow does; no entry for a task instance that was removed."""
        self.states_asked += 1
        key = task_ids[0] if map_index is None else f"{task_ids[0]}_{map_index}"
        return {run_id: {} if self.state is None else {key: self.state} for run_id in run_ids}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value, allow_nan=False))


class Task:
    """
    One task instance, with all its tries.

    :param make: makes the operator as the Dag file does, once for each slice.
    :param store: ``None`` for an Airflow that has none.
    :param started_ago: how many seconds ago the current try began.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        *,
        store: StateStore | None = None,
        started_ago: float = 0.0,
        dag_run_start: datetime | None = None,
        params: dict[str, Any] | None = None,
        **identity: Any,
    ) -> None:
        self.make = make
        self.store = store
        self.ti = TaskInstance(start_date=datetime.now(UTC) - timedelta(seconds=started_ago), **identity)
        self.dag_run = SimpleNamespace(
            run_id=self.ti.run_id,
            dag_id=self.ti.dag_id,
            start_date=dag_run_start or datetime.now(UTC),
        )
        self.params = params or {}
        self.deferrals = 0

    @property
    def context(self) -> Any:
        context = {
            "ti": self.ti,
            "task_instance": self.ti,
            "dag_run": self.dag_run,
            "run_id": self.ti.run_id,
            "params": self.params,
        }
        return context if self.store is None else {**context, "task_state_store": self.store}

    def operator(self) -> Any:
        """Return a new operator with its templates rendered."""
        operator = self.make()
        operator.render_template_fields(self.context)
        return operator

    def run(self) -> Any:
        """Run one try to its end, deferral and all, and return what becomes its XCom."""
        self.ti.xcoms.clear()
        return self.go(self.operator())

    def go(self, operator: Any) -> Any:
        """Run one try with an operator that a test has hold of."""
        try:
            value = operator.execute(self.context)
        except TaskDeferred as deferral:
            self._push_links(operator)
            value = self.resume(deferral, fire(deferral.trigger))
        return json.loads(json.dumps(value, allow_nan=False))

    def defer(self) -> TaskDeferred:
        """Run one try up to its deferral."""
        self.ti.xcoms.clear()
        operator = self.operator()
        try:
            value = operator.execute(self.context)
        except TaskDeferred as deferral:
            self._push_links(operator)
            return deferral
        raise AssertionError(f"the task did not defer but returned {value!r}")

    def _push_links(self, operator: Any) -> None:
        if not airflow_version.startswith("2."):
            for link in operator.operator_extra_links:
                self.ti.xcom_push(link.xcom_key, link.get_link(operator, ti_key=None))

    def resume(self, deferral: TaskDeferred, event: Any) -> Any:
        """Continue after a trigger's event, in what would be another process."""
        assert deferral.timeout is None, "a deferral that times out calls nothing, and the run would leak"
        self.deferrals += 1
        kwargs = {**through_serde(deferral.kwargs or {}), "event": event}
        operator = self.operator()
        try:
            return operator.resume_execution(deferral.method_name, kwargs, self.context)
        finally:
            self._push_links(operator)

    def retry(self) -> Any:
        """Run the next try that Airflow makes by itself."""
        self.ti.try_number += 1
        self.ti.start_date = datetime.now(UTC)
        return self.run()

    def clear(self) -> Any:
        """Run again because a user has cleared the task."""
        self.ti.max_tries += self.ti.try_number
        return self.retry()


def fire(trigger: Any) -> Any:
    """Run a trigger as the triggerer does, from what is stored of it, and return its one event's payload."""
    [event] = asyncio.run(asyncio.wait_for(events_of(stored(trigger)), LONGEST_WAIT))
    return through_serde(event.payload)


def stored(trigger: Any) -> Any:
    """Return the trigger that comes out of the database."""
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**through_serde(kwargs))


async def events_of(trigger: Any) -> list[Any]:
    """Return all events of a trigger that runs to its end."""
    return [event async for event in trigger.run()]


def through_serde(value: Any) -> Any:
    """Return what is left of a value after Airflow has stored it."""
    return deserialize(json.loads(json.dumps(serialize(value))))
