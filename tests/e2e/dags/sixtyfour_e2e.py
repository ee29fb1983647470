"""The Dags of the end-to-end tests; a test gives the params."""

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, Asset, task

from airflow_provider_sixtyfour.operators.bulk import SixtyfourBulkEnrichOperator
from airflow_provider_sixtyfour.operators.housekeeping import SixtyfourOrphanedRunsOperator
from airflow_provider_sixtyfour.operators.sixtyfour import (
    SixtyfourDeployWorkflowOperator,
    SixtyfourRunWorkflowOperator,
)
from airflow_provider_sixtyfour.task_groups.enrichment import sixtyfour_enrichment
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator

START = datetime(2026, 1, 1)
POLL_INTERVAL = 2.0  # seconds

with DAG("pipeline", schedule=None, start_date=START, params={"workflow_id": "", "workflow": {}, "rows": [], "to": ""}):
    deploy = SixtyfourDeployWorkflowOperator(
        task_id="deploy", workflow_id="{{ params.workflow_id }}", workflow="{{ params.workflow | tojson }}"
    )
    run = SixtyfourRunWorkflowOperator(
        task_id="run",
        workflow_id=deploy.output,
        webhook_payload="{{ params.rows | tojson }}",
        deferrable=True,
        poll_interval=POLL_INTERVAL,
    )
    SixtyfourToObjectStorageOperator(task_id="land", job_id=run.output, destination="{{ params.to }}")

with DAG("dated", schedule=None, start_date=START, params={"workflow_id": "", "rows": [], "to": ""}):
    run = SixtyfourRunWorkflowOperator(
        task_id="run", workflow_id="{{ params.workflow_id }}", webhook_payload="{{ params.rows | tojson }}"
    )
    SixtyfourToObjectStorageOperator(task_id="land", job_id=run.output, destination="{{ params.to }}/{{ ds }}")

for mode in ("sync", "deferred"):
    with DAG(f"run_{mode}", schedule=None, start_date=START, params={"workflow_id": "", "rows": []}):
        SixtyfourRunWorkflowOperator(
            task_id="run",
            workflow_id="{{ params.workflow_id }}",
            webhook_payload="{{ params.rows | tojson }}",
            deferrable=mode == "deferred",
            poll_interval=POLL_INTERVAL,
        )

with DAG("mapped", schedule=None, start_date=START, params={"workflow_id": "", "to": ""}):
    runs = SixtyfourRunWorkflowOperator.partial(
        task_id="run", workflow_id="{{ params.workflow_id }}", deferrable=True, poll_interval=POLL_INTERVAL
    ).expand(webhook_payload=[[{"company_name": f"Example Company {number}"}] for number in range(3)])
    SixtyfourToObjectStorageOperator.partial(task_id="land", destination="{{ params.to }}/{{ ti.map_index }}").expand(
        job_id=runs.output
    )

    @task.sixtyfour(
        workflow_id="{{ params.workflow_id }}",
        destination="{{ params.to }}/decorated",
        deferrable=True,
        poll_interval=POLL_INTERVAL,
    )
    def made(name, ti=None):
        return {"company_name": f"{name} {ti.map_index}"}

    made.override(task_id="decorated").expand(name=["Example", "Sample"])

with DAG("batches", schedule=None, start_date=START, params={"workflow_id": "", "source": "", "to": ""}):
    sixtyfour_enrichment(
        group_id="leads",
        workflow_id="{{ params.workflow_id }}",
        source="{{ params.source }}",
        destination="{{ params.to }}",
        merge_into="{{ params.to }}/enriched.csv",
        split={"batch_rows": 2},
        enrich={"poll_interval": POLL_INTERVAL, "retries": 0},
    )

with DAG("approved", schedule=None, start_date=START, params={"workflow_id": "", "source": "", "to": ""}):
    sixtyfour_enrichment(
        group_id="leads",
        workflow_id="{{ params.workflow_id }}",
        source="{{ params.source }}",
        destination="{{ params.to }}",
        split={"batch_rows": 2},
        enrich={"poll_interval": POLL_INTERVAL, "retries": 0},
        approve_above_rows=3,
    )

with DAG(
    "limited", schedule=None, start_date=START, params={"workflow_id": "", "source": "", "to": "", "min_fill_rate": {}}
):
    sixtyfour_enrichment(
        group_id="leads",
        workflow_id="{{ params.workflow_id }}",
        source="{{ params.source }}",
        destination="{{ params.to }}",
        split={"batch_rows": 2},
        enrich={"poll_interval": POLL_INTERVAL, "retries": 0},
        pilot_rows=2,
        min_fill_rate="{{ params.min_fill_rate | tojson }}",
        max_credits="{{ var.value.sixtyfour_e2e_limit }}",  # can be raised while the Dag run waits to be cleared
    )

with DAG("bulk", schedule=None, start_date=START, params={"source": "", "to": "", "limit": 100}):
    SixtyfourBulkEnrichOperator(
        task_id="run",
        kind="people",
        source="{{ params.source }}",
        struct={"title": "Job title"},
        destination="{{ params.to }}",
        max_cost_cents="{{ params.limit }}",
        deferrable=True,
        poll_interval=POLL_INTERVAL,
        retries=0,
        outlets=[Asset("sixtyfour_e2e_bulk")],
    )

with DAG("left", schedule=None, start_date=START, params={"workflow_id": ""}):
    SixtyfourRunWorkflowOperator.partial(
        task_id="run",
        workflow_id="{{ params.workflow_id }}",
        deferrable=True,
        cancel_on_kill=False,
        poll_interval=POLL_INTERVAL,
    ).expand(webhook_payload=[[{"company_name": f"Example Company {number}"}] for number in range(2)])
    for number in range(2):  # named as instances of a mapped task are
        SixtyfourRunWorkflowOperator(
            task_id=f"single_{number}",
            workflow_id="{{ params.workflow_id }}",
            webhook_payload=[{"company_name": "Example Single"}],
            deferrable=True,
            cancel_on_kill=False,
            poll_interval=POLL_INTERVAL,
        )
    SixtyfourRunWorkflowOperator(
        task_id="on_purpose",
        workflow_id="{{ params.workflow_id }}",
        webhook_payload=[{"company_name": "Example Left"}],
        wait_for_completion=False,
    )

with DAG("housekeeping", schedule=None, start_date=START):
    orphans = {"dag_ids": ["left"], "older_than": 0}
    find = SixtyfourOrphanedRunsOperator(task_id="find", **orphans)
    find >> SixtyfourOrphanedRunsOperator(task_id="cancel", cancel=True, **orphans)
