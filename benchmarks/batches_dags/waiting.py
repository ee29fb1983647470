"""The same Dag with tasks that do nothing but defer as long: what Airflow itself takes for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import DAG, BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent


class SleepTrigger(BaseTrigger):
    """
    Sleeps.

    :param seconds: how long.
    """

    def __init__(self, seconds: float) -> None:
        BaseTrigger.__init__(self)
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its argument."""
        return "benchmarks.batches_dags.waiting.SleepTrigger", {"seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep, and yield the one event."""
        await asyncio.sleep(self.seconds)
        yield TriggerEvent({})


class CountOperator(BaseOperator):
    """Returns as many numbers as there are to be batches."""

    def execute(self, context: Any) -> list[int]:
        """Return them."""
        return list(range(context["dag_run"].conf["batches"]))


class WaitOperator(BaseOperator):
    """
    Defers.

    :param number: what it is mapped over.
    """

    def __init__(self, *, number: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = number

    def execute(self, context: Any) -> None:
        """Defer for as long as a run takes."""
        self.defer(trigger=SleepTrigger(context["dag_run"].conf["seconds"]), method_name="execute_complete")

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Be done."""


with DAG("waiting", schedule=None, catchup=False):
    count = CountOperator(task_id="split")
    WaitOperator.partial(task_id="batch", retries=0).expand(number=count.output)
