"""The HTTP libraries' own log lines hold no query of a URL, no login and no cookie; they are not silenced."""

from __future__ import annotations

import logging
from collections.abc import Callable

import httpx
import pytest
import urllib3

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.http_logging import redact_http_logs
from airflow_provider_sixtyfour.api.session import Session
from airflow_provider_sixtyfour.api.settings import Settings
from tests.unit.api.conftest import plain_settings
from tests.unit.api.senders import Sender
from tests.unit.api.servers import Reply, Server

OpenSender = Callable[[Settings], Sender]
SECRETS = ("SESAME", "SIGNED", "COOKIE", "PASSWORD")


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "urllib3"):  # which Airflow may have made quieter
        caplog.set_level(logging.DEBUG, logger=name)


def reply(_: object) -> Reply:
    headers = {"Set-Cookie": "session=COOKIE", "Location": "http://x.invalid/a?sig=SIGNED&b=SIGNED"}
    return Reply(302, headers=headers)


def test_a_signed_link_is_logged_without_its_signature(caplog: pytest.LogCaptureFixture):
    with Server(lambda _: Reply(body=b"x")) as server:
        session = Session(plain_settings(server.url, ApiKey("SESAME")))
        for path in ("/f.csv?sig=SIGNED", "/f.csv?a=1&X-Amz-Signature=SIGNED%2F+b#part", "/?SIGNED"):
            session.get(server.url + path)
        session.close()
    lines = [record.getMessage() for record in caplog.records if record.name == "urllib3.connectionpool"]
    assert any('"GET /f.csv?*** HTTP/1.1" 200' in line for line in lines)
    assert not any(secret in caplog.text for secret in SECRETS)


def test_a_call_is_logged_without_credential_query_and_cookie(
    open_sender: OpenSender, caplog: pytest.LogCaptureFixture
):
    with Server(reply) as server, pytest.raises(Exception, match="a redirect"):
        open_sender(plain_settings(server.url, ApiKey("SESAME"))).send(calls.list_runs(), attempts=1)
    names = {record.name for record in caplog.records}
    assert {"httpx", "httpcore.http11", "httpcore.connection"} <= names
    [line] = [record.getMessage() for record in caplog.records if record.name == "httpx"]
    assert line == f'HTTP Request: GET {server.url}/workflows/runs?*** "HTTP/1.1 302 Found"'
    assert "http://x.invalid/a?***" in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)
    assert "limit=" not in caplog.text


def test_what_others_of_the_process_log_stays(caplog: pytest.LogCaptureFixture):
    redact_http_logs()
    with Server(lambda _: Reply(body=b"x")) as server:
        httpx.get(f"{server.url}/theirs", trust_env=False)
        urllib3.request("GET", f"{server.url}/theirs")
    assert caplog.text.count("/theirs") == 2
    before = caplog.text
    logging.getLogger("somebody.else").info("http://x.invalid/?a=1")
    assert "?a=1" in caplog.text.removeprefix(before)


@pytest.mark.parametrize("name", ["httpx", "httpcore.proxy", "urllib3.connectionpool", "urllib3.connection"])
def test_each_shape_of_a_secret_is_cut(name: str, caplog: pytest.LogCaptureFixture):
    redact_http_logs()
    log = logging.getLogger(name)
    log.warning("to %s via %r", "https://h/p?SIGNED", "http://me:PASSWORD@proxy:3128")
    log.debug("headers=[(b'Set-Cookie', b'a=COOKIE; Path=/'), (b'Date', b'today')]")
    log.warning("odd %d", "http://h/?SIGNED")  # as a mistake of the library would be
    log.warning({"url": "http://h/?SIGNED"})
    assert not any(secret in caplog.text for secret in SECRETS)
    assert "to https://h/p?*** via 'http://***@proxy:3128'" in caplog.text
    assert "(b'Set-Cookie', b'***'), (b'Date', b'today')" in caplog.text


def test_opening_many_clients_adds_one_filter():
    for _ in range(5):
        redact_http_logs()
        Session(plain_settings("http://127.0.0.1:1", ApiKey("k"))).close()
    for name in ("httpx", "urllib3.connectionpool", "httpcore.http11"):
        assert len(logging.getLogger(name).filters) == 1
