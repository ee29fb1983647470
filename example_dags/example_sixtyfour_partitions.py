"""
One run a partition: a Dag enriches the file of each day, another loads each day as soon as it is enriched.

Days are partitions of an asset. A Dag run has a `partition_key`, the event of its outlet carries it on, and the Dag
that listens runs once for each. A backfill makes runs for keys; its command is that of `example_sixtyfour_backfill`.

Asset partitions came with Airflow 3.2: on older ones this file defines no Dag, and `example_sixtyfour_backfill` does
the same by date.
"""

from __future__ import annotations

import json
from pathlib import Path

import pendulum
from airflow.providers.common.compat.sdk import Asset, ObjectStoragePath, Param, dag, task

from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator

try:
    from airflow.sdk import CronPartitionTimetable, PartitionedAssetTimetable
except ImportError:
    HAS_PARTITIONS = False
else:
    HAS_PARTITIONS = True

HERE = Path(__file__).parent
START = pendulum.datetime(2026, 1, 1, tz="UTC")
DESTINATION = Param(
    "file:///tmp/sixtyfour/partitions",
    type="string",
    description="A folder in any object store that Airflow knows, such as s3://aws_default@bucket/leads",
)


def define() -> None:
    enriched_leads = Asset("example_sixtyfour_enriched_leads")

    @dag(
        doc_md=__doc__,
        schedule=CronPartitionTimetable("0 0 * * *", timezone="UTC", key_format="%Y-%m-%d"),
        start_date=START,
        catchup=False,
        max_active_runs=4,  # of the scheduled ones; a backfill has its own limit
        tags=["sixtyfour", "example"],
        params={
            "workflow_id": Param(
                "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d65",
                type="string",
                format="uuid",
                description="The workflow; it begins with a read_csv block, which takes a file.",
            ),
            "source": Param(
                f"file://{HERE}/leads",
                type="string",
                description="A folder with a file for each day, such as s3://aws_default@bucket/leads",
            ),
            "destination": DESTINATION,
        },
    )
    def example_sixtyfour_partitions():
        SixtyfourEnrichOperator(
            task_id="enrich",
            workflow_id="{{ params.workflow_id }}",
            # 3.3 has it as plain {{ partition_key }}, too.
            source="{{ params.source }}/{{ dag_run.partition_key }}.csv",
            destination="{{ params.destination }}/{{ dag_run.partition_key }}",
            deferrable=True,
            retries=2,
            outlets=[enriched_leads],
        )

    @dag(
        doc_md=__doc__,
        schedule=PartitionedAssetTimetable(assets=enriched_leads),
        start_date=START,
        catchup=False,
        tags=["sixtyfour", "example"],
        params={"destination": DESTINATION},
    )
    def example_sixtyfour_partitions_load():
        @task
        def load(params: dict | None = None, dag_run=None) -> int:
            """Stand in for a warehouse: replace a day's rows by those that have come; return how many there are."""
            folder = ObjectStoragePath(params["destination"]) / dag_run.partition_key
            manifest = json.loads((folder / "_manifest.json").read_bytes())
            for file in manifest["files"]:
                print(f"{dag_run.partition_key}: {file['rows']} rows in {file['path']}")
            return manifest["rows"]

        load()

    example_sixtyfour_partitions()
    example_sixtyfour_partitions_load()


if HAS_PARTITIONS:
    define()
