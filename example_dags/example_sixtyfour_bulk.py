"""Enrich a file by Bulk Intelligence: no stored workflow, a limit on its cost, and an asset event with the charge."""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import Asset, ObjectStoragePath, Param, dag, task

from airflow_provider_sixtyfour.operators.bulk import SixtyfourBulkEnrichOperator

ENRICHED = Asset("sixtyfour_example_bulk")


@dag(
    doc_md=__doc__,
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["sixtyfour", "example"],
    params={
        "destination": Param(
            "file:///tmp/sixtyfour/bulk",
            type="string",
            description="A folder in any object store that Airflow knows, such as s3://aws_default@bucket/leads",
        ),
        "max_cost_cents": Param(
            100,
            type="number",
            description="Cents. The API estimates a job when it starts; one that would cost more is cancelled at once.",
        ),
    },
)
def example_sixtyfour_bulk():
    @task
    def extract(params=None, run_id=None) -> str:
        """Write the rows to a file; a file that is there already needs no such task."""
        file = ObjectStoragePath(params["destination"]) / run_id / "leads.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("name,company_name\nLead One,Example Bakery\nLead Two,Sample Logistics\n")
        return str(file)

    @task
    def load(enriched: dict) -> int:
        print(f"{enriched['rows']} rows for {enriched['charge_cents']} cents in {enriched['files'][0]['path']}")
        return enriched["charge_cents"]

    enrich = SixtyfourBulkEnrichOperator(
        task_id="enrich",
        kind="people",
        source=extract(),
        struct={
            "title": "Job title",
            "employees": {"description": "How many people work at the company", "type": "int"},
        },
        destination="{{ params.destination }}/{{ run_id }}/enriched",
        max_cost_cents="{{ params.max_cost_cents }}",
        deferrable=True,  # waits in the triggerer; the worker slot is free meanwhile
        outlets=[ENRICHED],
    )
    load(enrich.output)


example_sixtyfour_bulk()
