"""A Dag for each run of a workflow that has ended, whoever started it; its task returns which."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_sixtyfour.triggers.runs_ended import SixtyfourRunsEndedTrigger
from tests.cluster import dag_ids

ENDED = Asset(
    "ended_runs",
    uri=dag_ids.WATCHED_ASSET,
    watchers=[
        AssetWatcher(
            name="completed",
            trigger=SixtyfourRunsEndedTrigger(
                dag_ids.WATCHED_WORKFLOW, poll_interval=5.0, sixtyfour_conn_id=dag_ids.WATCHED_CONNECTION
            ),
        )
    ],
)

with DAG(dag_ids.WATCHED, schedule=[ENDED], catchup=False):

    @task(task_id=dag_ids.TASK_ID)
    def job_ids(triggering_asset_events: Any = None) -> list[str]:
        """Return the runs that the events name."""
        events = triggering_asset_events[ENDED]
        return [event.extra["payload"]["job_id"] for event in events]

    job_ids()
