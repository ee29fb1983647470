"""
The Dags of backfills: the file of a day, or of a partition, goes in, a folder of its own comes out.

``dag_run.conf`` names the ``workflow_id`` and the ``folder``. No Dag run is scheduled: their last day is over.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, CronPartitionTimetable, PartitionedAssetTimetable

from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from tests.cluster import dag_ids

SPAN: dict[str, Any] = {
    "start_date": pendulum.datetime(2025, 1, 1, tz="UTC"),
    "end_date": pendulum.datetime(2025, 1, 31, tz="UTC"),
    "catchup": False,
}
ENRICHED = Asset("enriched_days")
REGIONS = Asset("enriched_regions")


def enrich(name: str, **arguments: Any) -> None:
    SixtyfourEnrichOperator(
        task_id=dag_ids.TASK_ID,
        sixtyfour_conn_id=dag_ids.DAYS_CONNECTION,
        workflow_id="{{ dag_run.conf['workflow_id'] }}",
        source=f"{{{{ dag_run.conf['folder'] }}}}/in/{name}.csv",
        destination=f"{{{{ dag_run.conf['folder'] }}}}/out/{name}",
        deferrable=True,
        poll_interval=1.0,
        retry_delay=timedelta(seconds=1),
        **arguments,
    )


def name_regions(context: Any, result: Any = None) -> None:
    """Name partitions that are known when the task is done, instead of that of the Dag run."""
    context["outlet_events"][REGIONS].add_partitions([f"{context['partition_key']}|{name}" for name in dag_ids.REGIONS])


with DAG(dag_ids.DAILY, schedule="@daily", **SPAN):
    enrich("{{ ds }}", retries=3)

with DAG(dag_ids.DAILY_ONCE, schedule="@daily", **SPAN):
    enrich("{{ ds }}", retries=0)

with DAG(dag_ids.PARTITIONED, schedule=CronPartitionTimetable("@daily", timezone="UTC", key_format="%Y-%m-%d"), **SPAN):
    enrich("{{ partition_key }}", retries=0, outlets=[ENRICHED, REGIONS], post_execute=name_regions)

with DAG(dag_ids.LISTENING, schedule=PartitionedAssetTimetable(assets=ENRICHED), catchup=False):
    EmptyOperator(task_id=dag_ids.TASK_ID)
