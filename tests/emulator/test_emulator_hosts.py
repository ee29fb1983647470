from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.emulator.calls import Calls
from tests.emulator_process import EmulatorProcess

PATHS = ("/workflows", "/_emulator/requests", "/.well-known/oauth-authorization-server", "/storage/results/x")


@pytest.fixture(scope="module")
def private() -> Iterator[EmulatorProcess]:
    """An emulator with the default of its request log, that knows two more names."""
    more = ("--allow-host", "emulator.internal", "--allow-host", "other:8080")
    with EmulatorProcess(*more, show_credentials=False) as process:
        yield process


def status(origin: str, path: str, *lines: str, version: str = "1.1") -> int:
    """Return the status of a request with just these header lines."""
    port = int(origin.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = "\r\n".join([f"GET {path} HTTP/{version}", *lines, "Connection: close", "", ""])
        connection.sendall(head.encode())
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "name",
    [
        *("evil.example:{port}", "evil.example", "localhost.evil.example:{port}", "10.0.0.1:{port}", "0.0.0.0:{port}"),
        *(
            "127.0.0.1",
            "127.0.0.1:1",
            "other:8081",
            "a@localhost:{port}",
            "localhost:{port}/",
            "localhost:x",
            "[::1",
            "",
        ),
    ],
)
def test_requests_for_another_host_are_refused(private: EmulatorProcess, path: str, name: str) -> None:
    for origin in (private.url, private.storage_url):
        port = origin.rpartition(":")[2]
        assert status(origin, path, f"Host: {name.format(port=port)}") == 421


@pytest.mark.parametrize(
    "name",
    ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST.:{port}", "[::1]:{port}", "emulator.internal", "other:8080"],
)
def test_requests_for_this_host_and_for_allowed_ones_pass(private: EmulatorProcess, name: str) -> None:
    host = name.format(port=private.url.rpartition(":")[2])
    assert status(private.url, "/_emulator/stats", f"Host: {host}") == 200
    assert status(private.url, "/_emulator/stats", f"Host: {host}", f"Origin: http://{host}") == 200


def test_a_page_of_another_origin_is_refused(private: EmulatorProcess) -> None:
    own = f"Host: {private.url.removeprefix('http://')}"
    for origin in ("http://evil.example", "null", f"{private.url}1", "file://"):
        assert status(private.url, "/_emulator/stats", own, f"Origin: {origin}") == 421


def test_a_request_without_a_host_or_with_two_is_refused(private: EmulatorProcess) -> None:
    own = f"Host: {private.url.removeprefix('http://')}"
    assert status(private.url, "/_emulator/stats", version="1.0") == 421
    assert status(private.url, "/_emulator/stats", own, "Host: evil.example") in (400, 421)


def test_the_request_log_holds_no_credential(private: EmulatorProcess) -> None:
    calls = Calls(private)
    calls.get("/workflows")
    calls.get("/workflows")
    calls.anonymous("GET", "/workflows", headers={"Authorization": "Bearer TOKEN-IN-A-HEADER", "Cookie": "SESSION"})
    calls.anonymous("POST", "/oauth/token?client_assertion=ASSERTION", data={"client_assertion": "IN-THE-FORM"})
    job_id = calls.start(calls.deploy("find_email"))
    calls.wait(job_id)
    url = calls.files(job_id)[0]["download_url"]
    calls.download(url, **{"x-api-key": private.api_key})
    calls.close()
    log = str(private.requests() + private.storage_requests())
    signature = url.rpartition("X-Signature=")[2]
    for secret in (private.api_key, "TOKEN-IN-A-HEADER", "SESSION", "ASSERTION", "IN-THE-FORM", signature):
        assert secret not in log
    first, second, bearer = private.requests()[:3]
    assert first["headers"]["x-api-key"] == second["headers"]["x-api-key"]
    assert first["headers"]["x-api-key"].startswith("sha256:")
    assert bearer["headers"]["authorization"].startswith("Bearer sha256:")
    assert "X-Signature=sha256:" in private.storage_requests()[0]["query"]
