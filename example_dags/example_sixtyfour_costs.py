"""
A file of any size, with its cost under control: a few rows first, an estimate, a limit, and somebody who agrees.

The first rows show what a row costs and how many values are filled. If that is good enough and within the limits, the
rest follows; the first rows are not paid for again.
"""

from __future__ import annotations

from pathlib import Path

import pendulum
from airflow.providers.common.compat.sdk import Param, dag

from airflow_provider_sixtyfour.task_groups.enrichment import sixtyfour_enrichment

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
            "file:///tmp/sixtyfour/leads-with-costs",
            type="string",
            description="A folder in any object store that Airflow knows, such as s3://aws_default@bucket/leads",
        ),
        "max_credits": Param(
            5_000,
            type="number",
            description="What all of it may cost. Batches that don't fit are left out and named; raise it to continue.",
        ),
    },
)
def example_sixtyfour_costs():
    sixtyfour_enrichment(
        group_id="leads",
        workflow_id="{{ params.workflow_id }}",
        source="{{ params.source }}",
        destination="{{ params.destination }}",
        pilot_rows=1,  # in production: a hundred
        min_fill_rate={"title": 0.5},  # else the rest is not started
        max_credits="{{ params.max_credits }}",
        approve_above_rows=1_000,  # somebody is asked (Airflow 3.1 and later)
        split={"batch_rows": 1},  # in production: some thousands
        enrich={"retry_failed_runs": False},  # a failure that lasts is paid for once
    )


example_sixtyfour_costs()
