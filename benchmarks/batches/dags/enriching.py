"""A file that is split, sent, run, waited for and landed: one mapped task for each batch."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from airflow_provider_sixtyfour.operators.batches import SixtyfourSplitInputOperator
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator

with DAG("enriching", schedule=None, catchup=False):
    split = SixtyfourSplitInputOperator(
        task_id="split",
        source="{{ dag_run.conf['source'] }}",
        destination="{{ dag_run.conf['destination'] }}/sent",
        batch_rows="{{ dag_run.conf['batch_rows'] }}",
    )
    SixtyfourEnrichOperator.partial(
        task_id="batch",
        workflow_id="{{ dag_run.conf['workflow_id'] }}",
        destination="{{ dag_run.conf['destination'] }}/enriched",
        poll_interval=float(os.environ["BENCHMARK_POLL_INTERVAL"]),
        deferrable=True,
        retries=0,
    ).expand(source=split.output)
