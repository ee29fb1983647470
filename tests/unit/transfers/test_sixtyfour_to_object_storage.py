"""Result files land whole or not at all, inside the destination whatever they are called, and show no credential."""

import csv
import hashlib
import json
import logging
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.results.landing import land as land_run
from airflow_provider_sixtyfour.results.manifest import MANIFEST
from airflow_provider_sixtyfour.results.options import LandingOptions
from airflow_provider_sixtyfour.runs.status import RunOutcome
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.unit.conftest import ROWS
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def workflow(emulator):
    """Two blocks that make files: 2 and 3."""
    return emulator.store_workflow("lead_enrichment", "find_email")


@pytest.fixture
def land(folder):
    """Land the files of a run; return what the task returned."""

    def transfer(job_id, **arguments):
        given = {"destination": f"file://{folder}", **arguments}
        return Task(lambda: SixtyfourToObjectStorageOperator(task_id="land", job_id=job_id, **given)).run()

    return transfer


def everything_below(path):
    """Return all files but for the manifest, which has tests of its own."""
    found = sorted(str(found.relative_to(path)) for found in path.rglob("*") if not found.is_dir())
    return [name for name in found if Path(name).name != MANIFEST]


def rows_of(path, format="csv"):
    text = Path(path.removeprefix("file://")).read_text()
    if format == "csv":
        return list(csv.DictReader(text.splitlines()))
    return json.loads(text) if format == "json" else [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def made(emulator, workflow):
    """A completed run with files in all formats."""
    return emulator.completed_run(workflow, result_formats="ndjson", save_json="true")


@pytest.mark.parametrize("format", ["csv", "json", "ndjson"])
def test_the_final_file_lands_and_is_described(emulator, made, land, folder, format):
    [landed] = land(made, format=format)

    content = Path(landed["path"].removeprefix("file://")).read_bytes()
    assert landed == {
        "path": f"file://{folder}/find_email_3_{made[:8]}.{format}",
        "rows": 2,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "block_number": 3,
        "filename": f"find_email_3_{made[:8]}.{format}",
    }
    assert [row["name"] for row in rows_of(landed["path"], format)] == ["Lead One", "Lead Two"]
    assert all(row["email"] for row in rows_of(landed["path"], format))
    assert everything_below(folder) == [f"find_email_3_{made[:8]}.{format}"]


@pytest.mark.parametrize(
    ("files", "blocks"),
    [("final", [3]), ("all", [2, 3]), (2, [2]), ("2", [2]), ([2, 3], [2, 3]), (("3",), [3]), ([3, 3], [3])],
)
def test_which_files_land(emulator, made, land, folder, files, blocks):
    landed = land(made, files=files)

    assert [file["block_number"] for file in landed] == blocks
    assert len(everything_below(folder)) == len(blocks)


@pytest.fixture
def delivered(emulator):
    """A completed run whose last block, 3, hands the rows on: its file has a column more."""
    steps = {"webhook": {}, "company_enrichment": {}, "outgoing_webhook": {"url": "http://127.0.0.1:9/x"}}
    blocks = [
        {"block_id": name, "sequence_number": number, "block_type": name, "block_name": name, "specs": specs}
        for number, (name, specs) in enumerate(steps.items(), start=1)
    ]
    edges = [{"from_block_id": a, "to_block_id": b} for a, b in pairwise(steps)]
    graph = {"blocks": blocks, "edges": edges}
    body = {"workflow_name": "n", "workflow_description": "d", "workflow_definition": graph}
    return emulator.completed_run(emulator.api("POST", "/workflows/create_workflow", body)["id"])


def test_final_is_the_file_before_a_block_that_only_hands_rows_on(delivered, land):
    [landed] = land(delivered)

    assert landed["block_number"] == 2
    assert "webhook_status" not in rows_of(landed["path"])[0]
    assert [file["block_number"] for file in land(delivered, files="all")] == [2, 3]


@pytest.mark.parametrize(("names", "block"), [(True, 2), (False, 3)], ids=["with names", "without names"])
def test_where_a_list_of_runs_showed_the_end_the_names_of_the_blocks_are_requested(
    emulator, delivered, folder, names, block
):
    """Else it would depend on how the end was seen which file is final."""
    if not names:
        emulator.fault("answer", path=f"/workflows/runs/{delivered}/live_status", status=404, body={"detail": "no"})
    ended = RunOutcome(delivered, "completed")

    landed = land_run(
        SixtyfourHook(),
        delivered,
        ObjectStoragePath(f"file://{folder}"),
        LandingOptions(),
        log=logging.getLogger(),
        ended=ended,
    )

    assert [file.block_number for file in landed.files] == [block]
    assert len(emulator.status_checks()) == 1


def test_with_one_file_nobody_needs_the_names(emulator, folder):
    job_id = emulator.completed_run(emulator.store_workflow())
    ended = RunOutcome(job_id, "completed")

    land_run(
        SixtyfourHook(),
        job_id,
        ObjectStoragePath(f"file://{folder}"),
        LandingOptions(),
        log=logging.getLogger(),
        ended=ended,
    )

    assert emulator.status_checks() == []


@pytest.mark.parametrize("files", ["last", "", None, [], [None], [True], ["a"], {}, 1.5j], ids=str)
def test_files_that_cannot_be_meant_fail_for_good_and_ask_nothing(emulator, land, files, folder):
    with pytest.raises(AirflowFailException, match="files should be 'final', 'all' or block numbers"):
        land("j", files=files)

    assert emulator.requests() == []
    assert not folder.exists()


def test_a_block_that_made_no_file_is_named(emulator, made, land, folder):
    with pytest.raises(AirflowFailException, match=r"no result file of block 7; there are files of blocks \[2, 3\]"):
        land(made, files=7)

    assert not folder.exists()


def test_a_format_that_the_run_was_not_started_with_is_a_hint(emulator, workflow, land):
    job_id = emulator.completed_run(workflow)

    with pytest.raises(SixtyfourTransferError, match=re.escape("Start the run with result_formats=('csv', 'ndjson')")):
        land(job_id, format="ndjson")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "xlsx"}, "format should be one of csv, json, ndjson, not 'xlsx'"),
        ({"format": None}, "format should be one of"),
        ({"destination": "/data/out"}, "destination should be a URL with a scheme"),
        ({"destination": "data"}, "destination should be a URL with a scheme"),
        ({"destination": ""}, "destination should be a URL with a scheme"),
        ({"destination": None}, "destination should be a URL with a scheme"),
        ({"destination": "nosuch://bucket/x"}, "destination 'nosuch://bucket/x' can't be reached"),
        ({"destination": "ftp://127.0.0.1/x"}, "Is the extra for its store installed (s3, gcs, azure)?"),
        ({"job_id": "None"}, "job_id should be an id"),
        ({"job_id": None}, "job_id should be an id"),
    ],
    ids=str,
)
def test_invalid_parameters_fail_for_good_without_a_request(emulator, folder, arguments, message):
    given = {"job_id": "j", "destination": f"file://{folder}", **arguments}

    with pytest.raises(AirflowFailException, match=re.escape(message)):
        Task(lambda: SixtyfourToObjectStorageOperator(task_id="land", **given)).run()

    assert emulator.requests() == []


def test_its_templates(emulator, made, folder, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", emulator.connection_json())
    one = Task(
        lambda: SixtyfourToObjectStorageOperator(
            task_id="land",
            job_id="{{ params.run }}",
            destination="file://{{ params.folder }}/{{ run_id }}/",
            format="{{ 'json' }}",
            files="{{ 2 }}",
            sixtyfour_conn_id="{{ 'other' }}",
        ),
        params={"run": made, "folder": str(folder)},
    )

    [landed] = one.run()

    assert landed["path"].startswith(f"file://{folder}/scheduled__2026-11-01/lead_enrichment_2_")
    assert rows_of(landed["path"], "json")


def test_a_path_object_as_destination(emulator, made, land, folder):
    [landed] = land(made, destination=ObjectStoragePath(f"file://{folder}"))

    assert rows_of(landed["path"])


def test_a_file_that_is_there_is_replaced_in_one_step(emulator, made, land, folder):
    [first] = land(made)
    Path(first["path"].removeprefix("file://")).write_text("old")

    assert land(made) == [first]
    assert len(everything_below(folder)) == 1


def test_a_store_that_is_no_disk(emulator, made, land, memory_store):
    [landed] = land(made, destination="memory://bucket/run")

    content = memory_store.cat("/bucket/run/" + landed["filename"])
    assert hashlib.sha256(content).hexdigest() == landed["sha256"]


# Names


HOSTILE = [
    "../../x",
    "/etc/passwd",
    "a/b",
    "..",
    ".",
    "",
    "a\\b\\c",
    "x\0y.csv",
    "n" * 300,
    "é" * 300,
    "Zoë 東京.csv",
    "same.csv",
    "same.csv",
    "SAME.CSV",
    ".hidden.csv",
    "line\nbreak.csv",
    "%2e%2e%2fx.csv",
    "what?.csv",
    "a*b|c<d>.csv",
    "CON:stream",
    "~root",
    "x.csv.exe",
    "\u202egnp.csv",
    " . . ",
    "s3://bucket/x.csv",
    "a::b",
    "-rf",
    "$(x).csv",
]


def test_hostile_names_all_land_inside_the_destination_and_nowhere_else(emulator, workflow, land, folder, tmp_path):
    emulator.plan(results=[{"filename": name, "rows": [{"name": name}]} for name in HOSTILE])
    job_id = emulator.completed_run(workflow)

    landed = land(job_id, files="all")

    assert [file["filename"] for file in landed] == [Cleaner().value(name, blank="_") for name in HOSTILE]
    names = [Path(file["path"].removeprefix("file://")) for file in landed]
    assert {name.parent for name in names} == {folder}
    assert len({str(name).casefold() for name in names}) == len(HOSTILE)
    assert everything_below(tmp_path) == sorted(f"landed/{name.name}" for name in names)
    for name in names:
        assert name.suffix == ".csv"
        assert len(name.name.encode()) <= 255
        assert not name.name.startswith((".", "_"))
        assert all(char.isprintable() for char in name.name)
    assert [len(rows_of(file["path"])) for file in landed] == [1] * len(HOSTILE)


def test_names_are_the_same_each_time(emulator, workflow, land):
    emulator.plan(results=[{"filename": name} for name in ("same.csv", "SAME.csv", "")])
    job_id = emulator.completed_run(workflow)

    assert land(job_id, files="all") == land(job_id, files="all")


def test_two_blocks_files_of_one_name_both_land(emulator, workflow, land, folder):
    emulator.plan(results=[{"filename": "out.csv", "block_number": 2}, {"filename": "out.csv", "block_number": 3}])
    job_id = emulator.completed_run(workflow)

    land(job_id, files="all")

    assert everything_below(folder) == ["out-block-3.csv", "out.csv"]


# Results that come without a link


TYPED = [{"n": 1, "text": 'a "quoted", text\nof lines', "none": None, "deep": {"x": [1]}}, {"n": 2.5, "more": "é"}]


@pytest.mark.parametrize("format", ["csv", "json", "ndjson"])
def test_rows_that_come_inline_land_as_a_file(emulator, workflow, land, folder, format):
    emulator.plan(results=[{"filename": "out", "download_url": None, "rows": TYPED}])
    job_id = emulator.completed_run(workflow, result_formats="ndjson", save_json="true")

    [landed] = land(job_id, format=format)

    assert landed["rows"] == 2
    text = (folder / f"out.{format}").read_bytes().decode()
    if format == "csv":
        found = list(csv.DictReader(text.splitlines(keepends=True)))
        assert [row["n"] for row in found] == ["1", "2.5"]
        assert (found[0]["text"], found[1]["more"], found[0]["none"]) == (TYPED[0]["text"], "é", "")
        assert json.loads(found[0]["deep"]) == {"x": [1]}
    else:
        found = json.loads(text) if format == "json" else [json.loads(line) for line in text.splitlines()]
        assert found == TYPED
    assert emulator.storage_requests() == []


def test_no_link_and_no_rows_is_an_error_with_the_answer_of_the_api(emulator, workflow, land, folder):
    emulator.plan(results=[{"filename": "out.csv", "download_url": None, "omit": ["results"]}])
    job_id = emulator.completed_run(workflow)

    with pytest.raises(SixtyfourTransferError, match=r"Result file 'out\.csv' could not be fetched: .*gives no link"):
        land(job_id)

    assert everything_below(folder) == []


# Failed downloads


def test_a_download_that_breaks_goes_on_where_it_stopped(emulator, workflow, land):
    emulator.plan(synthetic_bytes=8_000_000)
    job_id = emulator.completed_run(workflow)
    emulator.fault("cut", where="storage", cut_after=2_500_000, times=2)

    [landed] = land(job_id)

    ranges = [sent["headers"].get("range") for sent in emulator.storage_requests()]
    assert (len(ranges), ranges[0]) == (3, None)
    assert all(re.fullmatch(r"bytes=[1-9]\d+-", given) for given in ranges[1:])
    content = Path(landed["path"].removeprefix("file://")).read_bytes()
    assert landed["bytes"] == len(content) > 7_900_000
    assert len(set(ranges)) == 3
    assert hashlib.sha256(content).hexdigest() == landed["sha256"]


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "answer", "status": 403, "body": "expired"},
        {"action": "answer", "status": 503},
        {"action": "answer", "status": 302, "headers": {"location": "http://127.0.0.1:1/"}},
        {"action": "reset"},
        {"action": "cut", "cut_after": 10},
    ],
    ids=str,
)
def test_a_download_that_never_works_leaves_nothing_at_the_destination(emulator, made, land, folder, fault):
    emulator.fault(where="storage", times=100, **fault)

    with pytest.raises(SixtyfourTransferError, match="Nothing was left at the destination"):
        land(made)

    assert everything_below(folder) == []


def test_a_failure_of_the_second_file_keeps_the_first_and_no_part_of_the_second(emulator, made, land, folder):
    emulator.fault("reset", where="storage", skip=1, times=100)

    with pytest.raises(SixtyfourTransferError):
        land(made, files="all", max_parallel_files=1)

    [name] = everything_below(folder)
    assert name.startswith("lead_enrichment_2_")


def test_a_store_that_fails_has_nothing_afterwards(emulator, made, land, memory_store, monkeypatch):
    def fail(*_, **__):
        raise OSError("no space")

    monkeypatch.setattr(type(memory_store), "put_file", fail)
    with pytest.raises(SixtyfourTransferError, match=r"could not write memory:///bucket/full/.*OSError: no space"):
        land(made, destination="memory://bucket/full")

    assert memory_store.find("/bucket") == []


def test_an_expired_url_is_refreshed(emulator, made, land):
    emulator.fault("answer", where="storage", status=403, body="expired")

    assert land(made)[0]["rows"] == 2
    assert len([asked for asked in emulator.requests() if asked["path"].endswith("/download-links")]) == 2


def test_a_count_that_differs_from_the_api_is_logged(emulator, workflow, land, logs):
    emulator.plan(results=[{"filename": "out.csv", "row_count": 99}])
    job_id = emulator.completed_run(workflow)

    assert land(job_id)[0]["rows"] == 2
    assert "out.csv has 2 rows; the API said 99." in logs


def test_an_unknown_run_fails_for_good(emulator, land, folder):
    with pytest.raises(AirflowFailException, match=r"answered 404: .* While .* run 00000000-"):
        land("00000000-0000-4000-8000-000000000000")

    assert not folder.exists()


def test_a_run_that_is_still_running_is_not_landed_in_part(emulator, workflow, land, folder):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)

    with pytest.raises(SixtyfourTransferError, match=rf"^The run is still in progress: [Rr]unning .* Run {job_id}"):
        land(job_id, files="all")

    assert not folder.exists()


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_a_run_that_ended_badly_has_left_can_be_landed(emulator, workflow, land, status, logs):
    emulator.plan(seconds=0, status=status, fail_block=3)
    job_id = emulator.start_run(workflow)

    assert land(job_id)[0]["block_number"] == 2
    assert any(text.endswith(f"Landing the files that it has. Run {job_id}.") for text in logs.texts("warning"))


# The credential


def test_a_storage_host_of_its_own_never_sees_the_credential(emulator, made, land):
    land(made, files="all")

    assert emulator.storage_url != emulator.url
    sent = emulator.storage_requests()
    assert len(sent) == 2
    for request in sent:
        assert emulator.api_key not in json.dumps(request)
        assert not {"x-api-key", "authorization", "cookie"} & set(request["headers"])


def test_a_redirect_of_the_storage_is_followed_without_the_credential(emulator, workflow, land, page_server):
    elsewhere = page_server(200, b"name\nAda\n")
    emulator.plan(results=[{"filename": "out.csv", "omit": ["file_size", "row_count"]}])
    job_id = emulator.completed_run(workflow)
    emulator.fault("answer", where="storage", status=302, headers={"location": elsewhere})

    [landed] = land(job_id)

    assert rows_of(landed["path"]) == [{"name": "Ada"}]
    assert len(emulator.storage_requests()) == 1


# Size


def test_memory_does_not_grow_with_the_file(emulator, workflow, folder):
    emulator.plan(synthetic_bytes=120_000_000)
    job_id = emulator.completed_run(workflow)

    used = peak_megabytes(
        f"""
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator as Land
[landed] = Land(task_id="land", job_id={job_id!r}, destination="file://{folder}").execute({{}})
assert landed["bytes"] > 119_000_000, landed
""",
        warm_up=f"""
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.api import calls
SixtyfourHook().client.send(calls.live_status({job_id!r}))
import airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage
from airflow.providers.common.compat.sdk import ObjectStoragePath
ObjectStoragePath("file:///tmp").exists()
""",
    )

    assert used < 60


def peak_megabytes(work, warm_up):
    """Return by how much the peak memory of a fresh process grows during ``work``."""
    code = (
        f"import resource\n{warm_up}\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"{work}\n"
        "print('grown', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    kilobytes = int(re.search(r"grown (\d+)", done.stdout)[1])
    return kilobytes / 1024 / (1024 if sys.platform == "darwin" else 1)


def test_rows_of_the_conftest_are_what_lands(emulator, made, land):
    assert [row["company_name"] for row in rows_of(land(made)[0]["path"])] == [row["company_name"] for row in ROWS]
