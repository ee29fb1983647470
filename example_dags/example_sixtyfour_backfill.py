"""
One run a day: the file of a day goes in, a folder of that day comes out; every night, and for a year of days gone by.

    airflow backfill create --dag-id example_sixtyfour_backfill --from-date 2026-01-01 --to-date 2026-10-31
        --max-active-runs 8 --reprocess-behavior failed

`--max-active-runs` is how many days are under way at once. `--reprocess-behavior` says which days are looked at; of
those, only what isn't done is paid for, since the manifest at a day's destination names the work that was done.

- `none`, the default: days that have no Dag run yet. Each is paid for.
- `failed`: those, and days whose Dag run failed. A failed run is paid for again; one that had completed is only landed.
- `completed`: all of them. A day that is done costs a second or two of a worker, and not one request.

On Airflow 2.11 the command is `airflow dags backfill -s 2026-01-01 -e 2026-10-31 example_sixtyfour_backfill`, with as
many at once as `max_active_runs` says, and with `--rerun-failed-tasks` or `--reset-dagruns`.
"""

from __future__ import annotations

from pathlib import Path

import pendulum
from airflow.providers.common.compat.sdk import Param, dag

from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator

HERE = Path(__file__).parent

# The day of the Dag run. Not `ds`: a run that is triggered by hand without a logical date has none.
DAY = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"


@dag(
    doc_md=__doc__,
    # Airflow 3 starts the run of a day with that day, Airflow 2 when it is over. The file has to be there by then.
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,  # days that are over wait for a backfill
    max_active_runs=4,  # of the scheduled ones; on Airflow 3 a backfill has its own limit
    tags=["sixtyfour", "example"],
    params={
        "workflow_id": Param(
            "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d65",
            type="string",
            format="uuid",
            description="The workflow; it begins with a read_csv block, which takes a file.",
        ),
        "source": Param(
            f"file://{HERE}/leads",
            type="string",
            description="A folder with a file for each day, such as s3://aws_default@bucket/leads",
        ),
        "destination": Param(
            "file:///tmp/sixtyfour/days",
            type="string",
            description="A folder in any object store that Airflow knows, such as s3://aws_default@bucket/leads",
        ),
    },
)
def example_sixtyfour_backfill():
    SixtyfourEnrichOperator(
        task_id="enrich",
        workflow_id="{{ params.workflow_id }}",
        source="{{ params.source }}/" + DAY + ".csv",
        # Of the day and of nothing else: with a run_id in it, a later backfill would not find what is done.
        destination="{{ params.destination }}/" + DAY,
        deferrable=True,  # waits in the triggerer; a hundred days that wait need no worker
        retries=2,
    )


example_sixtyfour_backfill()
