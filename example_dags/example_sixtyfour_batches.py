"""
A file of any size: split into batches, each enriched in one task, and brought together again.

Running it again for the same input pays for nothing that is done; clearing what failed runs what failed.
"""

from __future__ import annotations

from pathlib import Path

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_sixtyfour.task_groups.enrichment import sixtyfour_enrichment

HERE = Path(__file__).parent


@dag(
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    tags=["sixtyfour", "example"],
    params={
        "workflow_id": Param(
            "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d65",
            type="string",
            format="uuid",
            description="The workflow; it begins with a read_csv block, which takes a file.",
        ),
        "source": Param(
            f"file://{HERE}/leads/2026-01-01.csv",
            type="string",
            description="A file in any object store that Airflow knows, such as s3://aws_default@bucket/leads.csv",
        ),
        "destination": Param(
            "file:///tmp/sixtyfour/leads",
            type="string",
            description="A folder in any object store that Airflow knows, such as s3://aws_default@bucket/leads",
        ),
        "batch_rows": Param(
            2,
            type="integer",
            description="Rows of a batch; in production some thousands.",
        ),
        "max_rows": Param(
            100_000,
            type="integer",
            description="More rows than this are never sent, whatever the source has.",
        ),
    },
)
def example_sixtyfour_batches():
    enrichment = sixtyfour_enrichment(
        workflow_id="{{ params.workflow_id }}",
        source="{{ params.source }}",
        destination="{{ params.destination }}",
        merge_into="{{ params.destination }}/enriched.csv",
        max_rows="{{ params.max_rows }}",
        batches_at_once=20,
        split={"batch_rows": "{{ params.batch_rows }}"},
        enrich={"retries": 2},
    )

    @task
    def load(whole: dict) -> int:
        """Stands for whatever takes the merged file."""
        print(f"{whole['merged']['path']}: {whole['rows']} rows of {whole['rows_sent']}, for {whole['metrics']}")
        return whole["merged"]["rows"]

    load(enrichment.output)


example_sixtyfour_batches()
