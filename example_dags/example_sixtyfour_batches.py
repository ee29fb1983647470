"""
Split a file into batches and enrich each in one task: send, run, wait, land.

Running it again for the same input pays for nothing that is done; clearing what failed runs what failed.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_sixtyfour.operators.batches import SixtyfourSplitInputOperator
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator


@dag(
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    tags=["sixtyfour", "example"],
    params={
        # A workflow that begins with a read_csv block.
        "workflow_id": Param("8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d67", type="string", format="uuid"),
        # Any object store that Airflow knows, e.g. s3://aws_default@bucket/leads.csv
        "source": Param("file:///tmp/sixtyfour/leads.csv", type="string"),
        "destination": Param("file:///tmp/sixtyfour/batches", type="string"),
        "batch_rows": Param(5000, type="integer"),
    },
)
def example_sixtyfour_batches():
    split = SixtyfourSplitInputOperator(
        task_id="split",
        source="{{ params.source }}",
        destination="{{ params.destination }}/sent",
        batch_rows="{{ params.batch_rows }}",
    )

    enriched = SixtyfourEnrichOperator.partial(
        task_id="enrich",
        workflow_id="{{ params.workflow_id }}",
        destination="{{ params.destination }}/enriched",
        deferrable=True,
        # Batches under way at once. Airflow 3.3 counts the deferred ones in; a pool does where it has include_deferred.
        max_active_tis_per_dagrun=20,
        retries=2,
    ).expand(source=split.output)

    @task
    def summarise(batches: list[dict]) -> dict[str, int]:
        """Look at what landed, all batches together."""
        batches = list(batches)
        return {"batches": len(batches), "rows": sum(batch["rows"] for batch in batches)}

    summarise(enriched.output)


example_sixtyfour_batches()
