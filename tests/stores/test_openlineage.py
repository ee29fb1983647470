"""OpenLineage gets datasets by its own naming rules, with rows and bytes."""

from __future__ import annotations

import pytest

from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.stores.conftest import Place
from tests.stores.servers import BUCKET
from tests.unit.conftest import Emulator
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")
FOLDER = "ds=2026-01-01 é"  # is not to be encoded
NAMESPACES = {"disk": "file", "s3": f"s3://{BUCKET}", "azure": f"abfs://{BUCKET}", "gcs": f"gs://{BUCKET}"}


def test_a_landing_and_an_upload_of_what_was_landed(emulator: Emulator, place: Place) -> None:
    job_id = emulator.completed_run(emulator.store_workflow())
    landing = Task(
        lambda: SixtyfourToObjectStorageOperator(task_id="land", job_id=job_id, destination=f"{place.url}/{FOLDER}")
    ).operator()
    [landed] = landing.execute({})
    upload = Task(lambda: ObjectStorageToSixtyfourOperator(task_id="upload", source=landed["path"])).operator()
    handle = upload.execute({})

    openlineage = landing.get_openlineage_facets_on_complete(None)
    [source], [target] = openlineage.inputs, openlineage.outputs
    assert (source.namespace, source.name) == (emulator.url, f"workflows/runs/{job_id}")
    key = (place.path / FOLDER / landed["filename"]).path  # as the store has it
    assert (target.namespace, target.name) == (NAMESPACES[place.server.name], key.removeprefix(f"{BUCKET}/"))
    statistics = target.outputFacets["outputStatistics"]
    assert (statistics.rowCount, statistics.size) == (landed["rows"], landed["bytes"])

    openlineage = upload.get_openlineage_facets_on_complete(None)
    [again], [uploaded] = openlineage.inputs, openlineage.outputs
    assert (again.namespace, again.name) == (target.namespace, target.name)
    assert (uploaded.namespace, uploaded.name) == (emulator.url, f"storage/csv/{handle}")
