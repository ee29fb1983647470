"""Result files from a shell: landed as the operator lands them."""

import json
import uuid

import pytest


@pytest.mark.parametrize("is_url", [False, True])
def test_files_land_with_a_manifest(cli, emulator, workflow, folder, is_url):
    job_id = emulator.completed_run(workflow)

    done = cli("results", job_id, "--to", f"file://{folder}" if is_url else folder, "-o", "json")

    manifest = json.loads((folder / "_manifest.json").read_text())
    [file] = manifest["files"]
    assert done.code == 0
    assert done.json["files"][0]["path"] == file["path"]
    assert (done.json["rows"], manifest["job_id"]) == (2, job_id)
    assert sorted(path.name for path in folder.iterdir()) == sorted(["_manifest.json", file["path"].split("/")[-1]])


def test_all_files_in_another_format(cli, emulator, workflow, folder):
    job_id = emulator.completed_run(workflow, result_formats="ndjson")

    done = cli("results", job_id, "--to", folder, "--format", "ndjson", "--files", "all")

    assert done.code == 0
    assert {path.suffix for path in folder.iterdir()} == {".ndjson", ".json"}
    assert len(done.out.splitlines()) == len(list(folder.glob("*.ndjson"))) + 1


def test_nothing_lands_of_a_run_that_has_not_ended(cli, emulator, workflow, folder):
    emulator.plan(seconds=60)
    job_id = emulator.start_run(workflow)

    done = cli("results", job_id, "--to", folder)

    assert (done.code, done.out) == (4, "")
    assert not folder.exists()


def test_nothing_lands_of_a_run_that_is_not_known_or_a_place_that_is_none(cli, emulator, workflow, folder):
    assert cli("results", uuid.uuid4(), "--to", folder).code == 3
    assert cli("results", uuid.uuid4(), "--to", "nowhere://bucket/x").code == 3
    assert cli("results", uuid.uuid4(), "--to", folder, "--files", "some").code == 3
    assert not folder.exists()
