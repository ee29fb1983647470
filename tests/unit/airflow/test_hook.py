"""From an Airflow connection to a client: every form of it, every fault of it, and what the Test button says."""

import asyncio
import json
import re
import socket
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, Connection

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.credentials import ApiKey, OAuthClient
from airflow_provider_sixtyfour.api.errors import SixtyfourInputError
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from tests.unit.airflow.conftest import CLIENT_ID, KEY_ID

KEY = "k-1234567890-abcdef"


@pytest.fixture
def connect(monkeypatch):
    """Define the connection ``c``, by its fields or as a URI, and return a hook that uses it."""

    def define(uri=None, **fields):
        text = uri or json.dumps({"conn_type": "sixtyfour", **fields})
        monkeypatch.setenv("AIRFLOW_CONN_C", text)
        return SixtyfourHook("c")

    return define


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({}, "https://api.sixtyfour.ai"),
        ({"host": ""}, "https://api.sixtyfour.ai"),
        ({"host": "https://api.example.com"}, "https://api.example.com"),
        ({"host": "https://api.example.com/"}, "https://api.example.com"),
        ({"host": "https://api.example.com/proxy/"}, "https://api.example.com/proxy"),
        ({"host": "api.example.com"}, "https://api.example.com"),
        ({"host": "127.0.0.1", "port": 6464, "schema": "http"}, "http://127.0.0.1:6464"),
        ({"host": "http://127.0.0.1", "port": 6464}, "http://127.0.0.1:6464"),
        ({"host": "http://127.0.0.1:6464", "port": 1}, "http://127.0.0.1:6464"),
        ({"host": "127.0.0.1:6464", "schema": "http"}, "http://127.0.0.1:6464"),
    ],
    ids=str,
)
def test_the_base_url(connect, fields, base_url):
    assert connect(password=KEY, **fields).settings.base_url == base_url


@pytest.mark.parametrize(
    ("uri", "base_url"),
    [
        (f"sixtyfour://:{KEY}@", "https://api.sixtyfour.ai"),
        (f"sixtyfour://:{KEY}@api.example.com", "https://api.example.com"),
        (f"sixtyfour://:{KEY}@127.0.0.1:6464/http", "http://127.0.0.1:6464"),
        (f"sixtyfour://:{KEY}@{quote('http://127.0.0.1:6464', safe='')}", "http://127.0.0.1:6464"),
        (f"sixtyfour://http://:{KEY}@127.0.0.1:6464", "http://127.0.0.1:6464"),
    ],
)
def test_a_connection_as_a_uri(connect, uri, base_url):
    settings = connect(uri).settings

    assert (settings.base_url, settings.credential.headers()) == (base_url, {"x-api-key": KEY})


@pytest.mark.parametrize("how", ["uri", "json"])
def test_the_extra_of_a_uri_is_text_and_means_the_same(connect, how):
    uri = f"sixtyfour://:{KEY}@127.0.0.1:6464/http?timeout=7.5&verify=false"
    fields = {"password": KEY, "host": "http://127.0.0.1:6464", "extra": {"timeout": 7.5, "verify": False}}

    settings = (connect(uri) if how == "uri" else connect(**fields)).settings

    assert (settings.timeout, settings.verify) == (7.5, False)


@pytest.mark.parametrize("extra", [{}, {"timeout": None, "verify": None}, {"timeout": "", "verify": ""}], ids=str)
def test_what_is_left_empty_in_the_form_is_the_default(connect, extra):
    settings = connect(password=KEY, extra=extra).settings

    assert (settings.timeout, settings.verify) == (60.0, True)


def test_a_ca_bundle(connect):
    assert connect(password=KEY, extra={"verify": "/etc/ssl/ca.pem"}).settings.verify == "/etc/ssl/ca.pem"


@pytest.mark.parametrize("form", ["text", "path", "escaped line breaks"])
def test_an_oauth_client(connect, keys, tmp_path, form):
    extra = {"key_id": KEY_ID}
    if form == "path":
        (tmp_path / "key.pem").write_text(keys.private)
        extra["private_key_path"] = str(tmp_path / "key.pem")
    else:
        extra["private_key"] = keys.private if form == "text" else keys.private.replace("\n", "\\n")

    credential = connect(login=CLIENT_ID, extra=extra).settings.credential

    assert isinstance(credential, OAuthClient)
    assert credential.headers() is None  # a token is fetched when it is needed


def test_an_api_key_is_sent_as_such(connect):
    credential = connect(password=KEY, login="somebody").settings.credential

    assert isinstance(credential, ApiKey)


def bad_connections(private_key):
    whole = {"login": CLIENT_ID, "extra": {"key_id": KEY_ID, "private_key": private_key}}
    return {
        "nothing": ({}, "Connection 'c' has no credential"),
        "a client id only": ({"login": CLIENT_ID}, "has no credential"),
        "both": ({**whole, "password": KEY}, "has both an API key (password) and an OAuth client (extra)"),
        "no client id": ({"extra": whole["extra"]}, "has no login"),
        "no key id": ({"login": CLIENT_ID, "extra": {"private_key": private_key}}, "has no extra.key_id"),
        "a key id only": ({"login": CLIENT_ID, "extra": {"key_id": KEY_ID}}, "give private_key or private_key_path"),
        "two keys": (
            {"login": CLIENT_ID, "extra": {**whole["extra"], "private_key_path": "/x"}},
            "give private_key or private_key_path in its extra, one of the two",
        ),
        "a key that is none": (
            {"login": CLIENT_ID, "extra": {"key_id": KEY_ID, "private_key": f"-----BEGIN {KEY}"}},
            "private_key can't be read",
        ),
        "a key file that is not there": (
            {"login": CLIENT_ID, "extra": {"key_id": KEY_ID, "private_key_path": "/nowhere/key.pem"}},
            "private_key_path of connection 'c' can't be read: No such file",
        ),
        "a key that is a number": ({"login": CLIENT_ID, "extra": {"key_id": 7, "private_key": "x"}}, "extra.key_id"),
        "an empty-looking key": ({"password": "   "}, "The API key (the connection's password)"),
        "a key with a line break": ({"password": KEY + "\n"}, "The API key (the connection's password)"),
        "a timeout of words": ({"password": KEY, "extra": {"timeout": "soon"}}, "timeout in the connection's extra"),
        "a timeout of nan": ({"password": KEY, "extra": {"timeout": "nan"}}, "timeout in the connection's extra"),
        "a timeout of nothing": ({"password": KEY, "extra": {"timeout": 0}}, "timeout in the connection's extra"),
        "a negative timeout": ({"password": KEY, "extra": {"timeout": -1}}, "timeout in the connection's extra"),
        "a timeout that is a list": ({"password": KEY, "extra": {"timeout": [5]}}, "timeout in the connection's extra"),
        "a timeout that is true": ({"password": KEY, "extra": {"timeout": True}}, "timeout in the connection's extra"),
        "verify as a number": ({"password": KEY, "extra": {"verify": 1}}, "verify in the connection's extra"),
        "verify as a list": ({"password": KEY, "extra": {"verify": ["x"]}}, "verify in the connection's extra"),
        "another scheme": ({"password": KEY, "host": "ftp://127.0.0.1"}, "it names no http(s) host"),
        "a password in the host": (
            {"password": KEY, "host": f"https://u:{KEY}@api.example.com"},
            "without user, password, query or fragment",
        ),
        "a query in the host": ({"password": KEY, "host": "https://api.example.com/?a=1"}, "without user"),
        "a host with a space": ({"password": KEY, "host": "https://api example.com"}, "it names no http(s) host"),
        "a port of letters": ({"password": KEY, "host": "https://api.example.com:x"}, "it can't be read as one"),
    }


@pytest.mark.parametrize("fault", bad_connections(""))
def test_a_fault_of_the_connection_is_named_and_no_secret_with_it(connect, keys, fault):
    fields, said = bad_connections(keys.private)[fault]
    hook = connect(**fields)

    with pytest.raises(SixtyfourInputError, match=re.escape(said)) as failure:
        _ = hook.settings
    with pytest.raises(SixtyfourInputError, match=re.escape(said)):
        asyncio.run(hook.open_async_client())

    for secret in (KEY, keys.private[40:80]):
        assert secret not in str(failure.value) + repr(failure.value)
    assert hook.test_connection() == (False, str(failure.value))


def test_a_key_that_is_not_rsa_or_is_encrypted(connect, keys):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = serialization.load_pem_private_key(keys.private.encode(), None)
    encryption = serialization.BestAvailableEncryption(b"passphrase")
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    encrypted = private.private_bytes(pem, pkcs8, encryption).decode()
    elliptic = ec.generate_private_key(ec.SECP256R1()).private_bytes(pem, pkcs8, serialization.NoEncryption()).decode()

    for key, said in ((encrypted, "unencrypted RSA private key"), (elliptic, "not an RSA key")):
        with pytest.raises(SixtyfourInputError, match=said):
            _ = connect(login=CLIENT_ID, extra={"key_id": KEY_ID, "private_key": key}).settings


def test_a_missing_connection_is_named(monkeypatch):
    with pytest.raises(AirflowNotFoundException, match="nowhere"):
        _ = SixtyfourHook("nowhere").client
    with pytest.raises(AirflowNotFoundException, match="nowhere"):
        asyncio.run(SixtyfourHook("nowhere").open_async_client())


def test_the_client_is_made_once_and_the_spare_is_another(emulator):
    hook = SixtyfourHook()

    assert hook.client is hook.client is hook.get_conn()
    assert hook.spare_client() is not hook.client
    assert hook.client.send(calls.list_workflows()) is not None


def test_a_client_for_the_loop_gives_the_same_answers(emulator, workflow):
    async def ask():
        async with await SixtyfourHook().open_async_client() as client:
            return await client.send(calls.get_workflow(workflow))

    assert asyncio.run(ask()) == SixtyfourHook().client.send(calls.get_workflow(workflow))


def test_reading_a_connection_in_a_loop_does_not_block_it(emulator):
    """Airflow's own synchronous ``get_connection`` raises or blocks in a triggerer."""

    async def open_many():
        beats = 0

        async def beat():
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0.005)

        heart = asyncio.create_task(beat())
        clients = await asyncio.gather(*(SixtyfourHook().open_async_client() for _ in range(5)))
        heart.cancel()
        for client in clients:
            await client.close()
        return beats

    assert asyncio.run(open_many()) >= 1


# The Test button


def test_a_good_connection_passes_with_one_request(emulator):
    assert SixtyfourHook().test_connection() == (True, f"{emulator.url} accepts the credential.")
    [asked] = emulator.requests()
    assert (asked["method"], asked["path"], asked["query"]) == ("GET", "/workflows/runs", "limit=1")


def test_airflow_itself_finds_the_hook_and_its_test(emulator):
    connection = Connection(conn_id="c", conn_type="sixtyfour", host=emulator.url, password=emulator.api_key)
    get_hook = getattr(connection, "get_hook", None)
    if get_hook is None:
        pytest.skip("this Airflow's connection makes no hooks")

    assert isinstance(get_hook(), SixtyfourHook)


def test_an_oauth_client_passes(emulator, connect, keys):
    extra = {"key_id": KEY_ID, "private_key": keys.private}

    assert connect(host=emulator.url, login=CLIENT_ID, extra=extra).test_connection()[0] is True


def test_a_wrong_key(emulator, connect):
    passed, said = connect(host=emulator.url, password=KEY).test_connection()

    assert passed is False
    assert said.startswith(f"{emulator.url} refuses the credential: Sixtyfour answered 401")
    assert KEY not in said
    assert len(emulator.requests()) == 1


def test_an_oauth_client_that_nobody_knows(emulator, connect, keys):
    hook = connect(host=emulator.url, login="stranger", extra={"key_id": KEY_ID, "private_key": keys.private})

    passed, said = hook.test_connection()

    assert (passed, "refuses the credential" in said, "Unknown client stranger" in said) == (False, True, True)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": 200, "body": b"<html><title>Welcome</title></html>"}, "is not the Sixtyfour API: check the host"),
        ({"status": 404, "body": b"<html>nothing here</html>"}, "is not the Sixtyfour API: check the host (404)"),
        ({"status": 200, "body": b'{"runs": []}'}, "is not the Sixtyfour API: check the host"),
        ({"status": 302, "Location": "https://login.example.com/?next=x"}, "a redirect to login.example.com, which is"),
        ({"status": 500, "body": b"oops"}, "answered 500"),
        ({"status": 429, "body": b"{}"}, "answered 429"),
    ],
    ids=lambda value: str(value["status"]) if isinstance(value, dict) else "",
)
def test_a_wrong_address_that_answers(connect, page_server, answer, said):
    url = page_server(**answer)

    passed, told = connect(host=url, password=KEY).test_connection()

    assert (passed, said in told, KEY in told) == (False, True, False), told
    assert "127.0.0.1" in told or "Sixtyfour answered" in told


def test_an_address_that_says_the_key_back(connect, page_server):
    url = page_server(401, json.dumps({"error": "Unauthorized", "message": f"no such key: {KEY}"}).encode())

    passed, told = connect(host=url, password=KEY).test_connection()

    assert (passed, KEY in told, "***" in told) == (False, False, True)


def test_a_port_where_nobody_listens(connect):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

        assert connect(host=url, password=KEY).test_connection() == (
            False,
            f"No answer from {url} while listing the runs: connection refused.",
        )


def test_a_host_that_nobody_knows(connect, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    passed, told = connect(host="https://api.example.invalid", password=KEY).test_connection()

    assert (passed, "its name can't be resolved" in told) == (False, True)


def test_a_host_that_does_not_answer(connect, page_server):
    url = page_server(200, b"[]", delay=3)

    passed, told = connect(host=url, password=KEY, extra={"timeout": 0.3}).test_connection()

    assert (passed, told) == (False, f"No answer from {url} while listing the runs: timed out after 0.3 s.")


def test_a_certificate_bundle_that_is_not_there(connect):
    passed, told = connect(
        host="https://127.0.0.1:1", password=KEY, extra={"verify": "/nowhere/ca.pem"}
    ).test_connection()

    assert (passed, "/nowhere/ca.pem" in told) == (False, True)


def test_the_connection_is_read_once_for_both_clients(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", json.dumps({"conn_type": "sixtyfour", "password": "k"}))
    read = []
    real = SixtyfourHook.get_connection
    monkeypatch.setattr(SixtyfourHook, "get_connection", lambda *given: read.append(given) or real(given[-1]))
    hook = SixtyfourHook()

    assert hook.client is not hook.spare_client()
    assert len(read) == 1
