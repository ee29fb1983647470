from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from tests.emulator.calls import TLS, Calls
from tests.emulator_process import EmulatorProcess

SIZE = 10_000


@pytest.fixture
def url(calls: Calls, emulator: EmulatorProcess) -> str:
    """The link to a file of 10,000 bytes."""
    emulator.plan(seconds=0, queue_seconds=0, synthetic_bytes=SIZE)
    [file] = calls.files(calls.start(calls.deploy("find_email")))
    assert file["file_size"] == SIZE
    link: str = file["download_url"]
    return link


def test_a_link_needs_no_credential_and_is_not_recorded_as_a_call(
    calls: Calls, emulator: EmulatorProcess, url: str
) -> None:
    assert url.startswith(emulator.storage_url + "/")
    assert emulator.storage_url != emulator.url
    count = len(emulator.requests())
    assert calls.download(url, **{"x-api-key": "leaked"}).status_code == 200
    [request] = emulator.storage_requests()
    assert request["headers"]["x-api-key"] == "leaked"
    assert (request["method"], request["path"], request["status"]) == ("GET", urlsplit(url).path, 200)
    assert len(emulator.requests()) == count


def test_the_storage_port_knows_no_api_and_the_api_port_no_files(
    calls: Calls, emulator: EmulatorProcess, url: str
) -> None:
    assert calls.download(f"{emulator.storage_url}/workflows").status_code == 403
    assert calls.download(f"{emulator.storage_url}/_emulator/stats").status_code == 403
    assert calls.download(url.replace(emulator.storage_url, emulator.url)).status_code == 401


def test_a_link_is_for_reading(calls: Calls, url: str) -> None:
    assert calls.anonymous("PUT", url, content=b"x").status_code == 405


def changed(url: str, **query: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query=urlencode(dict(parse_qsl(parts.query)) | query)).geturl()


def test_a_link_that_was_changed_is_refused(calls: Calls, url: str) -> None:
    for bad in (
        changed(url, **{"X-Signature": "0" * 64}),
        changed(url, **{"X-Signature": "ü"}),
        changed(url, **{"X-Expires": "9999999999.000"}),
        changed(url, **{"X-Expires": "nonsense"}),
        url.replace("/0.csv", "/1.csv"),
        url.partition("?")[0],
    ):
        answer = calls.download(bad)
        assert answer.status_code == 403
        assert answer.json()["error"] == "SignatureDoesNotMatch"


def test_a_range_is_cut_from_the_file(calls: Calls, url: str) -> None:
    whole = calls.download(url)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    for asked, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=9000-", 9000, SIZE),
        ("bytes=-10", SIZE - 10, SIZE),
        ("bytes=-99999", 0, SIZE),
        ("bytes=5000-99999", 5000, SIZE),
    ):
        part = calls.download(url, Range=asked)
        assert part.status_code == 206, asked
        assert part.content == whole.content[start:stop]
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
        assert part.headers["content-length"] == str(stop - start)
        assert part.headers["etag"] == whole.headers["etag"]


def test_a_range_behind_the_end_is_a_416(calls: Calls, url: str) -> None:
    for asked in (f"bytes={SIZE}-", "bytes=-0"):
        answer = calls.download(url, Range=asked)
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{SIZE}")


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=0-1,5-6", "lines=0-1", "bytes=-", "nonsense"])
def test_a_range_that_makes_no_sense_is_ignored(calls: Calls, url: str, asked: str) -> None:
    assert calls.download(url, Range=asked).status_code == 200


def test_a_range_is_only_cut_from_the_version_that_if_range_names(calls: Calls, url: str) -> None:
    whole = calls.download(url)
    for condition, status in (
        (whole.headers["etag"], 206),
        (whole.headers["last-modified"], 206),
        ('"other"', 200),
        (f"W/{whole.headers['etag']}", 200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("nonsense", 200),
    ):
        answer = calls.download(url, **{"Range": "bytes=1-2", "If-Range": condition})
        assert answer.status_code == status, condition
        assert len(answer.content) == (2 if status == 206 else SIZE)


def test_two_files_have_two_etags(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(times=2, seconds=0, queue_seconds=0)
    workflow_id = calls.deploy("find_email")
    links = [calls.files(calls.start(workflow_id))[0]["download_url"] for _ in range(2)]
    assert len({calls.download(link).headers["etag"] for link in links}) == 2


def test_a_real_file_can_be_resumed_too(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=0, queue_seconds=0)
    [file] = calls.files(calls.start(calls.deploy("find_email")))
    whole = calls.download(file["download_url"]).content
    head = calls.download(file["download_url"], Range="bytes=0-19").content
    rest = calls.download(file["download_url"], Range="bytes=20-").content
    assert head + rest == whole


@pytest.mark.parametrize("size", [1, 1_024, 1_025, 5_000, 300_000, 524_289])
def test_a_synthetic_file_has_the_size_asked_for_and_the_rows_it_claims(
    calls: Calls, emulator: EmulatorProcess, size: int
) -> None:
    emulator.plan(seconds=0, queue_seconds=0, synthetic_bytes=size)
    [file] = calls.files(calls.start(calls.deploy("find_email")))
    content = calls.download(file["download_url"]).content
    assert len(content) == file["file_size"] == max(size, 1024)
    lines = content.decode().splitlines()
    assert len(lines) == file["row_count"] + 1
    assert [line.split(",")[0] for line in lines[1:]] == [str(number) for number in range(1, len(lines))]
    assert file["results"] is None


def test_a_synthetic_file_is_not_held_in_memory(calls: Calls, emulator: EmulatorProcess) -> None:
    size = 64 << 20
    emulator.plan(seconds=0, queue_seconds=0, synthetic_bytes=size)
    [file] = calls.files(calls.start(calls.deploy("find_email")))
    before, count, digest = memory(emulator.pid), 0, hashlib.sha256()
    with httpx.stream("GET", file["download_url"], trust_env=False, verify=TLS, timeout=20) as answer:
        for chunk in answer.iter_raw():
            count += len(chunk)
            digest.update(chunk)
    assert count == file["file_size"] == size
    assert memory(emulator.pid) - before < 20 << 20


def memory(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        [line] = [line for line in status if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


@pytest.fixture(scope="module")
def plain() -> Iterator[Calls]:
    """An emulator whose storage is on the API's port, with links of two seconds, without ranges and ETags."""
    options = ("--run-seconds", "0", "--queue-seconds", "0", "--link-seconds", "2", "--no-ranges", "--no-etags")
    with EmulatorProcess(*options, separate_storage=False) as process:
        made = Calls(process)
        yield made
        made.close()


def test_a_link_expires(plain: Calls) -> None:
    [file] = plain.files(plain.start(plain.deploy("find_email")))
    assert file["download_expires_in_seconds"] == 2
    assert plain.download(file["download_url"]).status_code == 200
    time.sleep(2.05)
    answer = plain.download(file["download_url"])
    assert (answer.status_code, answer.json()["error"]) == (403, "AccessDenied")
    assert "expired" in answer.json()["message"]


def test_a_new_link_to_the_same_file_can_be_had(plain: Calls) -> None:
    job_id = plain.start(plain.deploy("find_email"))
    first, second = (plain.files(job_id)[0]["download_url"] for _ in range(2))
    assert plain.download(first).content == plain.download(second).content


def test_the_storage_can_be_on_the_port_of_the_api(plain: Calls) -> None:
    [file] = plain.files(plain.start(plain.deploy("find_email")))
    assert plain.emulator.storage_url == plain.emulator.url
    assert file["download_url"].startswith(plain.emulator.url + "/storage/")
    plain.emulator.clear()
    assert plain.download(file["download_url"]).status_code == 200
    assert (len(plain.emulator.requests()), len(plain.emulator.storage_requests())) == (0, 1)


def test_ranges_and_etags_can_be_turned_off(plain: Calls) -> None:
    [file] = plain.files(plain.start(plain.deploy("find_email")))
    answer = plain.download(file["download_url"], Range="bytes=0-1")
    assert (answer.status_code, answer.headers["accept-ranges"]) == (200, "none")
    assert len(answer.content) == file["file_size"]
    assert "etag" not in answer.headers
