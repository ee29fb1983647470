"""Enrich a few rows every day and land the result. The smallest Dag that is of use."""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import Param, dag

from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator

COMPANIES = [
    {"company_name": "Example Bakery", "website": "bakery.example.com"},
    {"company_name": "Sample Logistics", "website": "logistics.example.com"},
]


@dag(
    doc_md=__doc__,
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["sixtyfour", "example"],
    params={
        "workflow_id": Param(
            "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d64",
            type="string",
            format="uuid",
            description="The workflow; it begins with a webhook block, which takes rows.",
        ),
        "destination": Param(
            "file:///tmp/sixtyfour/enrichment",
            type="string",
            description="A folder in any object store that Airflow knows, such as s3://aws_default@bucket/leads",
        ),
    },
)
def example_sixtyfour_enrichment():
    run = SixtyfourRunWorkflowOperator(
        task_id="run",
        workflow_id="{{ params.workflow_id }}",
        webhook_payload=COMPANIES,
        deferrable=True,  # waits in the triggerer; the worker slot is free meanwhile
    )
    SixtyfourToObjectStorageOperator(
        task_id="land",
        job_id=run.output,
        # A folder for each Dag run: whoever runs a past day again replaces that day's files and no others.
        destination="{{ params.destination }}/{{ run_id }}",
    )


example_sixtyfour_enrichment()
