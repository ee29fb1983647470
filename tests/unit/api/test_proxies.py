"""The environment's proxy is the way to the API and to the hosts of result files; a broken one is named in words."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import pytest
from urllib3.exceptions import HTTPError

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.errors import SixtyfourInputError
from airflow_provider_sixtyfour.api.hosts import Hosts, parsed
from airflow_provider_sixtyfour.api.settings import Settings
from tests.unit.api.conftest import plain_settings
from tests.unit.api.senders import Sender
from tests.unit.api.servers import Reply, Server

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
