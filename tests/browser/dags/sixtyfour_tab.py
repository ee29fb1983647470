"""The Dags of the browser tests; a test gives the params."""

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_sixtyfour.task_groups.enrichment import sixtyfour_enrichment

PARAMS = {"workflow_id": "", "source": "", "to": ""}

with DAG("enrich", schedule=None, start_date=datetime(2026, 1, 1), params=PARAMS):
    sixtyfour_enrichment(
        group_id="leads",
        workflow_id="{{ params.workflow_id }}",
        source="{{ params.source }}",
        destination="{{ params.to }}",
        split={"batch_rows": 5},
        enrich={"poll_interval": 2.0, "retries": 0},
        pilot_rows=5,
    )
