"""Results land as Parquet in each store; what becomes of a file is tested in ``tests/unit/formats/parquet``."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.results.manifest import MANIFEST
from airflow_provider_sixtyfour.storage.multipart import PART
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.stores.conftest import Place
from tests.unit.conftest import Emulator
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")


def land(job_id: str, place: Place, **more: Any) -> dict[str, Any]:
    arguments = {"destination": place.url, "output_format": "parquet", **more}
    landed: list[dict[str, Any]] = Task(
        lambda: SixtyfourToObjectStorageOperator(task_id="land", job_id=job_id, **arguments)
    ).run()
    return landed[0]


@pytest.fixture
def workflow(emulator: Emulator) -> str:
    return emulator.store_workflow("lead_enrichment", "find_email")


def test_a_large_one_goes_in_parts_and_a_cut_leaves_nothing(emulator: Emulator, workflow: str, place: Place) -> None:
    emulator.plan(synthetic_bytes=3 * PART)
    job_id = emulator.completed_run(workflow)
    emulator.fault("cut", where="storage", cut_after=PART)
    landed = land(job_id, place)
    table = pq.read_table(io.BytesIO(place.read(landed["path"].rpartition("/")[2])))
    assert table.num_rows == landed["rows"] == 3 * PART // 512 - 1

    emulator.fault("reset", where="storage", times=100)
    with pytest.raises(SixtyfourTransferError):
        land(job_id, place, destination=f"{place.url}/other")
    assert not [name for name in place.names() if name.startswith("other")]
    assert place.unfinished() == 0


def test_done_already_it_is_not_landed_again(emulator: Emulator, workflow: str, place: Place) -> None:
    job_id = emulator.completed_run(workflow)
    first = land(job_id, place)
    emulator.clear()

    assert land(job_id, place, overwrite=False) == first
    assert emulator.requests() == []


def test_what_cannot_be_parquet_lands_as_it_came(emulator: Emulator, workflow: str, place: Place) -> None:
    job_id = emulator.completed_run(workflow)
    first = land(job_id, place, parquet_schema={"name": "date32"})

    [name] = [name for name in place.names() if name != MANIFEST]
    assert name.endswith(".csv")
    assert place.read(name).startswith(b"name,")
    assert first["path"].endswith(f"/{name}")
    assert json.loads(place.read(MANIFEST))["files"][0]["format"] == "csv"
    emulator.clear()
    assert land(job_id, place, parquet_schema={"name": "date32"}, overwrite=False) == first
    assert emulator.requests() == []
    assert place.unfinished() == 0
