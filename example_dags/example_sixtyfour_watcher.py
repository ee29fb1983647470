"""
Land the results of runs that somebody else has started: in the app, by a schedule of Sixtyfour's, by another program.

An asset stands for the runs of a workflow. Its watcher polls the list of runs in the triggerer, and makes an event for
each run that has completed; the Dag runs for the events that have come together. The webhook receiver makes events of
the same form, so that this Dag also takes what it makes, for an asset with this very URI.

An event may come twice, and watcher and webhook each make one of the same run. That does no harm: each run has a folder
of its own, and its manifest there says that it has landed.

Watchers came with Airflow 3.0; on 2.11 this file defines no Dag. From 3.3 on a watcher remembers over restarts which
runs it has announced. To land what ended before, trigger the Dag with `job_ids`.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import Asset, Param, dag, task

from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator

try:
    from airflow.sdk import AssetWatcher

    from airflow_provider_sixtyfour.triggers.runs_ended import SixtyfourRunsEndedTrigger
except ImportError:
    HAS_WATCHERS = False
else:
    HAS_WATCHERS = True

WORKFLOW = "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d64"


def define() -> None:
    ended_runs = Asset(
        "example_sixtyfour_ended_runs",
        uri=f"sixtyfour://workflows/{WORKFLOW}",
        watchers=[AssetWatcher(name="completed", trigger=SixtyfourRunsEndedTrigger(WORKFLOW, poll_interval=60))],
    )

    @dag(
        doc_md=__doc__,
        schedule=[ended_runs],
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        tags=["sixtyfour", "example"],
        params={
            "destination": Param(
                "file:///tmp/sixtyfour/watched",
                type="string",
                description="A folder in any object store that Airflow knows, such as s3://aws_default@bucket/leads",
            ),
            "job_ids": Param(
                [],
                type="array",
                items={"type": "string"},
                description="Runs to land besides, such as those that ended before the watcher began.",
            ),
        },
    )
    def example_sixtyfour_watcher():
        @task
        def job_ids(params: dict | None = None, triggering_asset_events=None) -> list[str]:
            """Return each run that the events name, once."""
            extras = [event.extra for events in triggering_asset_events.values() for event in events]
            payloads = [extra["payload"] for extra in extras if "payload" in extra]  # others were made by hand
            return sorted({*params["job_ids"], *(payload["job_id"] for payload in payloads)})

        SixtyfourToObjectStorageOperator.partial(
            task_id="land",
            destination="{{ params.destination }}/{{ task.job_id }}",
            overwrite=False,  # a run that has landed is not landed again
            max_active_tis_per_dagrun=8,
            retries=2,
            map_index_template="run {{ task.job_id }}",
        ).expand(job_id=job_ids())

    example_sixtyfour_watcher()


if HAS_WATCHERS:
    define()
