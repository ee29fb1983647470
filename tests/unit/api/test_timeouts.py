"""A request ends within its time limit, whatever the server does, and leaves no connection behind."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.api.transport import seconds
from airflow_provider_sixtyfour.exceptions import SixtyfourUnavailableError
from tests.unit.api.certificates import Certificates
from tests.unit.api.conftest import plain_settings
from tests.unit.api.senders import Sender
from tests.unit.api.servers import Raw, Reply, Server, trickle

OpenSender = Callable[[Settings], Sender]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
LIMIT = 1.0  # seconds
STEP = 0.2  # seconds between two bytes, of which there are some 40: no single read takes as long as the limit


def settings(url: str, timeout: float = LIMIT) -> Settings:
    return plain_settings(url, ApiKey("SESAME"))._replace(timeout=timeout)


def body(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")
    trickle(connection, stop, b"[" + b" " * 39, STEP)


def chunks(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    trickle(connection, stop, b"1\r\n \r\n" * 7, STEP)


def head(connection: socket.socket, stop: threading.Event) -> None:
    trickle(connection, stop, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 15, STEP)


def interim(connection: socket.socket, stop: threading.Event) -> None:
    for _ in range(40):
        if stop.wait(STEP):
            return
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")


SLOW = {each.__name__: each for each in (body, chunks, head, interim)}


@pytest.mark.parametrize("way", SLOW)
def test_an_answer_that_trickles_ends_at_the_limit(open_sender: OpenSender, way: str):
    def handle(connection: socket.socket, stop: threading.Event) -> bool:
        SLOW[way](connection, stop)
        return False

    with Raw(handle) as server:
        sender = open_sender(settings(server.url))
        began = time.monotonic()
        with pytest.raises(SixtyfourUnavailableError) as caught:
            sender.send(calls.live_status("r"), attempts=1)
        took = time.monotonic() - began
    assert str(caught.value) == (
        f"No answer from {server.url}: timed out after {LIMIT:g} s. While checking the status of run r."
    )
    assert caught.value.may_have_worked
    assert LIMIT - 0.1 <= took < LIMIT + 5  # a busy machine; the answers would take eight


def test_a_connection_that_was_cut_is_not_used_again(open_sender: OpenSender):
    answers = iter([body, None, None])

    def handle(connection: socket.socket, stop: threading.Event) -> bool:
        if (slow := next(answers)) is not None:
            slow(connection, stop)
        else:
            connection.sendall(HEAD + b"[]")
        return True

    with Raw(handle) as server:
        sender = open_sender(settings(server.url))
        with pytest.raises(SixtyfourUnavailableError):
            sender.send(calls.list_workflows(), attempts=1)
        assert sender.send(calls.list_workflows(), attempts=1) == ()
        assert sender.send(calls.list_workflows(), attempts=1) == ()
        assert server.connections == 2


async def test_stuck_requests_leave_room_for_others_while_they_last_and_after():
    stuck = threading.Event()
    lock = threading.Lock()
    counts = {"slow": 0}

    def handle(connection: socket.socket, stop: threading.Event) -> bool:
        with lock:
            is_slow = counts["slow"] < 12 and not stuck.is_set()
            counts["slow"] += is_slow
        if counts["slow"] == 12:
            stuck.set()
        if is_slow:
            body(connection, stop)
            return False
        connection.sendall(HEAD + b"[]")
        return True

    with Raw(handle) as server:
        async with AsyncSixtyfourClient(settings(server.url, timeout=3.0)) as client:
            for _ in range(3):  # more in all than there may be connections
                stuck.clear()
                counts["slow"] = 0
                waiting = [asyncio.create_task(client.send(calls.list_workflows(), attempts=1)) for _ in range(12)]
                await asyncio.to_thread(stuck.wait, 20)
                assert await client.send(calls.list_workflows(), attempts=1) == ()
                assert not any(task.done() for task in waiting)
                ends = await asyncio.gather(*waiting, return_exceptions=True)
                assert {type(end) for end in ends} == {SixtyfourUnavailableError}
            assert await client.send(calls.list_workflows(), attempts=1) == ()


def test_stuck_requests_of_threads_end_and_leave_their_connections():
    def handle(connection: socket.socket, stop: threading.Event) -> bool:
        head(connection, stop)
        return False

    with Raw(handle) as server:
        client = SixtyfourClient(settings(server.url))
        for _ in range(2):
            ends: list[BaseException] = []

            def ask(ends: list[BaseException] = ends) -> None:
                try:
                    client.send(calls.list_workflows(), attempts=1)
                except SixtyfourUnavailableError as error:
                    ends.append(error)

            threads = [threading.Thread(target=ask) for _ in range(40)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert len(ends) == 40
        client.close()


def test_a_handshake_that_is_never_finished_ends_at_the_limit(open_sender: OpenSender, no_bundle: None):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        sender = open_sender(settings(url)._replace(verify=False))
        with pytest.raises(SixtyfourUnavailableError, match="timed out after 1 s") as caught:
            sender.send(calls.list_workflows(), attempts=1)
    assert not caught.value.may_have_worked


def test_under_tls_the_limit_holds_too(open_sender: OpenSender, certificates: Certificates, no_bundle: None):
    reply = Reply(headers={"Content-Length": "1000"}, body=b" ")  # and then no more
    with Server(lambda _: reply, tls=certificates.server) as server:
        sender = open_sender(settings(server.url)._replace(verify=str(certificates.path)))
        with pytest.raises(SixtyfourUnavailableError, match="timed out after 1 s"):
            sender.send(calls.list_workflows(), attempts=1)


def test_a_name_that_takes_long_to_resolve_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch):
    resolving = threading.Event()
    real = socket.getaddrinfo

    def slow(host: Any, *args: Any, **options: Any) -> Any:
        if host == "slow.invalid":
            resolving.wait(20)
        return real(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    client = SixtyfourClient(settings("http://slow.invalid:1", timeout=0.3))
    with pytest.raises(SixtyfourUnavailableError, match=r"timed out after 0\.3 s") as caught:
        client.send(calls.list_workflows(), attempts=1)
    resolving.set()
    assert not caught.value.may_have_worked


def test_an_address_that_is_silent_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch):
    with Server(lambda _: Reply(body=b"[]")) as server, socket.socket() as silent:
        # A full queue: the system takes no further connection, and does not refuse it either.
        silent.bind(("127.0.0.2", server.port))
        silent.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for each in fillers:
            each.setblocking(False)
            each.connect_ex(("127.0.0.2", server.port))
        found = [(socket.AF_INET, 1, 6, "", (address, server.port)) for address in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        client = SixtyfourClient(settings(f"http://two.invalid:{server.port}", timeout=2.0))
        assert client.send(calls.list_workflows(), attempts=1) == ()
        for each in fillers:
            each.close()


def test_an_upload_over_a_slow_line_may_take_longer_than_the_timeout():
    def read_slowly(stream: Any, length: int) -> bytes:
        content = b""
        while len(content) < length:
            paused.wait(0.1)
            content += stream.read(min(length - len(content), 1_000_000))
        return content

    paused = threading.Event()  # never set: a pause
    with Server(lambda _: Reply(body=b'{"handle_id": "h"}'), read_body=read_slowly) as server:
        client = SixtyfourClient(settings(server.url, timeout=2.0))
        began = time.monotonic()
        assert client.send(calls.upload_file(io.BytesIO(bytes(30_000_000)), "a.csv"), attempts=1) == "h"
        assert time.monotonic() - began > 2.0


def test_an_upload_that_gets_stuck_ends():
    def handle(connection: socket.socket, stop: threading.Event) -> bool:
        stop.wait(20)
        return False

    with Raw(handle) as server:
        client = SixtyfourClient(settings(server.url))
        with pytest.raises(SixtyfourUnavailableError, match="timed out after 1 s"):
            client.send(calls.upload_file(io.BytesIO(bytes(20_000_000)), "a.csv"), attempts=1)


def test_the_answer_to_an_upload_has_the_timeout_from_when_all_is_sent():
    def handle(connection: socket.socket, stop: threading.Event) -> bool:
        received = 0
        while received < 3_000_000:
            received += len(connection.recv(65536))
        body(connection, stop)
        return False

    with Raw(handle) as server:
        client = SixtyfourClient(settings(server.url))
        began = time.monotonic()
        with pytest.raises(SixtyfourUnavailableError, match="timed out after 1 s"):
            client.send(calls.upload_file(io.BytesIO(bytes(3_000_000)), "a.csv"), attempts=1)
        assert time.monotonic() - began < 20  # the whole upload has three minutes


@pytest.mark.parametrize("size", [100, 300_000])
def test_the_limit_grows_with_what_is_sent(size: int):
    call = calls.run_workflow("w", {"webhook_payload": [{"text": "x" * size}]})
    allowed = seconds(settings("http://127.0.0.1:1", timeout=60.0), call)
    assert allowed == (60.0 if size == 100 else 60.0 + (len(call.body or b"") - 65536) // 16384)
