"""
What Airflow itself takes: the Dag that enriches, with empty tasks that defer as long as a run takes; and a bare one.

Empty tasks take the arguments of the enriching ones, so Airflow passes such references, and renders such templates.
Bare ones get a number.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
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
        return "benchmarks.batches.dags.waiting.SleepTrigger", {"seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep, and yield the one event."""
        await asyncio.sleep(self.seconds)
        yield TriggerEvent({})


class BareOperator(BaseOperator):
    """
    Defers.

    :param source: what it is mapped over.
    """

    def __init__(self, *, source: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source

    def execute(self, context: Any) -> None:
        """Defer for as long as a run takes."""
        self.defer(trigger=SleepTrigger(context["dag_run"].conf["seconds"]), method_name="execute_complete")

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Be done."""


class EmptyEnrichOperator(BareOperator):
    """
    Defers, with the arguments of `SixtyfourEnrichOperator`.

    :param source: what it is mapped over. (templated)
    :param workflow_id: is ignored. (templated)
    :param destination: is ignored. (templated)
    """

    template_fields: Sequence[str] = ("workflow_id", "source", "destination")

    def __init__(self, *, workflow_id: str, destination: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow_id = workflow_id
        self.destination = destination


class NumbersOperator(BaseOperator):
    """Returns as many numbers as there are to be batches."""

    def execute(self, context: Any) -> list[Any]:
        """Return them."""
        return list(range(context["dag_run"].conf["batches"]))


class EmptySplitOperator(BaseOperator):
    """
    Returns such references as a split of as many batches.

    :param destination: the folder that they name. (templated)
    """

    template_fields: Sequence[str] = ("destination",)

    def __init__(self, *, destination: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.destination = destination

    def execute(self, context: Any) -> list[Any]:
        """Return them."""
        return [
            {
                "index": number,
                "path": f"{self.destination}/leads-{number:05}.csv",
                "rows": 5000,
                "bytes": 950_000 + number,
                "sha256": f"{number:064x}",
            }
            for number in range(context["dag_run"].conf["batches"])
        ]


with DAG("waiting", schedule=None, catchup=False):
    split = EmptySplitOperator(task_id="split", destination="{{ dag_run.conf['destination'] }}/sent")
    EmptyEnrichOperator.partial(
        task_id="batch",
        workflow_id="{{ dag_run.conf['workflow_id'] }}",
        destination="{{ dag_run.conf['destination'] }}/enriched",
        retries=0,
    ).expand(source=split.output)

with DAG("bare", schedule=None, catchup=False):
    numbers = NumbersOperator(task_id="split")
    BareOperator.partial(task_id="batch", retries=0).expand(source=numbers.output)
