"""
Keep a workflow in git: save it from the JSON file next to this Dag, run it, land its result.

``lead_enrichment.json`` is what the workflow editor shows under *View Workflow Definition*. The deploy task saves it
only when it differs from what is stored, and logs the difference.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import Param, dag

from airflow_provider_sixtyfour.operators.sixtyfour import (
    SixtyfourDeployWorkflowOperator,
    SixtyfourRunWorkflowOperator,
)
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator


@dag(
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    tags=["sixtyfour", "example"],
    params={
        "workflow_id": Param(
            "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d67",
            type="string",
            format="uuid",
            description="The workflow, a UUID of your choice: one that doesn't exist yet is created under it.",
        ),
        "rows": Param(
            [
                {"name": "Lead One", "company": "Example Bakery"},
                {"name": "Lead Two", "company": "Sample Logistics"},
                {"name": "Lead Three", "company": "Test Instruments"},
            ],
            type="array",
            items={"type": "object"},
            description="What a run enriches.",
        ),
        "destination": Param(
            "file:///tmp/sixtyfour/deploy",
            type="string",
            description="A folder in any object store that Airflow knows, such as s3://aws_default@bucket/leads",
        ),
    },
)
def example_sixtyfour_deploy():
    deploy = SixtyfourDeployWorkflowOperator(
        task_id="deploy",
        workflow_id="{{ params.workflow_id }}",
        workflow="lead_enrichment.json",  # found next to this file
    )
    run = SixtyfourRunWorkflowOperator(
        task_id="run",
        workflow_id=deploy.output,
        webhook_payload="{{ params.rows | tojson }}",
        deferrable=True,  # waits in the triggerer; the worker slot is free meanwhile
    )
    SixtyfourToObjectStorageOperator(
        task_id="land",
        job_id=run.output,
        destination="{{ params.destination }}/{{ run_id }}",
    )


example_sixtyfour_deploy()
