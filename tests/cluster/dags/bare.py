"""A deferred task of Airflow alone, to show when Airflow notifies a trigger of a user's act, and when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import DAG, BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from tests.cluster.dag_ids import BARE, BARE_KILLED, TASK_ID


class BareTrigger(BaseTrigger):
    """Waits for a minute, and logs a kill that it is notified of."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "tests.cluster.dags.bare.BareTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(60)
        yield TriggerEvent({})

    async def on_kill(self) -> None:
        self.log.info(BARE_KILLED)


class BareOperator(BaseOperator):
    """Defers, and is done."""

    def execute(self, context: Any) -> None:
        self.defer(trigger=BareTrigger(), method_name="done")

    def done(self, context: Any, event: Any = None) -> None:
        """Succeed."""


with DAG(BARE, schedule=None, catchup=False):
    BareOperator(task_id=TASK_ID)
