"""Lineage reports where data came from and went to; it can't fail a transfer, and has no secrets."""

import importlib
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat import sdk
from airflow.providers.common.compat.sdk import Asset, AssetAlias, HookLineageCollector

from airflow_provider_sixtyfour.operators.batches import repair_input, split_input
from airflow_provider_sixtyfour.operators.collect import collect_batches
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.results.manifest import Manifest, read_manifest
from airflow_provider_sixtyfour.storage.object_paths import object_storage_path
from airflow_provider_sixtyfour.tasks.landing_lineage import datasets_of
from airflow_provider_sixtyfour.tasks.lineage import uri_of
from airflow_provider_sixtyfour.tasks.openlineage import dataset_name
from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.unit.standins import OutletEventAccessors, Task

io_path = sys.modules[sdk.ObjectStoragePath.__module__]
pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.fixture
def collector(monkeypatch):
    """The collector that Airflow has where somebody reads hook lineage; its own paths report to it, too."""
    made = HookLineageCollector()
    monkeypatch.setattr(sdk, "get_hook_lineage_collector", lambda: made, raising=False)
    monkeypatch.setattr(io_path, "get_hook_lineage_collector", lambda: made, raising=False)
    for name in ("airflow.sdk.lineage", "airflow.lineage.hook"):  # from 3.2 on, and before
        with suppress(ImportError):
            monkeypatch.setattr(importlib.import_module(name), "get_hook_lineage_collector", lambda: made)
    return made


def reported(collector):
    """Return what was reported as read and as written."""
    found = collector.collected_assets
    return [info.asset.uri for info in found.inputs], [info.asset.uri for info in found.outputs]


def execute(kind, *outlets, **arguments):
    """Run a task; return what it returned and the events of its outlets."""
    task = Task(lambda: kind(task_id="t", outlets=list(outlets), **arguments))
    events = OutletEventAccessors()
    return task.operator().execute({**task.context, "outlet_events": events}), events


def land(job_id, folder, *outlets, **more):
    return execute(
        SixtyfourToObjectStorageOperator, *outlets, job_id=job_id, destination=f"file://{folder}", files="all", **more
    )


@pytest.fixture
def workflow(emulator):
    return emulator.store_workflow("lead_enrichment", "find_email")


def test_the_event_of_an_outlet_has_what_was_landed(emulator, workflow, folder):
    job_id = emulator.completed_run(workflow)
    asset = Asset(uri="s3://bucket/leads/")

    landed, events = land(job_id, folder, asset)

    assert events[asset].extra == {
        "uri": f"file://{folder}",
        "job_id": job_id,
        "workflow_id": workflow,
        "format": "csv",
        "rows": 4,
        "bytes": sum(file["bytes"] for file in landed),
        "quality": read_manifest(object_storage_path(f"file://{folder}", "x")).quality,
        "files": [{key: file[key] for key in ("path", "rows", "bytes", "sha256")} for file in landed],
    }
    assert events[asset].extra["quality"]["email"] == {"filled": 2, "empty": 0}


def test_an_alias_gets_the_folder_as_an_asset(emulator, workflow, folder):
    alias = AssetAlias("landed")

    _, events = land(emulator.completed_run(workflow), folder, alias)

    found = events[alias]
    [event] = found.asset_alias_events if hasattr(found, "asset_alias_events") else found.dataset_alias_events
    assert (event["extra"] if isinstance(event, dict) else event.extra)["rows"] == 4


def test_the_event_of_an_upload(emulator, tmp_path):
    path = tmp_path / "leads.csv"
    path.write_text("name\nLead One\n")
    asset = Asset(uri="s3://bucket/leads/")

    handle, events = execute(ObjectStorageToSixtyfourOperator, asset, source=f"file://{path}")

    extra = events[asset].extra
    assert (extra["handle_id"], extra["source"], extra["rows"], extra["bytes"]) == (handle, f"file://{path}", 1, 14)


def test_hook_lineage_of_a_landing(emulator, workflow, folder, collector):
    job_id = emulator.completed_run(workflow)

    landed, _ = land(job_id, folder)

    read, written = reported(collector)
    assert read == [f"{emulator.url}/workflows/runs/{job_id}"]
    assert sorted(written) == sorted(file["path"] for file in landed)


def test_hook_lineage_of_an_upload(emulator, tmp_path, collector):
    path = tmp_path / "leads é.csv"
    path.write_text("name\nLead One\n")

    handle, _ = execute(ObjectStorageToSixtyfourOperator, source=f"file://{path}")

    # Once, and not as Airflow's own paths report it: unquoted, and with the connection if the URL names one.
    assert reported(collector) == ([f"file://{tmp_path}/leads%20%C3%A9.csv"], [f"{emulator.url}/storage/csv/{handle}"])


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_hook_lineage_of_a_batch(emulator, enriching, batches, collector, deferrable):
    landed = enriching(source=batches[0], deferrable=deferrable).run()

    run = f"{emulator.url}/workflows/runs/{landed['job_id']}"
    assert reported(collector) == ([batches[0]["path"], run], [file["path"] for file in landed["files"]])


def test_an_input_is_reported_without_its_connection_and_its_store(folder):
    manifest = Manifest("j", "w", "csv", "final", "2026-11-22T00:00:00Z", files=())

    # There is no such connection.
    read, _ = datasets_of(
        "http://api", object_storage_path(f"file://{folder}", "x"), manifest, source="s3://missing@b/a é.csv"
    )

    assert [data.uri for data in read] == ["s3://b/a%20%C3%A9.csv", "http://api/workflows/runs/j"]


@pytest.mark.parametrize(
    ("key", "uri"),
    [
        ("leads/ds=2026-01-01/part-0.csv", "s3://bucket/leads/ds=2026-01-01/part-0.csv"),
        ("a+b/c&d/e:f@g,h;i=(j)'k'!~*$", "s3://bucket/a+b/c&d/e:f@g,h;i=(j)'k'!~*$"),
        ("100% [x] a?b#c", "s3://bucket/100%25%20[x]%20a%3Fb%23c"),
        ("already%20encoded", "s3://bucket/already%2520encoded"),
        ("leads é.csv", "s3://bucket/leads%20%C3%A9.csv"),  # Airflow takes nothing but ASCII
    ],
)
def test_only_what_would_be_misread_is_encoded(key, uri):
    path = SimpleNamespace(protocol="s3", path=f"bucket/{key}/")

    assert uri_of(path) == uri
    assert Asset(uri=uri).uri == uri  # as Airflow's own assets of that key have it
    assert dataset_name(uri) == {"namespace": "s3://bucket", "name": key}


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_hook_lineage_of_a_run(emulator, collector, tmp_path, deferrable):
    path = tmp_path / "leads.csv"
    path.write_text("company_name\nExample\n")
    handle, _ = execute(ObjectStorageToSixtyfourOperator, source=f"file://{path}")
    workflow = emulator.store_workflow(source="read_csv")

    job_id = Task(
        lambda: SixtyfourRunWorkflowOperator(
            task_id="run", workflow_id=workflow, resource_handle_id=handle, deferrable=deferrable, poll_interval=0.02
        )
    ).run()

    read, written = reported(collector)
    assert read[-1] == f"{emulator.url}/storage/csv/{handle}"
    assert written[-1] == f"{emulator.url}/workflows/runs/{job_id}"


def test_hook_lineage_of_rows(emulator, enriching, collector):
    landed = enriching(workflow_id=emulator.store_workflow(), rows=[{"name": "Lead One"}]).run()

    assert reported(collector)[0] == [f"{emulator.url}/workflows/runs/{landed['job_id']}"]


def test_hook_lineage_of_a_split(tmp_path, folder, collector):
    path = tmp_path / "leads é.csv"
    path.write_text("name\nLead One\nLead Two\n")

    split_input(source=f"file://{path}", destination=f"file://{folder}", batch_rows=1)

    assert reported(collector) == ([f"file://{tmp_path}/leads%20%C3%A9.csv"], [f"file://{folder}"])


def test_hook_lineage_of_a_repair(batches, tmp_path, folder, collector):
    (tmp_path / "back.csv").write_text("name,industry\nLead 0,Bakery\n")

    repair_input(source=batches, results=f"file://{tmp_path}/back.csv", destination=f"file://{folder}", key="name")

    sent = [batch["path"] for batch in batches]
    assert reported(collector) == ([*sent, f"file://{tmp_path}/back.csv"], [f"file://{folder}"])


def test_hook_lineage_of_a_merge(batches, folder, collector):
    result = {"job_id": "j", "workflow_id": "w", "rows": 1, "bytes": 1, "metrics": {}}
    results = [
        {**result, "source": batch["path"], "files": [batch], "manifest": f"m{number}"}
        for number, batch in enumerate(batches)
    ]

    collect_batches(results=results, destination=f"file://{folder}", merge_into=f"file://{folder}/whole.csv")

    assert reported(collector) == ([batch["path"] for batch in batches], [f"file://{folder}/whole.csv"])


def test_a_teller_that_fails_spoils_nothing(emulator, workflow, folder, monkeypatch, logs):
    def fail(*_, **__):
        raise ValueError("nobody listens")

    monkeypatch.setattr(sdk, "get_hook_lineage_collector", fail, raising=False)
    task = Task(
        lambda: SixtyfourToObjectStorageOperator(
            task_id="t",
            job_id=emulator.completed_run(workflow),
            destination=f"file://{folder}",
            outlets=[Asset(uri="s3://bucket/x")],
        )
    )

    assert task.run()
    assert "No hook lineage: ValueError: nobody listens" in logs
    assert "gets no extra: KeyError" in logs
