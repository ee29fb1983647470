from __future__ import annotations

import email.parser
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourRefusedError, SixtyfourUnavailableError
from tests.emulator_process import EmulatorProcess
from tests.unit.api.conftest import plain_settings
from tests.unit.api.servers import Reply, Request, Server

ROWS = 'name,note\r\nAda,"two\r\nlines"\r\nZoë,😀\r\n'.encode()
HANDLE = Reply(body=b'{"handle_id": "h"}')


@pytest.fixture
def client(key_settings: Settings) -> SixtyfourClient:
    return SixtyfourClient(key_settings, sleep=lambda _: None)


def parts(request: Request) -> list[Any]:
    """Read a request as multipart/form-data."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser().parsebytes(head + request.body)
    assert message.is_multipart()
    return list(message.get_payload())


def test_an_uploaded_file_is_the_input_of_a_run(
    client: SixtyfourClient, emulator: EmulatorProcess, new_runs: Callable[[], list[dict[str, Any]]], deploy: Any
):
    handle = client.send(calls.upload_file(io.BytesIO(ROWS), "leads.csv"))
    body = {"specs_override": {"resource_handle_id": handle}}
    client.send(calls.run_workflow(deploy("read_csv", "find_email"), body))
    assert [run["rows"] for run in new_runs()] == [2]
    upload = emulator.requests()[0]
    assert upload["headers"]["content-type"].startswith("multipart/form-data; boundary=")
    assert int(upload["headers"]["content-length"]) > len(ROWS)
    assert "transfer-encoding" not in upload["headers"]


def test_the_file_arrives_byte_for_byte_in_one_part():
    content = os.urandom(300_000) + b"\r\n--boundary--\r\n"
    with Server(lambda request: HANDLE) as server:
        client = SixtyfourClient(plain_settings(server.url, ApiKey("k")))
        assert client.send(calls.upload_file(io.BytesIO(content), "leads.csv")) == "h"
        [request] = server.requests
    assert int(request.headers["content-length"]) == len(request.body)
    [part] = parts(request)
    assert part.get_payload(decode=True) == content
    assert part.get_param("name", header="content-disposition") == "file"
    assert part.get_filename() == "leads.csv"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("leads.CSV", "text/csv"), ("leads.json", "application/json"), ("leads.ndjson", "application/octet-stream")],
)
def test_the_content_type_of_a_file(name: str, kind: str):
    with Server(lambda request: HANDLE) as server:
        SixtyfourClient(plain_settings(server.url, ApiKey("k"))).send(calls.upload_file(io.BytesIO(b"[]"), name))
        [request] = server.requests
    [part] = parts(request)
    assert part.get_content_type() == kind


@pytest.mark.parametrize(
    "name",
    [
        *('say "hi".csv', "a\r\nX-Evil: 1\r\n\r\n.csv", "Zoë 😀.csv", "a\\b.csv", "a;b=c.csv", "x" * 300 + ".csv"),
        *("'.csv", "a\x00.csv", '"; name="other"; x=".csv'),
    ],
    ids=ascii,
)
def test_a_hostile_file_name_adds_no_header_and_no_part(name: str):
    with Server(lambda request: HANDLE) as server:
        SixtyfourClient(plain_settings(server.url, ApiKey("k"))).send(calls.upload_file(io.BytesIO(b"a,b\n"), name))
        [request] = server.requests
    [part] = parts(request)
    assert part.get_payload(decode=True) == b"a,b\n"
    assert {header.lower() for header in part.keys()} <= {"content-disposition", "content-type"}  # noqa: SIM118
    head = request.body.split(b"\r\n\r\n")[0]
    assert head.count(b"\r\n") <= 2
    assert "evil" not in " ".join(request.headers)


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "answer", "status": 502, "body": "<html>"},
        {"action": "reset", "when": "after"},
        {"action": "answer", "status": 429},
    ],
    ids=lambda fault: str(fault.get("status", fault["action"])),
)
def test_a_second_try_sends_the_file_from_its_beginning(
    client: SixtyfourClient, emulator: EmulatorProcess, new_runs: Any, deploy: Any, fault: dict[str, Any]
):
    stream = io.BytesIO(ROWS)
    stream.read(7)
    emulator.fault(**fault, path="/storage/csv/upload")
    handle = client.send(calls.upload_file(stream, "leads.csv"))
    lengths = [request["headers"]["content-length"] for request in emulator.requests()]
    assert len(lengths) == 2
    assert len(set(lengths)) == 1
    client.send(calls.run_workflow(deploy("read_csv"), {"specs_override": {"resource_handle_id": handle}}))
    assert [run["rows"] for run in new_runs()] == [2]


def test_a_replay_on_a_401_sends_the_file_from_its_beginning(oauth_settings: Any, emulator: EmulatorProcess):
    client = SixtyfourClient(oauth_settings())
    client.send(calls.list_workflows())
    emulator.control("DELETE", "tokens")
    emulator.control("DELETE", "requests")
    assert client.send(calls.upload_file(io.BytesIO(ROWS), "leads.csv"))
    uploads = [request for request in emulator.requests() if request["path"] == "/storage/csv/upload"]
    assert [request["status"] for request in uploads] == [401, 200]
    assert len({request["headers"]["content-length"] for request in uploads}) == 1


def test_a_file_that_the_api_does_not_take_is_refused(client: SixtyfourClient, emulator: EmulatorProcess):
    with pytest.raises(SixtyfourRefusedError, match=r"answered 400: .* While uploading leads\.xlsx"):
        client.send(calls.upload_file(io.BytesIO(ROWS), "leads.xlsx"))
    assert len(emulator.requests()) == 1


def test_an_answer_without_a_handle_is_none():
    with Server(lambda request: Reply(body=b'{"handle_id": null}')) as server:
        client = SixtyfourClient(plain_settings(server.url, ApiKey("k")), sleep=lambda _: None)
        with pytest.raises(SixtyfourUnavailableError, match="has no 'handle_id'"):
            client.send(calls.upload_file(io.BytesIO(ROWS), "leads.csv"), attempts=2)
        assert len(server.requests) == 2


async def test_the_asynchronous_client_uploads_nothing(key_settings: Settings, emulator: EmulatorProcess):
    async with AsyncSixtyfourClient(key_settings) as client:
        with pytest.raises(SixtyfourInputError, match="blocking client only"):
            await client.send(calls.upload_file(io.BytesIO(ROWS), "leads.csv"))
    assert emulator.requests() == []


_UPLOADS_BIG_FILE = """
import resource, sys
from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.settings import Settings
client = SixtyfourClient(Settings(credential=ApiKey("k"), base_url=sys.argv[1], timeout=30.0, verify=False))
def upload(path):
    with open(path, "rb") as stream:
        assert client.send(calls.upload_file(stream, "big.csv")) == "h"
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
small = upload(sys.argv[2])
print(upload(sys.argv[3]) - small)
"""


def test_a_file_is_streamed_in_constant_memory(tmp_path: Path):
    small, big = tmp_path / "small.csv", tmp_path / "big.csv"
    small.write_bytes(b"a\n")
    size = 200 * 1024 * 1024
    with big.open("wb") as file:
        file.truncate(size)  # sparse: takes no room on disk
    received: list[int] = []

    def count(stream: BinaryIO, length: int) -> bytes:
        received.append(0)
        while received[-1] < length:
            received[-1] += len(stream.read(min(1 << 20, length - received[-1])))
        return b""

    with Server(lambda request: Reply(body=b'{"handle_id": "h"}'), read_body=count) as server:
        done = subprocess.run(
            [sys.executable, "-c", _UPLOADS_BIG_FILE, server.url, str(small), str(big)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert size < received[1] < size + 1000
    assert int(done.stdout) < 20 * 1024  # KiB
