"""A run's files land in each store whole or not at all: cut, expired, killed, and without a secret left anywhere."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import redact

from airflow_provider_sixtyfour.emulator.engine import synthetic_file
from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.results.manifest import MANIFEST
from airflow_provider_sixtyfour.storage.multipart import PART
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.stores.conftest import Place
from tests.stores.host import Host
from tests.unit.conftest import Emulator, Logs
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")
ROOT = Path(__file__).resolve().parents[2]
SIZE = 3 * PART + 54_321
KILL_LIMIT = 120.0  # seconds


@pytest.fixture
def workflow(emulator: Emulator) -> str:
    return emulator.store_workflow("lead_enrichment", "find_email")


@pytest.fixture
def run(emulator: Emulator, workflow: str) -> str:
    """A run whose one file has several parts."""
    emulator.plan(synthetic_bytes=SIZE)
    return emulator.completed_run(workflow)


def land(job_id: str, place: Place, **more: Any) -> list[dict[str, Any]]:
    landed: list[dict[str, Any]] = Task(
        lambda: SixtyfourToObjectStorageOperator(task_id="land", job_id=job_id, destination=place.url, **more)
    ).run()
    return landed


def the_file() -> bytes:
    return b"".join(synthetic_file.content(SIZE))


def check_whole(place: Place, landed: dict[str, Any], content: bytes) -> None:
    name = landed["path"].rpartition("/")[2]
    assert place.names() == sorted([MANIFEST, name])
    assert place.read(name) == content
    assert landed["sha256"] == hashlib.sha256(content).hexdigest()
    assert landed["bytes"] == len(content)
    assert place.unfinished() == 0


def test_a_file_and_its_manifest(emulator: Emulator, run: str, place: Place) -> None:
    [landed] = land(run, place)

    check_whole(place, landed, the_file())
    assert landed["rows"] == synthetic_file.row_count(SIZE)
    manifest = json.loads(place.read(MANIFEST))
    assert (manifest["job_id"], manifest["format"], manifest["files"]) == (run, "csv", [{**landed, "format": "csv"}])


def test_cut_three_times_it_goes_on_by_range(emulator: Emulator, run: str, place: Place) -> None:
    for after in (PART + 1000, PART // 2, 1_000_000):
        emulator.fault("cut", where="storage", cut_after=after)

    [landed] = land(run, place)

    check_whole(place, landed, the_file())
    first, *others = emulator.storage_requests()
    assert "range" not in first["headers"]
    assert [request["status"] for request in others] == [206] * 3


def test_always_cut_it_is_an_error_and_nothing_is_left(emulator: Emulator, run: str, place: Place) -> None:
    emulator.fault("cut", where="storage", cut_after=PART * 2)
    emulator.fault("cut", where="storage", cut_after=10, times=100)

    with pytest.raises(SixtyfourTransferError, match=r"Got \d+ of \d+ bytes"):
        land(run, place)

    assert place.names() == []
    assert place.unfinished() == 0


@pytest.mark.parametrize(
    "faults",
    [
        [{"action": "answer", "status": 403, "body": "expired"}],
        [{"action": "cut", "cut_after": PART * 2}, {"action": "answer", "status": 403, "body": "expired"}],
    ],
    ids=["at the start", "in the middle"],
)
def test_a_url_that_expires_is_refreshed(
    emulator: Emulator, run: str, place: Place, faults: list[dict[str, Any]]
) -> None:
    for fault in faults:
        emulator.fault(where="storage", **fault)

    [landed] = land(run, place)

    check_whole(place, landed, the_file())
    assert len([asked for asked in emulator.requests() if asked["path"].endswith("/download-links")]) == 2


def test_links_that_are_always_expired_are_an_error(emulator: Emulator, run: str, place: Place) -> None:
    emulator.fault("answer", where="storage", status=403, body="expired", times=100)

    with pytest.raises(SixtyfourTransferError, match="answered 403, as for an expired link"):
        land(run, place)

    assert place.names() == []
    assert place.unfinished() == 0


def planned(emulator: Emulator, workflow: str, host: Host, content: bytes) -> str:
    """Return a run whose file is at another host."""
    file = {"filename": "out.csv", "download_url": host.url, "file_size": len(content), "row_count": 2}
    emulator.plan(results=[{**file, "rows": [{"name": "x"}], "block_number": 3}])
    return emulator.completed_run(workflow)


def test_without_ranges_the_parts_are_started_again(emulator: Emulator, workflow: str, place: Place) -> None:
    content = the_file()
    with Host(content, cut_after=(PART * 2, PART * 3), ranges=False) as host:
        [landed] = land(planned(emulator, workflow, host, content), place)

    assert host.asked == [None, None, None]
    check_whole(place, landed, content)


def test_killed_in_the_middle_nothing_shows_and_the_next_try_ends_well(
    emulator: Emulator, workflow: str, place: Place
) -> None:
    content = the_file()
    with Host(content, hold_after=PART * 2 + 100_000) as host:
        job_id = planned(emulator, workflow, host, content)
        task = subprocess.Popen(
            [
                *(sys.executable, "-c"),
                "from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import *\n"
                f"SixtyfourToObjectStorageOperator(task_id='t', job_id={job_id!r}, destination={place.url!r})"
                ".execute({})",
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert host.held.wait(KILL_LIMIT), "the download didn't begin"
            until(lambda: place.server.name in ("azure", "gcs") or place.unfinished() == 1)
            time.sleep(1.0)  # so that what was received is sent, as far as it goes
            assert task.poll() is None
            assert place.names() == [] or place.server.name == "disk"
        finally:
            task.send_signal(signal.SIGKILL)
            task.wait()
        if place.server.name in ("s3", "disk"):
            assert place.unfinished() == 1
        assert [name for name in place.names() if not name.startswith(".")] == []
        host.release()

        [landed] = land(job_id, place)

    check_whole(place, landed, content)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_hostile_names_land_inside_and_none_replaces_another(emulator: Emulator, workflow: str, place: Place) -> None:
    names = ["../../x", "a/b", "..", "x\0y.csv", "n" * 300, "Zoë 東京.csv", "same.csv", "same.csv", "SAME.CSV", "a::b"]
    emulator.plan(results=[{"filename": name, "rows": [{"name": name}]} for name in names])

    landed = land(emulator.completed_run(workflow), place, files="all")

    there = [file["path"].rpartition("/")[2] for file in landed]
    assert place.names() == sorted([MANIFEST, *there])
    assert len({name.casefold() for name in there}) == len(names)
    for name, original in zip(there, names, strict=True):
        [row] = csv.DictReader(io.StringIO(place.read(name).decode(), newline=""))
        assert row["name"] == original


def test_done_already_it_asks_for_nothing_and_writes_nothing(emulator: Emulator, run: str, place: Place) -> None:
    first = land(run, place)
    emulator.clear()

    assert land(run, place, overwrite=False) == first
    assert emulator.requests() == emulator.storage_requests() == []


def test_what_is_missing_or_torn_is_landed_again(emulator: Emulator, workflow: str, place: Place) -> None:
    job_id = emulator.completed_run(workflow)
    first = land(job_id, place, files="all")
    names = [file["path"].rpartition("/")[2] for file in first]
    place.fs.pipe_file((place.path / names[1]).path, b"torn")
    place.names()  # lists it again
    emulator.clear()

    assert land(job_id, place, files="all", overwrite=False) == first
    assert len(emulator.storage_requests()) == 1
    assert place.names() == sorted([MANIFEST, *names])


def test_no_signature_and_no_key_is_left_anywhere(
    emulator: Emulator, run: str, place: Place, logs: Logs, workflow: str
) -> None:
    """In the log, the XCom, the manifest, the object's name, and the exception of a transfer that fails."""
    landed = land(run, place)
    outputs = [json.dumps(landed), place.read(MANIFEST).decode(), *place.names()]
    emulator.fault("cut", where="storage", cut_after=PART * 2)
    emulator.fault("reset", where="storage", times=100)
    with pytest.raises(SixtyfourTransferError) as failure:
        land(run, place)
    outputs += ["".join(traceback.format_exception(failure.value)), repr(failure.value.args)]
    outputs += [line.text for line in logs.lines if "airflow_provider_sixtyfour" in line.logger]
    outputs += [str(redact(line.text)) for line in logs.lines]

    queries = {sent["query"] for sent in emulator.storage_requests()}
    assert all("X-Signature=" in query for query in queries)
    for sent in emulator.storage_requests():
        assert emulator.api_key not in json.dumps(sent)
    for text in outputs:
        assert "X-Signature" not in text
        for secret in (emulator.api_key, *queries, *place.server.secrets):
            assert secret not in text
