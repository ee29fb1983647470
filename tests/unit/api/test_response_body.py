"""An answer is read within a bound on what it decodes to; beyond it, it is unreadable, and memory doesn't grow."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.response_body import Body, UnreadableBodyError, check_values
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import SixtyfourUnavailableError
from tests.unit.api.conftest import plain_settings
from tests.unit.api.senders import Sender
from tests.unit.api.servers import Raw, Reply, Server

OpenSender = Callable[[Settings], Sender]
MIB = 1024 * 1024


def settings(url: str) -> Settings:
    return plain_settings(url, ApiKey("SESAME"))


def bomb(mebibytes: int) -> bytes:
    squeezed = zlib.compressobj(9, wbits=31)
    return b"".join(squeezed.compress(b" " * MIB) for _ in range(mebibytes)) + squeezed.flush()


def taken(data: bytes, encoding: str = "gzip", longest: int = MIB, step: int = 65536) -> bytes:
    body = Body(encoding, longest)
    for start in range(0, len(data), step):
        body.take(data[start : start + step])
    return body.whole()


@pytest.mark.parametrize("step", [1, 7, 65536])
def test_a_body_is_what_was_sent(step: int):
    text = json.dumps(list(range(5000))).encode()
    assert taken(text, "", step=step) == taken(text, "identity", step=step) == text
    assert taken(gzip.compress(text), "GZIP ", step=step) == taken(gzip.compress(text), "x-gzip", step=step) == text
    several = b"".join(gzip.compress(text[start : start + 900]) for start in range(0, len(text), 900))
    assert taken(several, step=step) == text
    assert taken(b"", "gzip") == taken(b"", "") == taken(gzip.compress(b"")) == b""


@pytest.mark.parametrize("step", [1, 1000])
def test_the_bound_itself_is_allowed_and_one_byte_more_is_not(step: int):
    for encoding, pack in (("", bytes), ("gzip", gzip.compress)):
        assert len(taken(pack(b" " * 5000), encoding, 5000, step)) == 5000
        with pytest.raises(UnreadableBodyError, match=r"it is longer than 4\.88281 KiB"):
            taken(pack(b" " * 5001), encoding, 5000, step)


@pytest.mark.parametrize(
    ("data", "encoding", "words"),
    [
        (gzip.compress(b"x" * 1000)[:-9], "gzip", "ends early"),
        (b"\x1f", "gzip", "ends early"),
        (b"no gzip", "gzip", "damaged"),
        (gzip.compress(b"x") + b"junk", "gzip", "damaged"),
        (gzip.compress(b"x")[:-4] + b"\0\0\0\0", "gzip", "damaged"),
        (b"x", "br", "not requested"),
        (b"x", "gzip, gzip", "not requested"),
        (zlib.compress(b"x"), "deflate", "not requested"),
        (gzip.compress(b"") * MIB, "gzip", "longer than 1 MiB"),  # 20 MiB that decode to nothing
    ],
    ids=["cut", "one byte", "no gzip", "junk behind", "length", "br", "twice", "deflate", "empty members"],
)
def test_the_error_explains_what_can_not_be_decoded(data: bytes, encoding: str, words: str):
    with pytest.raises(UnreadableBodyError, match=words):
        taken(data, encoding)


def test_a_bomb_takes_no_memory_beyond_the_bound():
    data = bomb(1024)
    assert len(data) < 1.1 * MIB
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableBodyError, match="longer than 4 MiB"):
            taken(data, longest=4 * MIB)
        with pytest.raises(UnreadableBodyError, match="longer than 4 MiB"):
            taken(data, longest=4 * MIB, step=len(data))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * MIB


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_a_long_answer_is_unreadable(open_sender: OpenSender, encoding: str, status: int):
    data = bomb(64) if encoding else b" " * (17 * MIB)
    headers = {"Content-Encoding": encoding, "Retry-After": "7"} if encoding else {"Retry-After": "7"}
    with Server(lambda _: Reply(status, data, dict(headers))) as server:
        sender = open_sender(settings(server.url))
        for call, bound in ((calls.list_workflows(), 16), (calls.list_runs(), 4), (calls.live_status("r"), 1)):
            with pytest.raises(SixtyfourUnavailableError) as caught:
                sender.send(call, attempts=1)
            assert str(caught.value) == (
                f"Answer {status} of the API can't be read: it is longer than {bound} MiB. While {call.purpose}."
            )
            assert (caught.value.status, caught.value.retry_after) == (status, 7.0)
            assert caught.value.may_have_worked


def test_an_answer_without_an_end_is_given_up_and_its_connection_closed(open_sender: OpenSender):
    closed = threading.Event()

    def handle(connection: socket.socket, stop: threading.Event) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while not stop.is_set():
                connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        except OSError:
            closed.set()
        return False

    with Raw(handle) as server:
        with pytest.raises(SixtyfourUnavailableError, match="longer than 1 MiB"):
            open_sender(settings(server.url)).send(calls.live_status("r"), attempts=1)
        assert closed.wait(20)


def test_only_gzip_is_requested(open_sender: OpenSender):
    with Server(lambda _: Reply(body=b"[]")) as server:
        open_sender(settings(server.url)).send(calls.list_workflows())
    assert server.requests[0].headers["accept-encoding"] == "gzip"


# Each takes three bytes or four, and some hundred in memory.
SMALL = {"objects": b"{},", "lists": b"[],", "numbers": b"1.5,", "texts": b'"",', "deep": b"[{},[],{}],"}


@pytest.mark.parametrize("kind", SMALL)
def test_an_answer_of_a_great_many_values_is_not_parsed(open_sender: OpenSender, kind: str):
    data = b"[" + SMALL[kind] * 350_000 + b"0]"
    with Server(lambda _: Reply(body=data)) as server:
        sender = open_sender(settings(server.url))
        with pytest.raises(SixtyfourUnavailableError, match=r"it holds more than 262,144 values|longer than 4 MiB"):
            sender.send(calls.list_runs(), attempts=1)


def test_values_are_counted_in_proportion_to_the_bound():
    check_values(b"1," * 1000, 16_000)
    with pytest.raises(UnreadableBodyError, match="more than 1,000 values"):
        check_values(b"1," * 1001, 16_000)


@pytest.mark.parametrize("limit", [1, 500])
def test_a_list_is_read_as_far_as_it_was_asked_for(open_sender: OpenSender, limit: int):
    rows = [{"job_id": f"r{number}", "status": "completed"} for number in range(60_000)]
    data = gzip.compress(json.dumps(rows).encode())
    with Server(lambda _: Reply(body=data, headers={"Content-Encoding": "gzip"})) as server:
        runs = open_sender(settings(server.url)).send(calls.list_runs(limit=limit), attempts=1)
    assert [run.job_id for run in runs] == [f"r{number}" for number in range(limit)]


def test_the_error_explains_that_a_list_is_expected(open_sender: OpenSender):
    with (
        Server(lambda _: Reply(body=b"{}")) as server,
        pytest.raises(SixtyfourUnavailableError, match="should be a list, not dict"),
    ):
        open_sender(settings(server.url)).send(calls.list_runs(limit=5), attempts=1)


def test_a_full_list_and_a_long_live_status_are_within_their_bounds(open_sender: OpenSender):
    metrics: dict[str, Any] = {f"metric_{number}": number / 7 for number in range(60)}
    row = {
        "job_id": "r",
        "status": "failed",
        "error_message": "é" * 1000,
        "metrics": metrics,
        "workflow_name": "n" * 99,
    }
    block = {"block_name": "find_email", "sequence_number": 1, "error_message": "é" * 1000, "metrics": metrics}
    status = {"overall_status": "running", "blocks": [block] * 200}
    replies = iter([[row] * 500, status])
    with Server(lambda _: Reply(body=json.dumps(next(replies), ensure_ascii=False).encode())) as server:
        sender = open_sender(settings(server.url))
        assert len(sender.send(calls.list_runs(limit=500), attempts=1)) == 500
        assert len(sender.send(calls.live_status("r"), attempts=1).blocks) == 200
