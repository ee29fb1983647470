"""The environment's proxy is the way to the API and to the hosts of result files; a broken one is named in words."""

from __future__ import annotations

import socket
import threading
from base64 import b64encode
from collections.abc import Callable

import pytest
from urllib3.exceptions import HTTPError

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.downloads import Download, Link
from airflow_provider_sixtyfour.api.errors import (
    SixtyfourInputError,
    SixtyfourTransferError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.api.hosts import Hosts, parsed
from airflow_provider_sixtyfour.api.settings import Settings
from tests.unit.api.conftest import plain_settings
from tests.unit.api.senders import Sender
from tests.unit.api.servers import Raw, Reply, Server, closed_port

ELSEWHERE = "http://elsewhere.invalid"  # only a proxy would know it

Proxied = Callable[..., None]


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Proxied:
    """Set the proxies of the environment."""

    def set_to(**proxies: str) -> None:
        for name in ("http", "https", "all", "no"):
            monkeypatch.delenv(f"{name}_proxy", raising=False)
            monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
        for name, value in proxies.items():
            monkeypatch.setenv(f"{name}_proxy", value)

    return set_to


@pytest.fixture
def settings() -> Settings:
    return plain_settings(ELSEWHERE, ApiKey("SESAME"))


def fetched(settings: Settings, url: str) -> bytes:
    hosts = Hosts(settings)
    try:
        with hosts.get(parsed(url), {}) as response:
            return response.read()
    finally:
        hosts.close()


@pytest.mark.parametrize("name", ["http", "all"])
@pytest.mark.parametrize("prefix", ["http://", ""])
def test_a_file_comes_by_way_of_the_proxy(proxied: Proxied, settings: Settings, name: str, prefix: str):
    with Server(lambda _: Reply(body=b"by proxy")) as proxy:
        proxied(**{name: f"{prefix}127.0.0.1:{proxy.port}"})
        assert fetched(settings, f"{ELSEWHERE}/f?sig=1") == b"by proxy"
        [request] = proxy.requests
    assert request.path == f"{ELSEWHERE}/f?sig=1"
    assert "proxy-authorization" not in request.headers


def test_the_proxys_password_goes_to_the_proxy(proxied: Proxied, settings: Settings):
    with Server(lambda _: Reply()) as proxy:
        proxied(http=f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        fetched(settings, f"{ELSEWHERE}/f")
        [request] = proxy.requests
    assert request.headers["proxy-authorization"] == f"Basic {b64encode(b'me:p@ss').decode()}"


def test_a_host_that_needs_no_proxy_is_asked_itself(proxied: Proxied, settings: Settings):
    with Server(lambda _: Reply(body=b"itself")) as server, Server(lambda _: Reply()) as proxy:
        proxied(http=proxy.url, no="127.0.0.1")
        assert fetched(settings, f"{server.url}/f") == b"itself"
        assert proxy.requests == []


def test_a_login_in_a_link_is_not_passed_on(proxied: Proxied, settings: Settings):
    with Server(lambda _: Reply()) as proxy:
        proxied(http=proxy.url)
        fetched(settings, "http://me:secret@elsewhere.invalid/f#part")
        [request] = proxy.requests
    assert request.path == f"{ELSEWHERE}/f"
    assert "authorization" not in request.headers


def test_the_api_is_asked_by_way_of_the_proxy(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender]
):
    with Server(lambda _: Reply(body=b"[]")) as proxy:
        proxied(http=proxy.url)
        assert open_sender(settings).send(calls.list_workflows()) == ()
        [request] = proxy.requests
    assert request.path.startswith(f"{ELSEWHERE}/workflows")
    assert request.headers["x-api-key"] == "SESAME"


# The system has no such scheme, or nothing that speaks it; or it is no URL at all.
BROKEN = ["gopher://me:secret@127.0.0.1:1", "socks5://me:secret@127.0.0.1:1", "http://me:secret@127.0.0.1:port"]


@pytest.mark.filterwarnings("ignore:SOCKS support in urllib3")
@pytest.mark.parametrize("proxy", BROKEN)
def test_a_proxy_that_can_not_be_used_is_told_without_its_password(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender], proxy: str
):
    proxied(http=proxy)
    with pytest.raises(SixtyfourInputError, match="A proxy that the environment names") as api:
        open_sender(settings).send(calls.list_workflows())
    with pytest.raises(SixtyfourInputError, match="A proxy that the environment names") as file:
        fetched(settings, f"{ELSEWHERE}/f")
    assert "secret" not in f"{api.value} {file.value}"


def test_a_proxy_that_is_not_there_is_bad_weather(proxied: Proxied, settings: Settings):
    proxied(http="http://127.0.0.1:9")
    with pytest.raises(HTTPError):
        fetched(settings, f"{ELSEWHERE}/f")


def download_error(settings: Settings, url: str) -> str:
    """Return what a download says that gives up."""

    class Target:
        def write(self, piece: bytes, /) -> None:
            raise AssertionError("nothing should arrive")

        def start_over(self) -> None:
            raise AssertionError("nothing should arrive")

    download = Download(settings, on_secret=lambda _: None, sleep=lambda _: None)
    with pytest.raises(SixtyfourTransferError) as caught:
        download.fetch("a.csv", lambda: Link(url, float("inf")), Target(), size=None)
    download.close()
    return str(caught.value)


# Of an answer to a plain request other than 407, nobody can tell whether it is the proxy's.
@pytest.mark.parametrize(
    ("scheme", "status", "reason"),
    [
        ("http", 407, "Proxy Authentication Required"),
        ("https", 407, "Proxy Authentication Required"),
        ("https", 403, "Forbidden"),
        ("https", 502, "Bad Gateway"),
    ],
)
def test_a_refusal_of_the_proxy_is_the_proxys(
    proxied: Proxied,
    settings: Settings,
    open_sender: Callable[[Settings], Sender],
    scheme: str,
    status: int,
    reason: str,
):
    refusal = f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\n\r\n".encode()

    def handle(connection: socket.socket, stop: threading.Event) -> bool:
        connection.sendall(refusal)
        return True

    with Raw(handle) as proxy:
        proxied(**{scheme: f"http://me:p%40ss@127.0.0.1:{proxy.port}"})
        there = settings._replace(base_url=f"{scheme}://elsewhere.invalid", verify=False)
        with pytest.raises(SixtyfourUnavailableError) as caught:
            open_sender(there).send(calls.list_workflows(), attempts=1)
        file = download_error(there, f"{scheme}://elsewhere.invalid/f?sig=SECRET")
    advice = " Check the user and password of the proxy in the environment (HTTPS_PROXY)." if status == 407 else ""
    assert str(caught.value) == (
        f"The proxy 127.0.0.1:{proxy.port} answered {status} ({reason}) while listing the workflows.{advice}"
    )
    assert caught.value.status == status
    assert not caught.value.may_have_worked
    assert f"The proxy 127.0.0.1:{proxy.port} answered {status} ({reason}) while fetching result file 'a.csv'." in file
    assert not any(secret in f"{caught.value} {file}" for secret in ("p%40ss", "p@ss", "me:", "SECRET"))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_can_not_be_reached_is_named(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender], scheme: str
):
    port = closed_port()
    proxied(all=f"http://me:secret@127.0.0.1:{port}")
    there = settings._replace(base_url=f"{scheme}://elsewhere.invalid", verify=False)
    with pytest.raises(SixtyfourUnavailableError) as caught:
        open_sender(there).send(calls.list_workflows(), attempts=1)
    words = f"The proxy 127.0.0.1:{port} can't be reached while {{}}: connection refused."
    assert str(caught.value) == words.format("listing the workflows")
    assert not caught.value.may_have_worked
    file = download_error(there, f"{scheme}://elsewhere.invalid/f?sig=SECRET")
    assert words.format("fetching result file 'a.csv'") in file
    assert "secret" not in f"{caught.value} {file}".lower()


def test_a_proxy_whose_name_does_not_exist_is_named(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender]
):
    proxied(http="http://me:secret@proxy.invalid:3128")
    with pytest.raises(SixtyfourUnavailableError) as caught:
        open_sender(settings).send(calls.list_workflows(), attempts=1)
    assert str(caught.value).startswith(
        "The proxy proxy.invalid:3128 can't be reached while listing the workflows: its name can't be resolved"
    )


def test_a_failure_behind_the_proxy_is_not_blamed_on_it(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender]
):
    def handle(connection: socket.socket, stop: threading.Event) -> bool:
        return False  # hangs up on the request

    with Raw(handle) as proxy:
        proxied(http=proxy.url)
        with pytest.raises(SixtyfourUnavailableError, match=rf"^No answer from {ELSEWHERE} while ") as caught:
            open_sender(settings).send(calls.list_workflows(), attempts=1)
    assert caught.value.may_have_worked


def test_a_host_that_needs_no_proxy_is_blamed_itself(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender]
):
    url = f"http://127.0.0.1:{closed_port()}"
    proxied(http="http://127.0.0.1:9", no="127.0.0.1")
    with pytest.raises(SixtyfourUnavailableError, match=rf"^No answer from {url} while .*: connection refused\.$"):
        open_sender(settings._replace(base_url=url)).send(calls.list_workflows(), attempts=1)


def test_a_407_where_no_proxy_is_set_comes_from_one_on_the_way(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender]
):
    proxied()
    with Server(lambda _: Reply(407, b"<html>")) as server:
        with pytest.raises(SixtyfourUnavailableError) as caught:
            open_sender(settings._replace(base_url=server.url)).send(calls.list_workflows(), attempts=1)
        assert "A proxy on the way to 127.0.0.1 answered 407" in download_error(settings, f"{server.url}/f")
    assert str(caught.value).startswith(f"A proxy on the way to {server.url} answered 407 (Proxy Authentication")
