"""The environment's proxy is the way to the API and to the hosts of result files; a broken one is a clear error."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable

import pytest
from requests import RequestException

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.proxies import proxy_for
from airflow_provider_sixtyfour.api.session import Session
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourTransferError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.results.download import Download, Link
from tests.unit.api.certificates import Certificates
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
    with Session(settings) as session:
        return session.get(url).content


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
def test_the_error_of_an_unusable_proxy_has_no_password(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender], proxy: str
):
    proxied(http=proxy)
    with pytest.raises(SixtyfourInputError, match="A proxy that the environment names") as api:
        open_sender(settings).send(calls.list_workflows())
    with pytest.raises(SixtyfourInputError, match="A proxy that the environment names") as file:
        fetched(settings, f"{ELSEWHERE}/f")
    assert "secret" not in f"{api.value} {file.value}"


@pytest.mark.parametrize("proxy", ["gopher://me:secret@127.0.0.1:1", "socks://me:secret@127.0.0.1:1"])
def test_the_error_of_another_proxy_scheme_names_the_supported_ones(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender], proxy: str
):
    proxied(all=proxy)
    for send in (
        lambda: open_sender(settings).send(calls.list_workflows()),
        lambda: fetched(settings, f"{ELSEWHERE}/f"),
    ):
        with pytest.raises(SixtyfourInputError, match="its scheme is none of http, https, socks5, socks5h") as failure:
            send()
        assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        *((each, "names no host") for each in ("http://", "http://me:secret@:3128", "http://127.0.0.1:0")),
        ("http://me:secret@pro xy:3128", "names no host"),
        *(
            (each, "can't be read")
            for each in ("http://me:secret@a..b:1", "http://me:sec#ret@proxy:1", "http://127.0.0.1:99999", "::1:3128")
        ),
        (f"http://{'a' * 64}.example:1", "can't be read"),
        *((each, "more than an address") for each in ("https:/proxy:3128", "http://me#sec:ret@proxy:1", "proxy:1/x")),
    ],
)
def test_a_proxy_without_an_address_is_named_before_anything_is_sent(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender], proxy: str, reason: str
):
    proxied(all=proxy)
    for send in (
        lambda: open_sender(settings).send(calls.list_workflows()),
        lambda: fetched(settings, f"{ELSEWHERE}/f"),
    ):
        with pytest.raises(SixtyfourInputError, match=f"A proxy that the environment names .*{reason}") as failure:
            send()
        assert "sec" not in str(failure.value)


@pytest.mark.parametrize("proxy", ["127.0.0.1:1", "//127.0.0.1:1", " http://127.0.0.1:1 ", "HTTP://127.0.0.1:1"])
def test_a_proxy_may_be_written_as_curl_reads_it(proxied: Proxied, proxy: str):
    proxied(all=proxy)

    assert proxy_for(f"{ELSEWHERE}/f") == "http://127.0.0.1:1"


# Which hosts go without the proxy: a table against requests, and what is known here besides.

PROXY = "http://127.0.0.1:3128"
HOSTS = [
    "http://example.com/x",
    "http://example.com:8080/x",
    "https://api.example.com/x",
    "https://notexample.com/x",
    "http://localhost:6464/x",
    "http://10.1.2.3/x",
    "http://10.1.2.3:8080/x",
    "https://192.168.7.7/x",
    "http://[::1]/x",
    "http://[::1]:8080/x",
    "http://[fe80::7]/x",
    "https://[fd00::64]/x",
]
ENTRIES = [
    *("", "*", "example.com", ".example.com", "EXAMPLE.com", "api.example.com", "example.com:8080", "com"),
    *("localhost", "localhost:6464", "10.1.2.3", "10.0.0.0/8", "10.1.2.3/32", "10.1.2.4/31", "192.168.0.0/16", "::1"),
    *(" example.com , 10.0.0.0/8 ", "a,b,,c", "10.0.0.0/33", "10.0.0.0/x", "10.0.0/8", "/8", "*.example.com", "."),
]


@pytest.mark.parametrize("no_proxy", ENTRIES)
def test_what_requests_knows_in_no_proxy_is_decided_alike(proxied: Proxied, no_proxy: str):
    from requests.utils import get_environ_proxies, select_proxy

    proxied(http=PROXY, https=PROXY, **({"no": no_proxy} if no_proxy else {}))

    assert {url: proxy_for(url) for url in HOSTS} == {url: select_proxy(url, get_environ_proxies(url)) for url in HOSTS}


@pytest.mark.parametrize(
    ("no_proxy", "without_proxy"),
    [
        ("[::1]", {"http://[::1]/x", "http://[::1]:8080/x"}),
        ("[::1]:8080", {"http://[::1]:8080/x"}),
        ("[::1]:80", {"http://[::1]/x"}),
        ("0:0:0:0:0:0:0:1", {"http://[::1]/x", "http://[::1]:8080/x"}),
        ("fe80::/10", {"http://[fe80::7]/x"}),
        ("fd00::/8", {"https://[fd00::64]/x"}),
        ("[fd00::]/8", {"https://[fd00::64]/x"}),
        ("::/0", {url for url in HOSTS if "[" in url}),
        ("0.0.0.0/0", {"http://10.1.2.3/x", "http://10.1.2.3:8080/x", "https://192.168.7.7/x"}),
        ("10.0.0.0/255.0.0.0", {"http://10.1.2.3/x", "http://10.1.2.3:8080/x"}),
        ("10.1.2.3:8080", {"http://10.1.2.3:8080/x"}),
        ("example.com:80", {"http://example.com/x"}),
        ("example.com:443", {"https://api.example.com/x"}),
        (
            "localhost,127.0.0.1,::1,fd00::/8,.internal",
            {"http://localhost:6464/x", "http://[::1]/x"} | {"http://[::1]:8080/x", "https://[fd00::64]/x"},
        ),
        ("other.example, *", set(HOSTS)),
        ("fe80::/129", set()),
        ("[::1", {"http://[::1]/x", "http://[::1]:8080/x"}),
        ("[]:80", set()),
        ("[::1]:99999999", set()),
        ("://,[/],%,[::1]]", {"http://[::1]/x", "http://[::1]:8080/x"}),
    ],
)
def test_what_is_known_in_no_proxy_besides(proxied: Proxied, no_proxy: str, without_proxy: set[str]):
    proxied(all=PROXY, no=no_proxy)

    assert {url for url in HOSTS if proxy_for(url) is None} == without_proxy


@pytest.mark.parametrize("no_proxy", ["[::1]", "[::1]:8080", "fe80::/10", "fd00::/8", "127.0.0.0/8", "127.0.0.1:1,x"])
def test_no_entry_of_no_proxy_keeps_a_client_from_working(
    proxied: Proxied, open_sender: Callable[[Settings], Sender], no_proxy: str
):
    """Also where no proxy is set; httpx itself takes some of these for URLs, and ignores others."""
    with Server(lambda _: Reply(body=b"[]")) as server, Server(lambda _: Reply(body=b"[]")) as proxy:
        local = plain_settings(server.url, ApiKey("SESAME"))
        proxied(no=no_proxy)
        assert open_sender(local).send(calls.list_workflows()) == ()
        assert fetched(local, f"{server.url}/f") == b"[]"
        proxied(all=proxy.url, no=no_proxy)
        assert open_sender(local).send(calls.list_workflows()) == ()
        assert fetched(local, f"{server.url}/f") == b"[]"
        asked = 0 if no_proxy == "127.0.0.0/8" else 2
        assert (len(proxy.requests), len(server.requests)) == (asked, 4 - asked)


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({"HTTPS_PROXY": "http://p:1"}, "https://h", "http://p:1"),
        ({"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "https://h", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://h", None),
        ({"ALL_PROXY": "http://p:1"}, "http://h", "http://p:1"),
        ({"all_proxy": "http://p:1", "HTTP_PROXY": "http://q:1"}, "http://h", "http://q:1"),
        ({"http_proxy": "p:1"}, "http://h", "http://p:1"),
        ({"http_proxy": " HTTP://u:p@p:1 "}, "http://h", "http://u:p@p:1"),
        ({"http_proxy": ""}, "http://h", None),
        ({"https_proxy": "https://p:1"}, "https://h", "https://p:1"),
        ({"all_proxy": "socks5h://p:1"}, "https://h", "socks5h://p:1"),
        ({"NO_PROXY": "x"}, "https://h", None),
        ({"ALL_PROXY": "p:1", "no_proxy": "h"}, "https://h", None),
        ({"ALL_PROXY": "p:1", "NO_PROXY": "H"}, "https://h", None),
    ],
)
def test_which_variables_count(
    proxied: Proxied, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, proxy: str | None
):
    proxied()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert proxy_for(url) == proxy


def test_requests_is_not_loaded_where_there_is_no_proxy():
    code = (
        "import sys; from airflow_provider_sixtyfour.api.proxies import proxy_for; "
        "assert proxy_for('https://h') is None; assert 'requests' not in sys.modules"
    )
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    subprocess.run([sys.executable, "-c", code], env={**environment, "NO_PROXY": "[::1]"}, check=True)


def test_a_proxy_with_tls_is_trusted_by_the_connections_bundle(
    proxied: Proxied, certificates: Certificates, open_sender: Callable[[Settings], Sender]
):
    with Server(lambda _: Reply(body=b"[]"), tls=certificates.server) as proxy:
        proxied(http=proxy.url)
        settings = Settings(ApiKey("SESAME"), base_url=ELSEWHERE, timeout=10.0, verify=str(certificates.path))
        assert open_sender(settings).send(calls.list_workflows()) == ()
        assert fetched(settings, f"{ELSEWHERE}/f") == b"[]"
        assert len(proxy.requests) == 2


def test_a_proxy_that_is_not_there_is_an_outage(proxied: Proxied, settings: Settings):
    proxied(http="http://127.0.0.1:9")
    with pytest.raises(RequestException):
        fetched(settings, f"{ELSEWHERE}/f")


def download_error(settings: Settings, url: str) -> str:
    """Return the error of a download that gives up."""

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


# Whether an answer to a plain request is the proxy's is known of a 407 only.
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
        f"The proxy 127.0.0.1:{proxy.port} answered {status} ({reason}).{advice} While listing the workflows."
    )
    assert caught.value.status == status
    assert not caught.value.may_have_worked
    assert f"The proxy 127.0.0.1:{proxy.port} answered {status} ({reason}).{advice} While fetching result file" in file
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
    words = f"The proxy 127.0.0.1:{port} can't be reached: connection refused. While {{}}."
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
    assert str(caught.value).startswith("The proxy proxy.invalid:3128 can't be reached: its name can't be resolved")


def test_a_failure_behind_the_proxy_is_not_blamed_on_it(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender]
):
    def handle(connection: socket.socket, stop: threading.Event) -> bool:
        return False  # hangs up on the request

    with Raw(handle) as proxy:
        proxied(http=proxy.url)
        with pytest.raises(SixtyfourUnavailableError, match=rf"^No answer from {ELSEWHERE}: ") as caught:
            open_sender(settings).send(calls.list_workflows(), attempts=1)
    assert caught.value.may_have_worked


def test_a_host_that_needs_no_proxy_is_blamed_itself(
    proxied: Proxied, settings: Settings, open_sender: Callable[[Settings], Sender]
):
    url = f"http://127.0.0.1:{closed_port()}"
    proxied(http="http://127.0.0.1:9", no="127.0.0.1")
    with pytest.raises(SixtyfourUnavailableError, match=rf"^No answer from {url}: connection refused\. While .*\.$"):
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
