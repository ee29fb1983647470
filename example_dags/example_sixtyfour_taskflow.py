"""An enrichment between an extract and a load: rows flow in from one task, files flow on to the next."""

from __future__ import annotations

import json

import pendulum
from airflow.providers.common.compat.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator


@dag(
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    tags=["sixtyfour", "example"],
    params={
        "workflow_id": Param(
            "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d64",
            type="string",
            format="uuid",
            description="The workflow; it begins with a webhook block, which takes rows.",
        ),
        "destination": Param(
            "file:///tmp/sixtyfour/taskflow",
            type="string",
            description="A folder in any object store that Airflow knows, such as s3://aws_default@bucket/leads",
        ),
    },
)
def example_sixtyfour_taskflow():
    @task
    def extract() -> list[dict[str, str]]:
        """Stand in for a query: return rows that JSON can hold."""
        return [
            {"name": "Lead One", "company": "Example Bakery"},
            {"name": "Lead Two", "company": "Sample Logistics"},
        ]

    run = SixtyfourRunWorkflowOperator(
        task_id="run",
        workflow_id="{{ params.workflow_id }}",
        webhook_payload=extract(),
        # NDJSON keeps numbers, booleans and nested values, which CSV makes text of. CSV is always made as well.
        result_formats=["ndjson"],
    )
    land = SixtyfourToObjectStorageOperator(
        task_id="land",
        job_id=run.output,
        destination="{{ params.destination }}/{{ run_id }}",
        format="ndjson",
    )

    @task
    def load(files: list[dict]) -> int:
        """Stand in for a warehouse: read each landed file and return how many rows there were."""
        rows = []
        for file in files:
            rows += [json.loads(line) for line in ObjectStoragePath(file["path"]).read_bytes().splitlines()]
        print(f"{len(rows)} rows with the columns {sorted(rows[0])}")
        return len(rows)

    load(land.output)


example_sixtyfour_taskflow()
