"""Each misbehaviour of the fault API, as a client sees it over a socket."""

from __future__ import annotations

import http.client
import json
import socket
import time
import zlib
from typing import Any

import httpx
import pytest

from airflow_provider_sixtyfour.emulator.middleware.misbehaviours import MISBEHAVIOURS, SIGNED_URL
from tests.emulator.calls import Calls
from tests.emulator_process import EmulatorProcess

LONG = 'Bad row\x1b[31m\r\n\x00\u202e at https://files.example/a?X-Signature=5ecret "' + "x" * 100_000


def raw(emulator: EmulatorProcess, url: str) -> tuple[bytes, bytes]:
    """Return head and body of an answer as they came, up to the end of the connection."""
    target = httpx.URL(url)
    with socket.create_connection((target.host, target.port), timeout=10) as connection:
        head = f"GET {target.raw_path.decode()} HTTP/1.1\r\nHost: {target.netloc.decode()}\r\n"
        connection.sendall(f"{head}x-api-key: {emulator.api_key}\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while chunk := connection.recv(65536):
            got += chunk
    head, _, body = got.partition(b"\r\n\r\n")
    return head, body


@pytest.fixture
def file_url(calls: Calls) -> str:
    """A signed link to a result file of 2 rows."""
    job_id = calls.start(calls.deploy("find_email"))
    calls.wait(job_id)
    return str(calls.files(job_id)[0]["download_url"])


@pytest.mark.parametrize("status", [302, 307, 401, 403, 404, 407, 499, 502])
def test_any_status_with_any_body_and_type(calls: Calls, emulator: EmulatorProcess, status: int) -> None:
    headers = {"Location": f"{emulator.url}/elsewhere", "Content-Type": "text/plain; charset=x", "Proxy-Agent": "p"}
    emulator.fault("answer", status=status, headers=headers, body="<html>Proxy</html>")
    answer = calls.get("/workflows")
    assert (answer.status_code, answer.text) == (status, "<html>Proxy</html>")
    assert answer.headers["content-type"] == "text/plain; charset=x"
    assert answer.headers["location"] == headers["Location"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_the_own_json_of_the_api_for_a_time(calls: Calls, emulator: EmulatorProcess, status: int) -> None:
    began = time.monotonic()
    emulator.fault("refuse", status=status, seconds=0.5)
    refused = calls.get("/workflows")
    assert refused.status_code == status
    assert isinstance(refused.json()["detail"], str)
    while calls.get("/workflows/blocks").status_code == status:
        assert time.monotonic() - began < 10
    assert time.monotonic() - began >= 0.5


def test_an_answer_that_echoes_credential_and_signed_url(calls: Calls, emulator: EmulatorProcess) -> None:
    for body in ({"detail": "key {credential} for {signed_url}"}, "<p>{credential} {signed_url}</p>"):
        emulator.fault("answer", status=401, body=body)
        text = calls.get("/workflows").text
        assert emulator.api_key in text
        assert SIGNED_URL in text
    emulator.fault("answer", status=401, body="{credential}")
    answer = calls.anonymous("GET", "/workflows", headers={"Authorization": "Bearer T0KEN"})
    assert answer.text == "T0KEN"


def test_retry_after_for_one_run_only(calls: Calls, emulator: EmulatorProcess) -> None:
    workflow_id = calls.deploy("find_email")
    one, other = calls.start(workflow_id), calls.start(workflow_id)
    emulator.fault("answer", path=f".*{one}.*", status=503, headers={"Retry-After": "300"}, times=None)
    answer = calls.get(f"/workflows/runs/{one}/live_status")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "300")
    assert calls.get(f"/workflows/runs/{other}/live_status").status_code == 200


def test_an_answer_that_never_comes(calls: Calls, emulator: EmulatorProcess) -> None:
    fault = emulator.fault("hang", path="/workflows")
    with pytest.raises(httpx.ReadTimeout):
        calls.http.get("/workflows", timeout=0.3)
    assert calls.get("/workflows").status_code == 200
    assert emulator.requests()[0]["fault"] == fault["id"]


@pytest.mark.parametrize("whole", [False, True])
def test_an_answer_that_trickles(calls: Calls, emulator: EmulatorProcess, whole: bool) -> None:
    true = calls.get("/workflows/blocks").content
    size = len(true) // 4 + 1
    emulator.fault("trickle", path="/workflows/blocks", chunk_bytes=size, delay=0.1, whole=whole)
    began = time.monotonic()
    answer = calls.get("/workflows/blocks")
    assert answer.content == true
    assert time.monotonic() - began >= 0.3


def test_a_body_given_can_trickle_one_byte_at_a_time(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.fault("trickle", path="/workflows", delay=0.02, whole=True, body="ab", headers={"X-A": "b"}, status=418)
    began = time.monotonic()
    answer = calls.get("/workflows")
    assert (answer.status_code, answer.text, answer.headers["x-a"]) == (418, "ab", "b")
    assert time.monotonic() - began >= 0.02 * len("HTTP/1.1 418 x-a: b connection: close")
    assert emulator.requests()[-1]["status"] == 418


def test_a_trickle_ends_with_its_client(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.fault("trickle", path="/workflows", delay=30, body="ab")
    with pytest.raises(httpx.ReadTimeout):
        calls.http.get("/workflows", timeout=0.3)
    assert calls.get("/workflows").status_code == 200


def test_a_body_that_inflates(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.fault("bomb", path="/workflows", mib=64)
    with calls.http.stream("GET", "/workflows") as answer:
        assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
        packed = b"".join(answer.iter_raw())
    assert len(packed) < 200_000
    assert json.loads(zlib.decompress(packed, wbits=31)) == []
    assert len(zlib.decompress(packed, wbits=31)) == 64 * 2**20 + 2


def test_a_list_of_very_many_rows(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.fault("rows", path="/workflows/runs", rows=100_000, body={"status": "completed", "workflow_id": "w"})
    rows = calls.get("/workflows/runs").json()
    assert len({row["job_id"] for row in rows}) == 100_000
    assert rows[-1] == {**rows[0], "job_id": rows[-1]["job_id"]}
    emulator.fault("rows", path="/workflows/runs", rows=0)
    assert calls.get("/workflows/runs").json() == []


@pytest.mark.parametrize("job_id", ["../../x", "x" * 10_000, 7, None, "", {"a": 1}])
def test_a_job_id_that_is_none_while_the_run_exists(calls: Calls, emulator: EmulatorProcess, job_id: Any) -> None:
    workflow_id = calls.deploy("find_email")
    count = len(emulator.runs())
    emulator.fault("edit", path="/workflows/run", members={"job_id": job_id})
    assert calls.submit(workflow_id).json()["job_id"] == job_id
    assert len(emulator.runs()) == count + 1


def test_odd_texts_in_a_live_status(calls: Calls, emulator: EmulatorProcess) -> None:
    job_id = calls.start(calls.deploy("find_email"))
    members = {"blocks.*.error_message": LONG, "blocks.1.block_name": LONG, "status_reason": LONG, "blocks.9.x": 1}
    emulator.fault("edit", path=".*/live_status", members=members)
    live = calls.live(job_id)
    assert [block["error_message"] for block in live["blocks"]] == [LONG, LONG]
    assert (live["blocks"][0]["block_name"], live["blocks"][1]["block_name"]) == ("webhook", LONG)
    assert live["status_reason"] == LONG


@pytest.mark.parametrize("name", ["a\ud800.csv", "\udfff", "n" * 5_000, "../../x.csv", "a/b\x00c", ""])
def test_odd_names_and_announced_sizes_of_files(calls: Calls, emulator: EmulatorProcess, name: str) -> None:
    job_id = calls.start(calls.deploy("find_email"))
    calls.wait(job_id)
    members = {"*.filename": name, "*.message": LONG, "0.file_size": 1, "0.row_count": -1}
    emulator.fault("edit", path=".*/download-links", members=members)
    file = calls.files(job_id)[0]
    assert (file["filename"], file["message"], file["file_size"], file["row_count"]) == (name, LONG, 1, -1)
    assert emulator.faults()[0]["members"] == members


def test_links_can_come_later_than_the_end_of_their_run(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=0, queue_seconds=0, links_after_seconds=0.5)
    job_id = calls.start(calls.deploy("find_email", "find_phone"))
    calls.wait(job_id, "completed")
    assert calls.files(job_id) == []
    deadline = time.monotonic() + 5
    while not calls.files(job_id):
        assert time.monotonic() < deadline
    [run] = [run for run in emulator.runs() if run["job_id"] == job_id]
    assert time.time() - run["ended_at"] >= 0.5


def test_the_file_of_one_block_can_come_later(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=0, queue_seconds=0, late_files={3: 0.5})
    job_id = calls.start(calls.deploy("find_email", "find_phone"))
    calls.wait(job_id, "completed")
    assert [file["block_number"] for file in calls.files(job_id)] == [2]
    deadline = time.monotonic() + 5
    while len(calls.files(job_id)) == 1:
        assert time.monotonic() < deadline


def test_a_new_run_can_be_unknown(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(hide_for_seconds=0.3)
    job_id = calls.start(calls.deploy("find_email"))
    began = time.monotonic()
    assert calls.get(f"/workflows/runs/{job_id}/live_status").status_code == 404
    while calls.get(f"/workflows/runs/{job_id}/live_status").status_code == 404:
        assert time.monotonic() - began < 5


def test_a_connection_reset_in_the_middle_of_a_body(calls: Calls, emulator: EmulatorProcess) -> None:
    for path, cut_after in (("/workflows/blocks", 100), ("/workflows", 0)):
        emulator.fault("cut_reset", path=path, cut_after=cut_after)
        with pytest.raises(httpx.ReadError):
            calls.get(path)


def test_a_cut_answer_is_made_once(calls: Calls, emulator: EmulatorProcess) -> None:
    workflow_id = calls.deploy("find_email")
    count = len(emulator.runs())
    emulator.fault("cut", path="/workflows/run", cut_after=5, when="after")
    with pytest.raises(httpx.RemoteProtocolError):
        calls.submit(workflow_id)
    assert len(emulator.runs()) == count + 1


def test_a_part_with_another_etag(calls: Calls, emulator: EmulatorProcess, file_url: str) -> None:
    true = calls.download(file_url)
    emulator.fault("other_etag", where="storage")
    part = calls.download(file_url, **{"Range": "bytes=5-", "If-Range": true.headers["etag"]})
    assert (part.status_code, part.content) == (206, true.content[5:])
    assert part.headers["etag"] != true.headers["etag"]


def test_a_compressed_body_whose_stream_ends_early(calls: Calls, emulator: EmulatorProcess, file_url: str) -> None:
    true = calls.download(file_url).content
    emulator.fault("gzip_cut", where="storage")
    head, body = raw(emulator, file_url)
    assert b"content-encoding: gzip" in head
    assert f"content-length: {len(body)}".encode() in head
    inflating = zlib.decompressobj(wbits=31)
    got = inflating.decompress(body)
    assert true.startswith(got)
    assert got != true
    assert not inflating.eof


def test_half_a_body_by_http_1_0_without_a_length(emulator: EmulatorProcess, calls: Calls, file_url: str) -> None:
    true = calls.download(file_url).content
    emulator.fault("http10_cut", where="storage")
    head, body = raw(emulator, file_url)
    assert head.startswith(b"HTTP/1.0 200")
    assert b"content-length" not in head
    assert b"transfer-encoding" not in head
    assert body == true[: len(true) // 2]


def test_an_unknown_content_encoding(calls: Calls, emulator: EmulatorProcess, file_url: str) -> None:
    true = calls.download(file_url).content
    emulator.fault("headers", where="storage", headers={"Content-Encoding": "x-odd", "ETag": ""})
    answer = calls.download(file_url)
    assert (answer.status_code, answer.headers["content-encoding"], answer.content) == (200, "x-odd", true)
    assert "etag" not in answer.headers


def test_a_login_page_an_empty_body_and_half_a_body_of_a_file(
    calls: Calls, emulator: EmulatorProcess, file_url: str
) -> None:
    true = calls.download(file_url).content
    emulator.fault("answer", where="storage", status=200, body="<html>Log in</html>")
    answer = calls.download(file_url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")
    emulator.fault("empty", where="storage")
    answer = calls.download(file_url)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", "text/csv")
    emulator.fault("half", where="storage")
    assert calls.download(file_url).content == true[: len(true) // 2]
    emulator.fault("half_short", where="storage")
    with pytest.raises(httpx.RemoteProtocolError):
        calls.download(file_url)
    assert calls.download(file_url).content == true


@pytest.mark.parametrize("status", [302, 307])
def test_a_file_that_is_elsewhere(calls: Calls, emulator: EmulatorProcess, file_url: str, status: int) -> None:
    for target in ("/storage/results/other", "http://localhost:9/other?X-Signature=5ecret"):
        emulator.fault("answer", where="storage", status=status, headers={"Location": target})
        answer = calls.download(file_url)
        assert (answer.status_code, answer.headers["location"]) == (status, target)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"error": "invalid_client", "error_description": "no {credential}"}),
        (400, {"detail": "Invalid assertion"}),
        (500, "<html>Oops</html>"),
        (200, "<html>Log in</html>"),
        (200, {"access_token": 5, "expires_in": "soon"}),
    ],
)
def test_odd_answers_of_the_token_endpoint(calls: Calls, emulator: EmulatorProcess, status: int, body: Any) -> None:
    emulator.fault("answer", path="/oauth/token", status=status, body=body)
    answer = calls.anonymous("POST", "/oauth/token", data={"grant_type": "client_credentials"})
    assert answer.status_code == status
    assert answer.text.startswith("<html>") is isinstance(body, str)
    assert calls.get("/workflows").status_code == 200


def test_every_misbehaviour_is_described_and_leaves_the_server_well(
    calls: Calls, emulator: EmulatorProcess, file_url: str
) -> None:
    from airflow_provider_sixtyfour.emulator.middleware import misbehaviours

    for action in MISBEHAVIOURS:
        assert f"\n``{action}``" in (misbehaviours.__doc__ or "")
        for when in ("before", "after"):
            emulator.fault(action, path="/workflows/blocks", when=when, mib=1, rows=3, cut_after=1)
            try:
                calls.http.get("/workflows/blocks", timeout=0.5)
            except (httpx.HTTPError, http.client.HTTPException):
                assert action in {"hang", "drop", "reset", "cut", "cut_reset", "half_short", "gzip_cut", "trickle"}
            assert calls.get("/workflows/blocks").status_code == 200
    assert all(fault["fired"] == 1 for fault in emulator.faults())
