"""Functions whose rows are enriched: one task for each country, with the rows as a task of their own."""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import Param, dag, task

from airflow_provider_sixtyfour.decorators.sixtyfour import sixtyfour_task


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
            description="The workflow; it begins with a webhook block.",
        ),
        "destination": Param(
            "file:///tmp/sixtyfour/decorator",
            type="string",
            description="Any object store that Airflow knows, such as s3://aws_default@bucket/leads",
        ),
    },
)
def example_sixtyfour_decorator():
    # A query may give other rows at a retry, which would be other work: so it is a task of its own, whose XCom stays.
    @task
    def query() -> dict[str, list[str]]:
        """Stand in for a query: return companies by country."""
        return {"DE": ["Example Bakery", "Sample Logistics"], "FR": ["Specimen Wines"]}

    # Also at hand as `@task.sixtyfour`, which editors and type checkers know nothing about.
    @sixtyfour_task(
        workflow_id="{{ params.workflow_id }}",
        destination="{{ params.destination }}/{{ run_id }}",
        deferrable=True,
        map_index_template="{{ task.op_kwargs['country'][0] }}",
    )
    def leads(country: tuple[str, list[str]]) -> list[dict[str, str]]:
        """Return the rows of one country."""
        code, names = country
        return [{"company_name": name, "country": code} for name in names]

    @task
    def load(results: list[dict]) -> int:
        """Stand in for a warehouse: return how many rows there are to load."""
        return sum(each["rows"] for each in results)

    load(leads.expand(country=query()))


example_sixtyfour_decorator()
