"""Whom a client trusts; result files come from hosts that are trusted as the API is."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.api.transport import _context, tls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourRefusedError
from airflow_provider_sixtyfour.results.download import Download, Link
from tests.unit.api.certificates import Certificates
from tests.unit.api.senders import Sender
from tests.unit.api.servers import Reply, Server
from tests.unit.results.test_download import Memory

URL = "https://127.0.0.1"


def fetched(url: str, verify: bool | str) -> bytes:
    target = Memory()
    download = Download(
        Settings(credential=ApiKey("k"), base_url="http://127.0.0.1:1", timeout=10.0, verify=verify),
        on_secret=lambda _: None,
        sleep=lambda _: None,
    )
    try:
        download.fetch("leads.csv", lambda: Link(url, float("inf")), target, size=None)
    finally:
        download.close()
    return target.content


def test_a_file_comes_from_a_host_that_is_trusted(certificates: Certificates, no_bundle: None):
    with Server(lambda _: Reply(body=b"content"), tls=certificates.server) as server:
        assert fetched(server.url, str(certificates.path)) == b"content"
    context = tls(str(certificates.path), URL)  # which the client of the API shares
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_file_comes_from_a_host_that_the_environment_trusts(
    certificates: Certificates, no_bundle: None, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv(name, str(certificates.path))
    with Server(lambda _: Reply(body=b"content"), tls=certificates.server) as server:
        assert fetched(server.url, True) == b"content"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_file_comes_from_any_host_where_none_is_to_be_verified(certificates: Certificates, no_bundle: None):
    with Server(lambda _: Reply(body=b"content"), tls=certificates.server) as server:
        assert fetched(server.url, False) == b"content"


def test_nothing_is_asked_of_a_host_that_is_not_trusted(certificates: Certificates, no_bundle: None):
    with Server(lambda _: Reply(body=b"content"), tls=certificates.server) as server:
        with pytest.raises(SixtyfourRefusedError, match=r"The certificate of 127\.0\.0\.1 is not trusted"):
            fetched(f"{server.url}/f?sig=SIGNATURE", True)
        assert server.requests == []


def test_clients_of_a_process_share_what_they_trust(certificates: Certificates):
    assert tls(str(certificates.path), URL) is tls(str(certificates.path), URL)
    assert tls(True, URL) is tls(True, URL)


def test_a_bundle_that_has_changed_is_read_again(certificates: Certificates, tmp_path: Path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificates.path.read_bytes())
    before = tls(str(bundle), URL)
    os.utime(bundle, ns=(1, 1))
    assert tls(str(bundle), URL) is not before


def test_a_bundle_that_could_not_be_read_is_looked_for_again(certificates: Certificates, tmp_path: Path):
    bundle = tmp_path / "bundle.pem"
    with pytest.raises(SixtyfourInputError, match=r"bundle\.pem"):
        tls(str(bundle), URL)
    bundle.write_bytes(certificates.path.read_bytes())
    assert tls(str(bundle), URL).verify_mode is ssl.CERT_REQUIRED


def test_without_tls_nobody_is_trusted_and_nothing_read(tmp_path: Path):
    context = tls(str(tmp_path / "no bundle"), "http://127.0.0.1")
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.get_ca_certs() == []


def test_the_api_is_trusted_by_what_openssl_goes_by(
    certificates: Certificates,
    no_bundle: None,
    monkeypatch: pytest.MonkeyPatch,
    open_sender: Callable[[Settings], Sender],
):
    """Although the clients go by nothing else of the environment."""
    _context.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.path))
    with Server(lambda _: Reply(body=b"[]"), tls=certificates.server) as server:
        settings = Settings(ApiKey("SESAME"), base_url=server.url, timeout=10.0)
        assert open_sender(settings).send(calls.list_workflows()) == ()
    _context.cache_clear()
