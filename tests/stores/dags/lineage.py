"""Upload, run, land; and an enrichment of one file: what is reported to OpenLineage."""

from datetime import datetime

from airflow.sdk import DAG, Param

from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator

with DAG(
    "lineage",
    schedule=None,
    start_date=datetime(2026, 11, 1),
    params={
        "workflow_id": Param("", type="string"),
        "source": Param("", type="string"),
        "to": Param("", type="string"),
    },
):
    upload = ObjectStorageToSixtyfourOperator(task_id="upload", source="{{ params.source }}")
    run = SixtyfourRunWorkflowOperator(
        task_id="run",
        workflow_id="{{ params.workflow_id }}",
        resource_handle_id="{{ ti.xcom_pull(task_ids='upload') }}",
        deferrable=True,
    )
    land = SixtyfourToObjectStorageOperator(
        task_id="land", job_id="{{ ti.xcom_pull(task_ids='run') }}", destination="{{ params.to }}/landed"
    )
    enrich = SixtyfourEnrichOperator(
        task_id="enrich",
        workflow_id="{{ params.workflow_id }}",
        source="{{ params.source }}",
        destination="{{ params.to }}/enriched",
        deferrable=True,
    )
    upload >> run >> land
