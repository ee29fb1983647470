"""A session for the API: who gets the credential, how a token is renewed, what the connection decides."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.api.credentials import ApiKey, Credential, OAuthClient
from airflow_provider_sixtyfour.api.session import ApiSession
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourRefusedError
from tests.emulator_process import EmulatorProcess
from tests.unit.api.certificates import Certificates
from tests.unit.api.conftest import plain_settings
from tests.unit.api.servers import Raw, Reply, Request, Server, Silent

TOKEN_PATH = "/oauth/token"
KEY = ApiKey("SESAME")

Open = Callable[..., ApiSession]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open sessions, which are closed after the test."""
    closing: list[Any] = []

    def build(url: str, credential: Credential = KEY, **options: Any) -> ApiSession:
        settings = plain_settings(url, credential)._replace(**options)
        client = SixtyfourClient(settings)
        session = ApiSession(settings, client)
        closing.extend([session, client])
        return session

    yield build
    for each in closing:
        each.close()


def credentials(server: Server) -> list[str | None]:
    return [request.headers.get("x-api-key") or request.headers.get("authorization") for request in server.requests]


def redirect(where: Callable[[], str], status: int = 302) -> Callable[[Request], Reply]:
    """Answer ``/there`` with a redirect, all else with its path."""
    return lambda request: (
        Reply(status, headers={"Location": where()})
        if request.path.endswith("/there")
        else Reply(body=request.path.encode(), headers={"Set-Cookie": "a=b"})
    )


def test_session_is_one_of_requests_for_the_api(opened: Open):
    with Server(lambda _: Reply(body=b'{"n": 1}')) as api:
        session = opened(f"{api.url}/base")
        assert isinstance(session, requests.Session)
        assert session.get("/api/usage", params={"time_window": 60}).json() == {"n": 1}
        assert session.get(f"{api.url}/whole").json() == {"n": 1}
        session.post("/x", json={"a": 1})
    assert [request.path for request in api.requests] == ["/base/api/usage?time_window=60", "/whole", "/base/x"]
    assert credentials(api) == ["SESAME"] * 3


def test_credential_goes_to_no_other_host(opened: Open):
    with Server(lambda _: Reply()) as api, Server(lambda _: Reply()) as other:
        session = opened(api.url)
        here, there = api.url.removeprefix("http://"), other.url.removeprefix("http://")
        for url in (
            other.url,
            f"http://{there}\\@{here}/f",
            f"http://{here}@{there}/f",
            f"http://{there}#@{here}/f",
            f"http://{there}?@{here}/f",
            f"http://localhost:{api.url.rpartition(':')[2]}/f",  # another origin, although the same server
        ):
            session.get(url)
        session.get("//x/f")
    assert "SESAME" not in str(other.requests)
    assert "/f" in str(other.requests)
    assert credentials(api)[:-1] == [None] * (len(api.requests) - 1)
    assert (api.requests[-1].path.lstrip("/"), credentials(api)[-1]) == ("x/f", "SESAME")  # no host, but a path


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_carries_the_credential(opened: Open, status: int):
    with Server(lambda _: Reply(body=b"other")) as other:
        with Server(redirect(lambda: f"{other.url}/f", status)) as api:
            assert opened(api.url).get("/there").content == b"other"
        with Server(redirect(lambda: "/here", status)) as same:
            assert opened(same.url).get("/there").content == b"/here"
    assert credentials(api) == ["SESAME"]
    assert "SESAME" not in str(other.requests)
    assert credentials(same) == ["SESAME", None]


def test_no_redirect_carries_a_token(opened: Open, private_pem: str):
    with Server(lambda _: Reply(401)) as other:
        token = Reply(body=b'{"access_token": "TOKEN", "expires_in": 3600}')
        back = redirect(lambda: f"{other.url}/f")
        with Server(lambda request: token if request.path == TOKEN_PATH else back(request)) as api:
            session = opened(api.url, OAuthClient("client", "key", private_pem))
            assert session.get("/there").status_code == 401
    assert credentials(api) == [None, "Bearer TOKEN"]  # and another host's 401 renews nothing
    assert len(other.requests) == 1
    assert "TOKEN" not in str(other.requests)


def test_netrc_counts_for_no_host(opened: Open, netrc: Path):
    with Server(lambda _: Reply(body=b"other")) as other, Server(redirect(lambda: f"{other.url}/f")) as api:
        session = opened(api.url)
        session.get("/x")
        session.get("/there")
        session.get(other.url)
    assert credentials(api) == ["SESAME", "SESAME"]
    assert credentials(other) == [None, None]
    assert "authorization" not in api.requests[0].headers


def test_token_is_got_once_and_renewed_before_it_ends(opened: Open, private_pem: str):
    now = [1_000_000.0]
    credential = OAuthClient("client", "key", private_pem, clock=lambda: now[0])
    numbers = itertools.count(1)

    def answer(request: Request) -> Reply:
        is_token = request.path == TOKEN_PATH
        return Reply(body=b'{"access_token": "T%d", "expires_in": 3600}' % next(numbers) if is_token else b"{}")

    with Server(answer) as api:
        session = opened(api.url, credential)
        for seconds in (0, 10, 3600):
            now[0] += seconds
            session.get("/x")
    assert [found for found in credentials(api) if found] == ["Bearer T1", "Bearer T1", "Bearer T2"]


def test_refused_token_is_replaced_once(
    opened: Open, emulator: EmulatorProcess, oauth_settings: Callable[..., Settings]
):
    session = opened(emulator.url, oauth_settings().credential)
    assert session.get("/workflows").status_code == 200
    emulator.control("DELETE", "tokens")

    answer = session.post("/workflows/create_workflow", json={"workflow_name": "x"})  # another body than none

    assert answer.status_code != 401
    assert [one.status_code for one in answer.history] == [401]
    seen = [(one["path"], one["status"]) for one in emulator.requests()]
    assert seen[-3:] == [
        ("/workflows/create_workflow", 401),
        (TOKEN_PATH, 200),
        ("/workflows/create_workflow", answer.status_code),
    ]

    emulator.fault("answer", path="/workflows", status=401, times=10, body={})
    assert session.get("/workflows").status_code == 401
    assert [one["path"] for one in emulator.requests()][-3:] == ["/workflows", TOKEN_PATH, "/workflows"]


def test_file_is_sent_again_from_its_beginning(
    opened: Open, emulator: EmulatorProcess, oauth_settings: Callable[..., Settings], tmp_path: Path
):
    session = opened(emulator.url, oauth_settings().credential)
    session.get("/workflows")
    emulator.control("DELETE", "tokens")
    path = tmp_path / "leads.csv"
    path.write_text("name\nAda\n")

    with path.open("rb") as stream:
        refused = session.post("/storage/csv/upload", data=stream)
    assert [one.status_code for one in refused.history] == [401]
    emulator.control("DELETE", "tokens")

    def pieces() -> Iterator[bytes]:
        yield b"can be sent once"

    assert session.post("/storage/csv/upload", data=pieces()).status_code == 401


def test_refused_key_is_no_reason_to_ask_again(opened: Open):
    with Server(lambda _: Reply(401)) as api:
        assert opened(api.url).get("/x").status_code == 401
    assert len(api.requests) == 1


def test_token_that_can_not_be_had_is_an_error(opened: Open, private_pem: str):
    with Server(lambda _: Reply(400, b'{"detail": "Unknown client"}')) as api:
        session = opened(api.url, OAuthClient("client", "key", private_pem))
        with pytest.raises(SixtyfourRefusedError, match="Unknown client"):
            session.get("/x")
    assert [request.path for request in api.requests] == [TOKEN_PATH]


def test_timeout_of_the_connection_is_the_default(opened: Open):
    with Silent() as api:
        session = opened(api.url, timeout=0.2)
        began = time.monotonic()
        with pytest.raises(requests.Timeout):
            session.get("/x")
        assert time.monotonic() - began < 5
        with pytest.raises(requests.Timeout, match=r"read timeout=0\.3"):
            session.get("/x", timeout=0.3)
        with pytest.raises(requests.Timeout, match=r"read timeout=0\.2"):
            session.send(requests.Request("GET", f"{api.url}/x").prepare())


def test_certificates_of_the_connection_are_the_default(opened: Open, certificates: Certificates, no_bundle: None):
    with Server(lambda _: Reply(body=b"{}"), tls=certificates.server) as api:
        assert opened(api.url, verify=str(certificates.path)).get("/x").status_code == 200
        with pytest.warns(Warning, match="Unverified"):
            assert opened(api.url, verify=False).get("/x").status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            opened(api.url, verify=True).get("/x")
        with pytest.raises(requests.exceptions.SSLError):  # of one request, and only of that one
            opened(api.url, verify=False).get("/x", verify=True)
    assert credentials(api) == ["SESAME", "SESAME"]


def test_missing_bundle_is_named(opened: Open):
    with pytest.raises(SixtyfourInputError, match=r"/nowhere\.pem"):
        opened("https://127.0.0.1:1", verify="/nowhere.pem").get("/x")


def clear_proxies(monkeypatch: pytest.MonkeyPatch, **proxies: str) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    for name, value in proxies.items():
        monkeypatch.setenv(f"{name}_proxy", value)


def test_proxy_of_the_environment_is_the_default(opened: Open, monkeypatch: pytest.MonkeyPatch):
    with Server(lambda _: Reply(body=b"by proxy")) as proxy, Server(lambda _: Reply(body=b"itself")) as api:
        clear_proxies(monkeypatch, http=proxy.url, no="127.0.0.0/8")
        assert opened("http://api.invalid").get("/x").content == b"by proxy"
        assert opened(api.url).get("/x").content == b"itself"
        assert opened(api.url).get("/x", proxies={"http": proxy.url}).content == b"by proxy"
        session = opened(api.url)
        session.proxies = {"http": proxy.url}
        assert session.get("/x").content == b"by proxy"
    assert credentials(proxy) == ["SESAME"] * 3


def test_redirect_goes_by_the_proxy_of_its_own_host(opened: Open, monkeypatch: pytest.MonkeyPatch):
    with Server(lambda _: Reply(body=b"by proxy")) as proxy:
        with Server(redirect(lambda: "http://elsewhere.invalid/f")) as api:
            clear_proxies(monkeypatch, http=proxy.url, no="127.0.0.1")
            assert opened(api.url).get("/there").content == b"by proxy"
        with Server(lambda _: Reply(body=b"itself")) as direct, Server(redirect(lambda: f"{direct.url}/f")) as via:
            clear_proxies(monkeypatch, http=via.url, no="127.0.0.1")
            assert opened("http://api.invalid").get("/there").content == b"itself"
    assert [request.path for request in proxy.requests] == ["http://elsewhere.invalid/f"]
    assert credentials(proxy) == [None]


@pytest.mark.parametrize("proxy", ["gopher://me:secret@h:1", "http://me:secret@h:port", "http://me:secret@"])
def test_proxy_that_can_not_be_used_is_named_without_its_password(
    opened: Open, monkeypatch: pytest.MonkeyPatch, proxy: str
):
    clear_proxies(monkeypatch, http=proxy)
    with pytest.raises(SixtyfourInputError, match="A proxy that the environment names") as failure:
        opened("http://api.invalid").get("/x")
    assert "secret" not in str(failure.value)


def test_session_is_closed_with_its_connections(opened: Open):
    def handle(connection: Any, stop: Any) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return True

    with Raw(handle) as api:
        with opened(api.url) as session:
            session.get("/x")
            session.get("/x")
        assert api.connections == 1
