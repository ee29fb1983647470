"""Split the work into batches: a run and a folder for each, as many at once as the pool and the API allow."""

from __future__ import annotations

from itertools import islice

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator

BATCH_SIZE = 2  # rows; in production some hundreds: a retry runs a whole batch again


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
            "file:///tmp/sixtyfour/mapped",
            type="string",
            description="A folder in any object store that Airflow knows, such as s3://aws_default@bucket/leads",
        ),
    },
)
def example_sixtyfour_mapped():
    @task
    def batches() -> list[list[dict[str, str]]]:
        rows = iter([{"name": f"Lead {number}", "company": f"Example Company {number}"} for number in range(1, 6)])
        return list(iter(lambda: list(islice(rows, BATCH_SIZE)), []))

    runs = SixtyfourRunWorkflowOperator.partial(
        task_id="run",
        workflow_id="{{ params.workflow_id }}",
        max_active_tis_per_dagrun=4,  # runs at the API at once
        # What Airflow's grid shows in place of the task's number: "Lead 3 … (2 rows)".
        map_index_template="{{ task.webhook_payload[0]['name'] }} … ({{ task.webhook_payload | length }} rows)",
    ).expand(webhook_payload=batches())

    landed = SixtyfourToObjectStorageOperator.partial(
        task_id="land",
        destination="{{ params.destination }}/{{ run_id }}/{{ ti.map_index }}",
        map_index_template="run {{ task.job_id }}",
    ).expand(job_id=runs.output)

    @task
    def summarise(files_of_batches: list[list[dict]]) -> dict[str, int]:
        """Look at what landed, all batches together."""
        files = [file for files in files_of_batches for file in files]
        return {"files": len(files), "rows": sum(file["rows"] for file in files)}

    summarise(landed.output)


example_sixtyfour_mapped()
