"""The manifest is written last and lists the files; existing files are skipped; counts are compared with the API's."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.formats.table import FORMATS
from airflow_provider_sixtyfour.results.manifest import MANIFEST, Manifest, read_manifest
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.unit.api.servers import Reply, Server
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.fixture
def workflow(emulator):
    """Two blocks that make files: 2 and 3."""
    return emulator.store_workflow("lead_enrichment", "find_email")


@pytest.fixture
def made(emulator, workflow):
    return emulator.completed_run(workflow, result_formats="ndjson")


@pytest.fixture
def land(folder):
    def transfer(job_id, **arguments):
        given = {"destination": f"file://{folder}", **arguments}
        return Task(lambda: SixtyfourToObjectStorageOperator(task_id="land", job_id=job_id, **given)).run()

    return transfer


def manifest_at(folder):
    return json.loads((folder / MANIFEST).read_text())


def columns_of(file):
    """Count the columns of a file that has landed."""
    return FORMATS["csv"].quality([Path(file["path"].removeprefix("file://")).read_bytes()])


def results(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)


def test_the_content_of_the_manifest(workflow, made, land, folder):
    landed = land(made, files="all")

    manifest = manifest_at(folder)
    created_at = datetime.fromisoformat(manifest.pop("created_at"))
    assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=1)
    assert manifest == {
        "version": 1,
        "job_id": made,
        "workflow_id": workflow,
        "format": "csv",
        "selection": "all",
        "rows": 4,
        "bytes": sum(file["bytes"] for file in landed),
        "files": [{**file, "format": "csv", "quality": columns_of(file)} for file in landed],
        "quality": {
            name: {
                "filled": sum(columns_of(file)[name]["filled"] for file in landed if name in columns_of(file)),
                "empty": sum(columns_of(file)[name]["empty"] for file in landed if name in columns_of(file)),
                **({"values": columns_of(landed[1])[name]["values"]} if name == "email_status" else {}),
            }
            for name in {**columns_of(landed[0]), **columns_of(landed[1])}
        },
    }


def test_read_back_it_is_the_same(made, land, folder):
    landed = land(made, files=[3, 2, 2])

    found = read_manifest(ObjectStoragePath(f"file://{folder}"))

    assert (found.job_id, found.selection, found.as_dicts()) == (made, (2, 3), landed)
    assert Manifest.read(found.text()) == found


def test_the_quality_of_one_file_is_that_of_the_whole_and_read_back(made, land, folder):
    [file] = land(made)

    manifest = manifest_at(folder)
    assert manifest["quality"] == columns_of(file)
    assert "quality" not in manifest["files"][0]
    assert "quality" not in file
    found = read_manifest(ObjectStoragePath(f"file://{folder}"))
    assert found.quality == found.files[0].quality == columns_of(file)
    assert Manifest.read(found.text()) == found


def test_a_manifest_of_an_earlier_version_has_no_quality_and_counts(emulator, made, land, folder):
    first = land(made)
    manifest = manifest_at(folder)
    del manifest["quality"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    emulator.clear()

    assert land(made, overwrite=False) == first
    assert emulator.requests() == emulator.storage_requests() == []
    assert read_manifest(ObjectStoragePath(f"file://{folder}")).quality == {}
    assert "quality" not in read_manifest(ObjectStoragePath(f"file://{folder}")).text()


@pytest.mark.parametrize(
    "hostile", [3, "x", [], {"\ud83d": {"filled": 1, "empty": 0}}, {"a": {"filled": -1}}, {"a": None}]
)
def test_a_hostile_quality_is_read_as_far_as_it_is_right(emulator, made, land, folder, hostile):
    land(made, files="all")
    manifest = manifest_at(folder)
    manifest["files"][0]["quality"] = manifest["quality"] = hostile
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (folder / manifest["files"][1]["path"].rpartition("/")[2]).unlink()
    emulator.clear()

    landed = land(made, files="all", overwrite=False)

    assert len(emulator.storage_requests()) == 1
    names = {"\ufffd"} if isinstance(hostile, dict) and "\ud83d" in hostile else set()
    assert set(manifest_at(folder)["quality"]) == names | set(columns_of(landed[1]))


def test_a_file_that_is_there_keeps_its_numbers(emulator, made, land, folder):
    land(made, files="all")
    manifest = manifest_at(folder)
    manifest["files"][0]["quality"] = {"kept": {"filled": 7, "empty": 1, "distinct": 3}}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (folder / manifest["files"][1]["path"].rpartition("/")[2]).unlink()

    land(made, files="all", overwrite=False)

    assert manifest_at(folder)["files"][0]["quality"] == manifest["files"][0]["quality"]
    assert manifest_at(folder)["files"][1]["quality"] == manifest["files"][1]["quality"]
    assert manifest_at(folder)["quality"]["kept"] == {"filled": 7, "empty": 1}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"version": 2}', '{"version": 1, "files": 3}', "null", "[" * 100_000]
)
def test_what_is_no_manifest_counts_for_nothing(made, land, folder, text):
    folder.mkdir()
    (folder / MANIFEST).write_text(text)

    land(made, overwrite=False)

    assert manifest_at(folder)["job_id"] == made


def test_it_is_written_last(emulator, made, land, folder):
    emulator.fault("reset", where="storage", skip=1, times=100)

    with pytest.raises(SixtyfourTransferError):
        land(made, files="all", max_parallel_files=1)

    assert len(results(folder)) == 1
    assert not (folder / MANIFEST).exists()


def test_another_runs_manifest_is_removed_before_its_files_are_replaced(emulator, workflow, made, land, folder):
    land(made, files="all")
    other = emulator.completed_run(workflow)
    emulator.fault("reset", where="storage", skip=1, times=100)

    with pytest.raises(SixtyfourTransferError):
        land(other, files="all", max_parallel_files=1)

    assert not (folder / MANIFEST).exists()


def test_its_own_manifest_stays_while_a_run_is_landed_again(emulator, made, land, folder):
    land(made)
    emulator.fault("reset", where="storage", times=100)

    with pytest.raises(SixtyfourTransferError):
        land(made)

    assert manifest_at(folder)["job_id"] == made


def test_by_name_or_not_at_all(made, land, folder):
    land(made, manifest="_{{ 'csv' }}.json")
    assert (folder / "_csv.json").exists()
    assert not (folder / MANIFEST).exists()

    land(made, manifest=None)
    assert not (folder / MANIFEST).exists()


# overwrite=False


def test_a_landing_that_is_done_asks_for_nothing(emulator, made, land, logs):
    first = land(made, files="all")
    emulator.clear()

    assert land(made, files="all", overwrite=False) == first
    assert emulator.requests() == emulator.storage_requests() == []
    assert any(
        text.startswith("Nothing to land: all files are there already") and text.endswith(f"Run {made}.")
        for text in logs.texts()
    )


def test_with_overwrite_all_is_written_again(emulator, made, land):
    land(made, files="all")
    emulator.clear()

    land(made, files="all", overwrite=True)

    assert len(emulator.storage_requests()) == 2


@pytest.mark.parametrize(
    "harm", [lambda path: path.unlink(), lambda path: path.write_text("torn")], ids=["removed", "torn"]
)
def test_only_what_is_not_there_whole_is_fetched(emulator, made, land, folder, harm, logs):
    first = land(made, files="all")
    harm(folder / results(folder)[0])
    emulator.clear()

    assert land(made, files="all", overwrite=False) == first
    assert len(emulator.storage_requests()) == 1
    assert "is there already, by the manifest" in logs


def test_another_run_or_format_or_more_files_are_no_reason_to_skip(emulator, workflow, made, land):
    land(made)
    emulator.clear()

    land(made, overwrite=False, files="all")
    assert len(emulator.storage_requests()) == 1
    land(made, overwrite=False, format="ndjson")
    assert len(emulator.storage_requests()) == 2
    land(emulator.completed_run(workflow), overwrite=False)
    assert len(emulator.storage_requests()) == 3


# Several at a time, and the counts of the API


def test_several_files_at_a_time(emulator, workflow, land):
    together = threading.Barrier(3)

    def answer(request):
        together.wait(30)  # a request that comes alone times out, and gets no answer
        return Reply(200, f"n\n{request.path[1:]}\n".encode())

    with Server(answer) as server:
        files = [{"filename": f"{number}.csv", "download_url": f"{server.url}/{number}"} for number in range(9)]
        emulator.plan(results=[{**file, "omit": ["file_size"], "rows": [{"n": 1}]} for file in files])
        landed = land(emulator.completed_run(workflow), files="all", max_parallel_files=3)

    assert [Path(file["path"]).name for file in landed] == [f"{number}.csv" for number in range(9)]
    assert [Path(file["path"].removeprefix("file://")).read_text() for file in landed] == [
        f"n\n{number}\n" for number in range(9)
    ]


def test_all_stop_when_one_fails(emulator, workflow, land, folder):
    emulator.plan(results=[{"filename": f"{number}.csv", "rows": [{"n": number}]} for number in range(9)])
    job_id = emulator.completed_run(workflow)
    emulator.fault("reset", where="storage", times=1000)

    with pytest.raises(SixtyfourTransferError, match="could not be fetched"):
        land(job_id, files="all", max_parallel_files=2)

    assert len(emulator.storage_requests()) < 5 * 6
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("claim", "message"), [({"row_count": 99}, "2 rows; the API said 99"), ({"file_size": 7}, "7")]
)
def test_a_difference_is_logged_or_with_strict_an_error(emulator, workflow, land, folder, logs, claim, message):
    emulator.plan(results=[{"filename": "out.csv", **claim}])
    job_id = emulator.completed_run(workflow)

    with pytest.raises(SixtyfourTransferError, match=message):
        land(job_id, on_mismatch="fail")
    assert list(folder.iterdir()) == []

    assert land(job_id)[0]["rows"] == 2
    assert message in logs


def test_strict_is_content_with_what_is_right_or_unknown(emulator, workflow, land):
    land(emulator.completed_run(workflow), on_mismatch="fail")
    emulator.plan(results=[{"filename": "out.csv", "omit": ["row_count", "file_size"]}])
    land(emulator.completed_run(workflow), on_mismatch="fail")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_mismatch": "maybe"}, "on_mismatch should be one of warn, fail, not 'maybe'"),
        ({"on_mismatch": None}, "on_mismatch should be one of"),
        ({"max_parallel_files": 0}, "max_parallel_files should be 1 or more, not 0"),
        ({"max_parallel_files": "many"}, "max_parallel_files should be 1 or more"),
        ({"manifest": "a/b"}, "manifest should be a file's name, not 'a/b'"),
        ({"manifest": ""}, "manifest should be a file's name"),
    ],
    ids=str,
)
def test_invalid_parameters_send_no_request(emulator, land, arguments, message):
    with pytest.raises(AirflowFailException, match=message):
        land("j", **arguments)

    assert emulator.requests() == []


def test_parquet_without_pyarrow_names_what_to_install(emulator, land, monkeypatch):
    monkeypatch.setattr("airflow_provider_sixtyfour.formats.parquet.schema.find_spec", lambda name: None)

    with pytest.raises(AirflowFailException, match=r"pip install 'airflow-provider-sixtyfour\[parquet\]'"):
        land("j", output_format="parquet")

    assert emulator.requests() == []
