"""
A file in, files out: upload from object storage, run over its rows, land what every block made.

For more rows than belong in a Dag's XComs. The workflow's first block is `read_csv`; the file may be .csv, .json,
.jsonl or .ndjson.
"""

from __future__ import annotations

from pathlib import Path

import pendulum
from airflow.providers.common.compat.sdk import Param, dag

from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator

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
            "file:///tmp/sixtyfour/files",
            type="string",
            description="A folder in any object store that Airflow knows, such as s3://aws_default@bucket/leads",
        ),
    },
)
def example_sixtyfour_files():
    upload = ObjectStorageToSixtyfourOperator(task_id="upload", source="{{ params.source }}")
    run = SixtyfourRunWorkflowOperator(
        task_id="run",
        workflow_id="{{ params.workflow_id }}",
        resource_handle_id=upload.output,
        deferrable=True,  # waits in the triggerer; the worker slot is free meanwhile
    )
    SixtyfourToObjectStorageOperator(
        task_id="land",
        job_id=run.output,
        destination="{{ params.destination }}/{{ run_id }}",
        files="all",  # what every block made, not only the last one's
    )


example_sixtyfour_files()
