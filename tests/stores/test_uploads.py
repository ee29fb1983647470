"""An input file goes up from each store as it is there; one that is broken or missing doesn't."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator
from tests.stores.conftest import Place
from tests.unit.conftest import Emulator
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")
ROWS = 60_000
LINE = 120  # bytes


def upload(place: Place, name: str) -> str:
    handle: str = Task(
        lambda: ObjectStorageToSixtyfourOperator(task_id="upload", source=f"{place.url}/in/{name}")
    ).run()
    return handle


def put(place: Place, name: str, content: bytes) -> None:
    path = place.path / "in" / name
    place.fs.makedirs(path.parent.path, exist_ok=True)
    place.fs.pipe_file(path.path, content)


def test_a_file_is_checked_and_sent(emulator: Emulator, place: Place) -> None:
    """It is larger than what is asked of a store at a time, so that it is read in several pieces, twice."""
    rows = b"".join(f"{number},".encode().ljust(LINE - 1, b"x") + b"\n" for number in range(ROWS))
    put(place, "leads.csv", b"id,text\n" + rows)

    handle = upload(place, "leads.csv")

    [sent] = emulator.asked("POST", "/storage/csv/upload")
    assert int(sent["headers"]["content-length"]) > ROWS * LINE
    workflow = emulator.store_workflow(source="read_csv")
    override = {"specs_override": {"resource_handle_id": handle}}
    emulator.api("POST", f"/workflows/run?workflow_id={workflow}", override)
    assert emulator.runs()[-1]["rows"] == ROWS


def test_a_broken_line_is_named(emulator: Emulator, place: Place) -> None:
    put(place, "leads.ndjson", b'{"a": 1}\n' * 3 + b"{\n")

    with pytest.raises(AirflowFailException, match="Line 4: not JSON"):
        upload(place, "leads.ndjson")

    assert emulator.requests() == []


def test_neither_a_missing_file_nor_a_folder_is_sent(emulator: Emulator, place: Place) -> None:
    put(place, "leads.csv/inner.csv", b"a\n1\n")

    with pytest.raises(AirflowFailException, match=r"There is no file .*/missing\.csv"):
        upload(place, "missing.csv")
    with pytest.raises(AirflowFailException, match=r"leads\.csv is a folder, not a file"):
        upload(place, "leads.csv")

    assert emulator.requests() == []
