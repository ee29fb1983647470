from __future__ import annotations

import contextlib
import csv
import errno
import gzip
import io
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.models import ResultFile
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourNotFoundError,
    SixtyfourTransferError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.results.download import CHUNK, FRUITLESS_TRIES, MOST_HOPS, Download, Fetched, Link
from tests.emulator_process import EmulatorProcess
from tests.unit.api.certificates import Certificates
from tests.unit.api.conftest import plain_settings
from tests.unit.api.servers import Reply, Request, Server, closed_port

MIB = 1024 * 1024
CONTENT = bytes(range(256)) * 4 * 4000 + b"the end"  # 4000 KiB and a little
API = "http://127.0.0.1:1"


def link(url: str, seconds: float = 900.0) -> Link:
    return Link(url, time.monotonic() + seconds)


def test_a_link_is_not_in_repr():
    assert "SESAME" not in repr(Link("https://s.example/?sig=SESAME", 1.0))


class Memory:
    """A target that keeps what it gets."""

    def __init__(self) -> None:
        self.content = b""
        self.starts = 1

    def write(self, piece: bytes) -> None:
        self.content += piece

    def start_over(self) -> None:
        self.content = b""
        self.starts += 1


class Fetching:
    """One download with its pauses, its secrets and its target."""

    def __init__(self, settings: Settings, target: Memory | None = None) -> None:
        self.slept: list[float] = []
        self.secrets: list[str] = []
        self.target = Memory() if target is None else target
        self.download = Download(settings, on_secret=self.secrets.append, sleep=self.slept.append)

    def fetch(self, new_link: Callable[[], Link] | str, *, size: int | None = None) -> int:
        return self.fetched(new_link, size=size).bytes

    def fetched(self, new_link: Callable[[], Link] | str, *, size: int | None = None) -> Fetched:
        ask = (lambda: link(new_link)) if isinstance(new_link, str) else new_link
        return self.download.fetch("leads.csv", ask, self.target, size=size)

    @property
    def content(self) -> bytes:
        return self.target.content


@pytest.fixture
def fetching() -> Iterator[Fetching]:
    made = Fetching(plain_settings(API, ApiKey("SESAME")))
    yield made
    made.download.close()


class Storage:
    """Serves one content; `replies` are used up first, one a request, each made from the whole answer."""

    def __init__(self, content: bytes = CONTENT, *, ranges: bool = True, etag: str = '"one"') -> None:
        self.content = content
        self.ranges = ranges
        self.etag = etag
        self.changes: list[Callable[[Reply], Reply]] = []

    def __call__(self, request: Request) -> Reply:
        reply = self._whole(request)
        return self.changes.pop(0)(reply) if self.changes else reply

    def _whole(self, request: Request) -> Reply:
        headers = {"ETag": self.etag} if self.etag else {}
        asked = request.headers.get("range", "")
        if self.ranges and asked and request.headers.get("if-range") == self.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            size = len(self.content)
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
            return Reply(206, self.content[start:], headers)
        return Reply(200, self.content, headers)


def cut(after: int) -> Callable[[Reply], Reply]:
    def change(reply: Reply) -> Reply:
        reply.cut_after = after
        return reply

    return change


def instead(status: int, **headers: str) -> Callable[[Reply], Reply]:
    return lambda reply: Reply(status, b"<html>", {name.replace("_", "-"): value for name, value in headers.items()})


def ranges(requests: list[Request]) -> list[str | None]:
    return [request.headers.get("range") for request in requests]


def test_a_file_is_fetched_whole(fetching: Fetching):
    with Server(Storage()) as server:
        assert fetching.fetch(f"{server.url}/f?sig=SIGNATURE", size=len(CONTENT)) == len(CONTENT)
        [request] = server.requests
    assert fetching.content == CONTENT
    assert fetching.target.starts == 1
    assert request.headers["accept-encoding"] == "identity"
    assert fetching.slept == []
    assert {f"{server.url}/f?sig=SIGNATURE", "sig=SIGNATURE"} <= set(fetching.secrets)


def test_an_empty_file(fetching: Fetching):
    with Server(Storage(b"")) as server:
        assert fetching.fetch(server.url, size=0) == 0


def test_results_of_a_run_from_another_origin_without_the_credential(
    key_settings: Settings, emulator: EmulatorProcess, workflow_id: str
):
    client = SixtyfourClient(key_settings)
    rows = [{"name": f"Zoë {number}"} for number in range(50)]
    job_id = client.send(calls.run_workflow(workflow_id, {"webhook_payload": rows})).job_id
    fetching = Fetching(key_settings)
    [file] = client.send(calls.result_files(job_id))
    fetching.fetch(lambda: link(_url(file)), size=file.file_size)
    assert [row["name"] for row in csv.DictReader(io.StringIO(fetching.content.decode()))] == [r["name"] for r in rows]
    [request] = emulator.storage_requests()
    assert not {"x-api-key", "authorization"} & request["headers"].keys()
    assert emulator.api_key not in str(request)


def _url(file: ResultFile) -> str:
    assert file.download_url is not None
    return file.download_url


def test_a_big_file_that_is_cut_three_times_is_resumed(
    key_settings: Settings, emulator: EmulatorProcess, workflow_id: str
):
    size = 6 * MIB
    emulator.plan(synthetic_bytes=size)
    client = SixtyfourClient(key_settings)
    job_id = client.send(calls.run_workflow(workflow_id, {"webhook_payload": [{"name": "Ada"}]})).job_id
    [file] = client.send(calls.result_files(job_id))
    whole = Fetching(key_settings)
    whole.fetch(lambda: link(_url(file)))
    emulator.control("DELETE", "storage-requests")
    for after in (MIB, 2 * MIB, MIB // 2):
        emulator.fault("cut", where="storage", cut_after=after)
    fetching = Fetching(key_settings)
    assert fetching.fetch(lambda: link(_url(file)), size=file.file_size) == size == file.file_size
    assert fetching.content == whole.content
    assert fetching.target.starts == 1
    first, *resumed = emulator.storage_requests()
    assert "range" not in first["headers"]
    starts = [int(request["headers"]["range"].removeprefix("bytes=").removesuffix("-")) for request in resumed]
    assert len(starts) == 3
    for start, cut_at in zip(starts, (MIB, starts[0] + 2 * MIB, starts[1] + MIB // 2), strict=True):
        assert cut_at - CHUNK <= start <= cut_at
    assert [request["status"] for request in resumed] == [206, 206, 206]
    assert all(request["headers"]["if-range"].startswith('"') for request in resumed)
    assert len(fetching.slept) == 3


def test_what_came_before_a_cut_is_not_asked_for_again(fetching: Fetching):
    storage = Storage()
    storage.changes = [cut(3 * CHUNK), cut(4 * CHUNK)]
    with Server(storage) as server:
        fetching.fetch(server.url)
        assert ranges(server.requests) == [None, f"bytes={3 * CHUNK}-", f"bytes={7 * CHUNK}-"]
        assert server.requests[1].headers["if-range"] == '"one"'
    assert fetching.content == CONTENT


@pytest.mark.parametrize("storage", [Storage(ranges=False), Storage(etag=""), Storage(etag='W/"weak"')])
def test_without_ranges_it_starts_over(fetching: Fetching, storage: Storage):
    storage.changes = [cut(700_000), cut(500_000)]
    with Server(storage) as server:
        assert fetching.fetch(server.url) == len(CONTENT)
    assert fetching.content == CONTENT
    assert len(server.requests) == fetching.target.starts == 3


def test_a_file_that_changed_meanwhile_is_fetched_again(fetching: Fetching):
    storage = Storage()

    def replace(reply: Reply) -> Reply:
        storage.content, storage.etag = b"new" * 1000, '"two"'
        return cut(CHUNK)(reply)

    storage.changes = [replace]
    with Server(storage) as server:
        assert fetching.fetch(server.url) == 3000
    assert fetching.content == b"new" * 1000


@pytest.mark.parametrize(
    "content_range",
    [
        f"bytes 0-99/{len(CONTENT)}",
        f"bytes {CHUNK + 1}-{len(CONTENT) - 1}/{len(CONTENT)}",
        f"bytes {CHUNK}-{len(CONTENT) - 1}/9999999",
        *("bytes */5", "", "items 1-2/3"),
    ],
)
def test_another_part_than_was_asked_for_is_not_taken(fetching: Fetching, content_range: str):
    storage = Storage()

    def other_part(reply: Reply) -> Reply:
        reply.headers["Content-Range"] = content_range
        return reply

    storage.changes = [cut(CHUNK), other_part]
    with Server(storage) as server:
        assert fetching.fetch(server.url) == len(CONTENT)
        assert ranges(server.requests) == [None, f"bytes={CHUNK}-", None]
    assert fetching.content == CONTENT


def test_a_part_that_ends_before_the_file_does_is_not_taken_for_the_rest(fetching: Fetching):
    def short(reply: Reply) -> Reply:
        reply.body = reply.body[:CHUNK]
        reply.headers["Content-Range"] = f"bytes {CHUNK}-{2 * CHUNK - 1}/{len(CONTENT)}"
        return reply

    storage = Storage()
    storage.changes = [cut(CHUNK), short]
    with Server(storage) as server:
        assert fetching.fetch(server.url) == len(CONTENT)
        assert ranges(server.requests) == [None, f"bytes={CHUNK}-", f"bytes={2 * CHUNK}-"]
    assert fetching.content == CONTENT


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_expired_url_is_refreshed(fetching: Fetching, status: int):
    storage = Storage()
    storage.changes = [instead(status), cut(CHUNK), instead(status)]
    with Server(storage) as server:
        links = iter(f"{server.url}/{number}" for number in range(9))
        fetching.fetch(lambda: link(next(links)))
        assert [request.path for request in server.requests] == ["/0", "/1", "/1", "/2"]
        assert ranges(server.requests) == [None, None, f"bytes={CHUNK}-", f"bytes={CHUNK}-"]
    assert fetching.content == CONTENT


def test_a_link_of_the_emulator_that_has_expired(key_settings: Settings, emulator: EmulatorProcess, workflow_id: str):
    client = SixtyfourClient(key_settings)
    job_id = client.send(calls.run_workflow(workflow_id, {"webhook_payload": [{"name": "Ada"}]})).job_id
    [file] = client.send(calls.result_files(job_id))
    good = _url(file)
    urls = iter([good.replace("X-Expires=", "X-Expires=1"), good + "x", good])
    fetching = Fetching(key_settings)
    assert fetching.fetch(lambda: link(next(urls))) == file.file_size
    assert [request["status"] for request in emulator.storage_requests()] == [403, 403, 200]


def test_a_link_near_its_end_is_asked_for_before_it_is_used_again(fetching: Fetching):
    storage = Storage()
    storage.changes = [cut(CHUNK)]
    with Server(storage) as server:
        links = iter([link(f"{server.url}/old", -1), link(f"{server.url}/new")])
        fetching.fetch(lambda: next(links))
        assert [request.path for request in server.requests] == ["/old", "/new"]
    assert fetching.content == CONTENT


def test_an_outage_of_the_api_is_waited_out_while_refreshing_a_url(fetching: Fetching):
    with Server(Storage()) as server:
        answers: Iterator[Any] = iter([SixtyfourUnavailableError("502", retry_after=9), link(server.url)])

        def ask() -> Link:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]

        fetching.fetch(ask)
    assert fetching.content == CONTENT
    assert 9 <= fetching.slept[0] <= 10


def test_a_refusal_of_a_link_is_passed_on(fetching: Fetching):
    def ask() -> Link:
        raise SixtyfourNotFoundError("no such run", status=404)

    with pytest.raises(SixtyfourNotFoundError, match="no such run"):
        fetching.fetch(ask)


def test_a_link_that_the_host_never_takes_is_reported_with_its_answer(fetching: Fetching):
    storage = Storage()
    storage.changes = [instead(403)] * FRUITLESS_TRIES
    with (
        Server(storage) as server,
        pytest.raises(SixtyfourTransferError, match=r"127\.0\.0\.1 answered 403, as for an expired link\. .* Got 0"),
    ):
        fetching.fetch(server.url)


@pytest.mark.parametrize("name", ["Content-Length", "Content-Range"])
def test_an_endless_number_in_a_header_is_as_good_as_none(fetching: Fetching, name: str):
    def endless(reply: Reply) -> Reply:
        reply.headers[name] = "9" * 5000 if name == "Content-Length" else f"bytes {CHUNK}-{'9' * 5000}/{'9' * 5000}"
        reply.cut_after = len(reply.body)
        return reply

    storage = Storage()
    storage.changes = [endless] if name == "Content-Length" else [cut(CHUNK), endless]
    with Server(storage) as server:
        assert fetching.fetch(server.url, size=len(CONTENT)) == len(CONTENT)
    assert fetching.content == CONTENT


@pytest.mark.parametrize("status", [300, 304, 400, 429, 500, 503])
def test_an_outage_of_the_storage_is_waited_out(fetching: Fetching, status: int):
    storage = Storage()
    storage.changes = [instead(status, Retry_After="7")] * 2
    with Server(storage) as server:
        assert fetching.fetch(server.url) == len(CONTENT)
        assert len(server.requests) == 3
    assert all(7 <= pause <= 8 for pause in fetching.slept)


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_file_that_is_always_cut_is_given_up_with_its_progress(fetching: Fetching, has_ranges: bool):
    storage = Storage(ranges=has_ranges)
    storage.changes = [cut(CHUNK), *[cut(0)] * 50]
    with Server(storage) as server, pytest.raises(SixtyfourTransferError) as caught:
        fetching.fetch(f"{server.url}/f?sig=SIGNATURE")
    got = CHUNK if has_ranges else 0
    assert str(caught.value) == (
        "Result file 'leads.csv' could not be fetched: No answer from 127.0.0.1: "
        "the connection broke (IncompleteRead). While fetching result file 'leads.csv'. "
        f"Got {got} of {len(CONTENT)} bytes, then nothing more in {FRUITLESS_TRIES} tries. "
        "Nothing was left at the destination; a retry starts over."
    )
    assert len(server.requests) == FRUITLESS_TRIES
    assert len(fetching.slept) == FRUITLESS_TRIES - 1


def test_a_host_without_ranges_that_breaks_off_here_and_there_is_given_up_on(fetching: Fetching):
    storage = Storage(ranges=False)
    storage.changes = [cut(300_000), cut(100_000)] * 50
    with Server(storage) as server, pytest.raises(SixtyfourTransferError):
        fetching.fetch(server.url)
    assert len(server.requests) <= 2 * FRUITLESS_TRIES


def test_progress_is_patience(fetching: Fetching):
    storage = Storage()
    storage.changes = [cut(CHUNK)] * 14  # each try brings something: many more than the tries that bring nothing
    with Server(storage) as server:
        assert fetching.fetch(server.url) == len(CONTENT)
        assert len(server.requests) == 15
    assert fetching.content == CONTENT


def test_nobody_listens_at_the_storage(fetching: Fetching):
    with pytest.raises(
        SixtyfourTransferError, match=r"No answer from 127\.0\.0\.1: connection refused\. While .*\. Got 0 b"
    ):
        fetching.fetch(f"http://127.0.0.1:{closed_port()}/f?sig=SIGNATURE")
    assert len(fetching.slept) == FRUITLESS_TRIES - 1


@pytest.mark.parametrize(
    "url",
    [
        *("", "leads.csv", "/leads.csv", "ftp://h/x", "file:///etc/passwd", "http://", "http://[", "http://a..b/"),
        *("http:///x", "http://127.0.0.1:99999/", "http://127.0.0.1:x/?sig=SIGNATURE", "data:,x"),
        *("http://" + "a" * 70 + "/", "\ud800"),
    ],
    ids=lambda url: ascii(url[:20]),
)
def test_an_invalid_link_is_reported_and_not_shown(fetching: Fetching, url: str):
    with pytest.raises(SixtyfourTransferError) as caught:
        fetching.fetch(url)
    assert "SIGNATURE" not in str(caught.value)
    assert "The API gives no http(s) link. While fetching result file 'leads.csv'." in str(caught.value)


@pytest.mark.parametrize("size", [7, 10**9])
def test_the_size_of_the_host_overrides_the_size_of_the_api(fetching: Fetching, size: int):
    with Server(Storage()) as server:
        assert fetching.fetch(server.url, size=size) == len(CONTENT)


def closing(content: bytes, **headers: str) -> Callable[[Reply], Reply]:
    """Answer without a length: the body ends where the connection does."""
    return lambda reply: Reply(reply.status, content, {**reply.headers, **headers}, has_length=False)


def test_without_a_length_from_the_host_the_apis_decides(fetching: Fetching):
    with Server(lambda request: Reply(body=CONTENT, has_length=False)) as server:
        assert fetching.fetched(server.url, size=len(CONTENT)) == (len(CONTENT), True, "")


@pytest.mark.parametrize("etag", ['"one"', ""])
def test_a_body_without_a_length_that_is_cut_is_resumed_or_starts_over(fetching: Fetching, etag: str):
    storage = Storage(etag=etag)
    storage.changes = [closing(CONTENT[:CHUNK])]
    with Server(storage) as server:
        assert fetching.fetch(server.url, size=len(CONTENT)) == len(CONTENT)
        assert ranges(server.requests) == [None, f"bytes={CHUNK}-" if etag else None]
    assert fetching.content == CONTENT


def test_a_body_without_a_length_that_is_always_cut_is_an_error(fetching: Fetching):
    with (
        Server(lambda request: Reply(body=CONTENT[:1000], has_length=False)) as server,
        pytest.raises(SixtyfourTransferError, match=rf"closed the connection early\. .* Got 1000 of {len(CONTENT)} b"),
    ):
        fetching.fetch(server.url, size=len(CONTENT))
    assert len(server.requests) == FRUITLESS_TRIES


@pytest.mark.parametrize("size", [None, 7])
def test_an_end_that_nothing_verifies_is_logged(fetching: Fetching, size: int | None, caplog: pytest.LogCaptureFixture):
    with Server(lambda request: Reply(body=CONTENT, has_length=False)) as server:
        assert fetching.fetched(server.url, size=size) == (len(CONTENT), False, "")
    assert "its end can't be verified" in caplog.text


def test_a_host_that_knows_the_file_has_no_more_ends_it(fetching: Fetching):
    def none_left(reply: Reply) -> Reply:
        return Reply(416, b"", {"Content-Range": "bytes */1000"})

    storage = Storage()
    storage.changes = [closing(CONTENT[:1000]), none_left]
    with Server(storage) as server:
        assert fetching.fetched(server.url, size=len(CONTENT)) == (1000, True, "")


def chunked(content: bytes, *, cut_at: int | None = None) -> Callable[[Reply], Reply]:
    framed = b"".join(
        b"%x\r\n%b\r\n" % (len(part), part)
        for part in (content[start : start + 50_000] for start in range(0, len(content), 50_000))
    )
    body = (framed + b"0\r\n\r\n")[:cut_at]
    return lambda reply: Reply(reply.status, body, {**reply.headers, "Transfer-Encoding": "chunked"}, has_length=False)


def test_a_chunked_body(fetching: Fetching):
    with Server(lambda request: chunked(CONTENT)(Reply(200))) as server:
        assert fetching.fetched(server.url) == (len(CONTENT), True, "")
    assert fetching.content == CONTENT


@pytest.mark.parametrize("cut_at", [-1, -5, -6, 300_000, 3])
def test_a_chunked_body_that_is_cut_is_not_whole(fetching: Fetching, cut_at: int):
    storage = Storage()
    storage.changes = [chunked(CONTENT, cut_at=cut_at)]
    with Server(storage) as server:
        assert fetching.fetch(server.url) == len(CONTENT)
    assert fetching.content == CONTENT
    if cut_at != -1:  # of the last line end alone, nothing depends
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda reply: reply.headers.update(ETag='"two"'),
        lambda reply: reply.headers.update(ETag='W/"one"'),
        lambda reply: reply.headers.pop("ETag"),
    ],
    ids=["another", "weak", "none"],
)
def test_a_part_of_another_version_is_not_appended(fetching: Fetching, change: Callable[[Reply], object]):
    def other(reply: Reply) -> Reply:
        reply.body = b"x" * len(reply.body)
        change(reply)
        return reply

    storage = Storage()
    storage.changes = [cut(CHUNK), other]
    with Server(storage) as server:
        assert fetching.fetch(server.url) == len(CONTENT)
        assert ranges(server.requests) == [None, f"bytes={CHUNK}-", None]
    assert fetching.content == CONTENT
    assert fetching.target.starts == 2


def test_a_part_that_changed_at_another_time_is_not_appended(fetching: Fetching):
    def answer(request: Request) -> Reply:
        number = len(server.requests)
        headers = {"Last-Modified": f"Sun, 01 Nov 2026 0{number}:00:00 GMT"}
        if number == 1:
            return Reply(200, CONTENT, headers, cut_after=CHUNK)
        if "range" in request.headers:
            headers["Content-Range"] = f"bytes {CHUNK}-{len(CONTENT) - 1}/{len(CONTENT)}"
            return Reply(206, b"x" * (len(CONTENT) - CHUNK), headers)
        return Reply(200, CONTENT, headers)

    with Server(answer) as server:
        assert fetching.fetch(server.url) == len(CONTENT)
    assert fetching.content == CONTENT
    assert len(server.requests) == 3


def test_a_length_that_is_shorter_than_the_body_ends_the_file(fetching: Fetching):
    """What follows it is no answer to the next request."""
    storage = Storage()
    storage.changes = [lambda reply: Reply(200, CONTENT, {"Content-Length": "1000"})]
    with Server(storage) as server:
        assert fetching.fetch(server.url, size=len(CONTENT)) == 1000
        assert fetching.fetch(server.url) == len(CONTENT)


def test_a_compressed_body_is_unpacked(fetching: Fetching):
    packed = gzip.compress(CONTENT)
    with Server(lambda request: Reply(body=packed, headers={"Content-Encoding": "gzip", "ETag": '"z"'})) as server:
        assert fetching.fetch(server.url, size=len(CONTENT)) == len(CONTENT)
    assert fetching.content == CONTENT


def test_a_compressed_body_that_is_cut_starts_over(fetching: Fetching):
    storage = Storage(gzip.compress(CONTENT))

    def packed(reply: Reply) -> Reply:
        reply.headers["Content-Encoding"] = "gzip"
        return reply

    storage.changes = [lambda reply: cut(500)(packed(reply)), packed]
    with Server(storage) as server:
        assert fetching.fetch(server.url, size=len(CONTENT)) == len(CONTENT)
        assert ranges(server.requests) == [None, None]
    assert fetching.content == CONTENT


def packed_in(packed: bytes, encoding: str, **headers: str) -> Callable[[Reply], Reply]:
    return lambda reply: Reply(200, packed, {"Content-Encoding": encoding, **headers})


RAW_DEFLATE = zlib.compressobj(wbits=-15)
PACKED = {
    "gzip": gzip.compress(CONTENT),
    "x-gzip": gzip.compress(CONTENT),
    "GZIP": gzip.compress(CONTENT[:100]) + gzip.compress(b"") + gzip.compress(CONTENT[100:]) + b"\0" * 9,
    "deflate": zlib.compress(CONTENT),
    "Deflate": RAW_DEFLATE.compress(CONTENT) + RAW_DEFLATE.flush(),
    "gzip, deflate": zlib.compress(gzip.compress(CONTENT)),
    "identity": CONTENT,
    "aws-chunked": CONTENT,
    "utf-8": CONTENT,
}


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("has_length", [True, False])
def test_every_encoding_that_is_supported(fetching: Fetching, encoding: str, has_length: bool):
    reply = Reply(200, PACKED[encoding], {"Content-Encoding": encoding}, has_length=has_length)
    with Server(lambda request: reply) as server:
        assert fetching.fetch(server.url, size=len(CONTENT)) == len(CONTENT)
    assert fetching.content == CONTENT


def test_an_empty_body_is_whole_in_any_encoding(fetching: Fetching):
    with Server(lambda request: Reply(200, b"", {"Content-Encoding": "gzip"})) as server:
        assert fetching.fetch(server.url) == 0


@pytest.mark.parametrize("has_length", [True, False])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "Deflate", "gzip, deflate"])
@pytest.mark.parametrize("missing", [1, 4, 8, 20])
def test_a_compressed_body_that_stops_early_is_not_whole(
    fetching: Fetching, encoding: str, missing: int, has_length: bool
):
    """Its length may mean that all of it is there: it was stored like that."""
    short = Reply(200, PACKED[encoding][:-missing], {"Content-Encoding": encoding}, has_length=has_length)
    storage = Storage()
    storage.changes = [lambda reply: short]
    with Server(storage) as server:
        assert fetching.fetch(server.url) == len(CONTENT)
        assert len(server.requests) == 2
    assert fetching.content == CONTENT


def test_a_compressed_body_that_always_stops_early_is_an_error(fetching: Fetching):
    with (
        Server(lambda request: packed_in(PACKED["gzip"][:-4], "gzip")(Reply())) as server,
        pytest.raises(SixtyfourTransferError, match="A compressed body stopped before its end"),
    ):
        fetching.fetch(server.url)


def test_a_compressed_body_that_is_damaged_is_fetched_again(fetching: Fetching):
    broken = bytearray(PACKED["gzip"])
    broken[len(broken) // 2] ^= 0xFF
    storage = Storage()
    storage.changes = [packed_in(bytes(broken), "gzip"), packed_in(b"no gzip", "gzip")]
    with Server(storage) as server:
        assert fetching.fetch(server.url) == len(CONTENT)
    assert fetching.content == CONTENT


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, x-unknown", "\xff"])
def test_an_encoding_that_is_not_supported_is_refused(fetching: Fetching, encoding: str):
    with (
        Server(lambda request: packed_in(CONTENT, encoding)(Reply())) as server,
        pytest.raises(SixtyfourTransferError, match=r"^Content-Encoding '.*' is not supported"),
    ):
        fetching.fetch(server.url)
    assert len(server.requests) == 1
    assert fetching.content == b""


class Counting(Memory):
    largest = total = 0

    def write(self, piece: bytes) -> None:
        self.largest, self.total = max(self.largest, len(piece)), self.total + len(piece)


def test_what_was_compressed_very_well_comes_in_bounded_chunks():
    fetching = Fetching(plain_settings(API, ApiKey("k")), target := Counting())
    packed = gzip.compress(bytes(100 * MIB), 9)
    with Server(lambda request: packed_in(packed, "gzip")(Reply())) as server:
        assert fetching.fetch(server.url) == target.total == 100 * MIB
    assert target.largest <= MIB


def test_the_credential_goes_to_the_apis_origin(emulator: EmulatorProcess):
    with Server(Storage()) as api, Server(Storage()) as other:
        fetching = Fetching(plain_settings(api.url, ApiKey("SESAME")))
        fetching.fetch(f"{api.url}/f")
        fetching.fetch(f"{other.url}/f")
        assert api.requests[0].headers["x-api-key"] == "SESAME"
        assert "SESAME" not in str(other.requests)


def test_the_credential_goes_to_no_host_that_looks_like_the_apis():
    # To some parsers what stands before the backslash is the host, to others it is a user's name.
    with Server(Storage()) as api, Server(Storage()) as other:
        here, there = api.url.removeprefix("http://"), other.url.removeprefix("http://")
        for url in (
            f"http://{there}\\@{here}/f",
            f"http://{there}#@{here}/f",
            f"http://{there}?@{here}/f",
            f"http://{here}@{there}/f",
            f"http://{there}/\\@{here}",
        ):
            fetching = Fetching(plain_settings(api.url, ApiKey("SESAME")))
            with contextlib.suppress(SixtyfourTransferError):
                fetching.fetch(url)
        assert "SESAME" not in str(other.requests)
        assert other.requests


def redirect(where: str, status: int = 302) -> Reply:
    return Reply(status, b"", {"Location": where})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_without_the_credential(status: int):
    with Server(Storage()) as other, Server(lambda request: redirect(f"{other.url}/f?sig=OTHER", status)) as api:
        fetching = Fetching(plain_settings(api.url, ApiKey("SESAME")))
        assert fetching.fetch(f"{api.url}/f") == len(CONTENT)
        assert [request.headers.get("x-api-key") for request in api.requests] == ["SESAME"]
        [request] = other.requests
    assert "SESAME" not in str(request)
    assert not {"x-api-key", "authorization", "cookie"} & request.headers.keys()
    assert "sig=OTHER" in fetching.secrets
    assert fetching.slept == []


def test_the_credential_does_not_come_back_along_a_redirect():
    """A storage host could otherwise have the API called with it."""
    with Server(Storage()) as api, Server(lambda request: redirect(f"{api.url}/f")) as other:
        fetching = Fetching(plain_settings(api.url, ApiKey("SESAME")))
        fetching.fetch(f"{other.url}/f")
    assert "SESAME" not in str(api.requests)
    assert len(api.requests) == 1


def test_a_redirect_within_a_host_is_followed_and_resumed(fetching: Fetching):
    storage = Storage()

    def answer(request: Request) -> Reply:
        return storage(request) if request.path == "/b/%C3%A9" else redirect("../b/" + "é".encode().decode("latin-1"))

    storage.changes = [cut(CHUNK)]
    with Server(answer) as server:
        assert fetching.fetch(f"{server.url}/a/f") == len(CONTENT)
        assert [request.path for request in server.requests] == ["/a/f", "/b/%C3%A9"] * 2
        assert ranges(server.requests) == [None, None, f"bytes={CHUNK}-", f"bytes={CHUNK}-"]


def test_redirects_are_followed_so_far(fetching: Fetching):
    def answer(request: Request) -> Reply:
        left = int(request.path[1:])
        return redirect(f"/{left - 1}") if left else Reply(200, CONTENT)

    with Server(answer) as server:
        assert fetching.fetch(f"{server.url}/{MOST_HOPS}") == len(CONTENT)
        with pytest.raises(SixtyfourTransferError, match=rf"redirected more than {MOST_HOPS} times\. Is"):
            fetching.fetch(f"{server.url}/{MOST_HOPS + 1}")
    assert len(server.requests) == 2 * (MOST_HOPS + 1)


@pytest.mark.parametrize(
    "where", ["", "http://[", "ftp://127.0.0.1/x", "file:///etc/passwd", "data:,x", "javascript:1"]
)
def test_a_redirect_to_what_is_no_url_is_refused_at_once(fetching: Fetching, where: str):
    with (
        Server(lambda request: redirect(where)) as server,
        pytest.raises(SixtyfourTransferError, match=r"^127\.0\.0\.1 redirected to no http\(s\) URL\. Is") as caught,
    ):
        fetching.fetch(f"{server.url}/f?sig=SIGNATURE")
    assert len(server.requests) == 1
    assert fetching.slept == []
    assert "SIGNATURE" not in str(caught.value)


def test_a_redirect_from_https_to_http_is_refused(certificates: Certificates):
    with (
        Server(Storage()) as plain,
        Server(lambda request: redirect(f"{plain.url}/f"), tls=certificates.server) as server,
    ):
        settings = Settings(credential=ApiKey("k"), base_url=API, timeout=10.0, verify=str(certificates.path))
        with pytest.raises(SixtyfourTransferError, match="redirected from https to http"):
            Fetching(settings).fetch(f"{server.url}/f")
    assert plain.requests == []


def test_an_expired_link_behind_a_redirect_is_requested_again(fetching: Fetching):
    storage = Storage()
    storage.changes = [instead(403)]
    with Server(storage) as other, Server(lambda request: redirect(other.url)) as server:
        links = iter(f"{server.url}/{number}" for number in range(9))
        assert fetching.fetch(lambda: link(next(links))) == len(CONTENT)
        assert [request.path for request in server.requests] == ["/0", "/1"]


def test_netrc_is_not_asked(fetching: Fetching, netrc: Path):
    with Server(Storage()) as server:
        fetching.fetch(server.url)
    assert "authorization" not in server.requests[0].headers


class FullStore(Memory):
    def write(self, piece: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_cookie_of_a_storage_host_is_not_kept(fetching: Fetching):
    with Server(lambda _: Reply(body=b"content", headers={"Set-Cookie": "a=b"})) as server:
        fetching.fetch(f"{server.url}/f")
        fetching.fetch(f"{server.url}/f")
    assert ["cookie" in request.headers for request in server.requests] == [False, False]


def test_a_full_store_is_no_outage():
    fetching = Fetching(plain_settings(API, ApiKey("k")), FullStore())
    with Server(Storage()) as server, pytest.raises(OSError, match="No space left on device"):
        fetching.fetch(server.url)
    assert len(server.requests) == 1
    assert fetching.slept == []
