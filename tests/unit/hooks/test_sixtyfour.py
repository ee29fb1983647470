"""From an Airflow connection to a client: every form of it, every fault of it, and what the Test button shows."""

import asyncio
import json
import re
import socket
from urllib.parse import quote

import pytest
from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException, Connection

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.credentials import ApiKey, OAuthClient
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.triggers.sixtyfour import SixtyfourRunTrigger
from tests.unit.conftest import CLIENT_ID, KEY_ID, Empty
from tests.unit.standins import Task, fire

KEY = "k-1234567890-abcdef"
AIRFLOW_2 = airflow_version.startswith("2.")


@pytest.fixture
def connect(monkeypatch):
    """Define the connection ``c``, by its fields or as a URI, and return a hook that uses it."""

    def define(uri=None, **fields):
        text = uri or json.dumps({"conn_type": "sixtyfour", **fields})
        monkeypatch.setenv("AIRFLOW_CONN_C", text)
        return SixtyfourHook("c")

    return define


class Away:
    """A secrets backend that can't be reached."""

    def get_connection(self, conn_id):
        raise ConnectionError(f"https://vault.example/{conn_id}?token=SESAME")


def not_defined(*_, **__):
    raise AirflowNotFoundException("The conn_id `nowhere` isn't defined")


async def anot_defined(*_, **__):
    not_defined()


READS = [
    pytest.param(lambda hook: hook.client, id="worker"),
    pytest.param(lambda hook: asyncio.run(hook.open_async_client()), id="triggerer"),
]


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
        ({"host": "::1", "port": 6464, "schema": "http"}, "http://[::1]:6464"),
        ({"host": "[::1]", "port": 6464, "schema": "http"}, "http://[::1]:6464"),
        ({"host": "http://::1", "port": 6464}, "http://[::1]:6464"),
        ({"host": "http://[::1]", "port": 6464}, "http://[::1]:6464"),
        ({"host": "http://[::1]:6464"}, "http://[::1]:6464"),
        ({"host": "2001:DB8::1"}, "https://[2001:db8::1]"),
        ({"host": "2001:db8::1/proxy/"}, "https://[2001:db8::1]/proxy"),
        ({"host": "::ffff:127.0.0.1", "port": 1}, "https://[::ffff:127.0.0.1]:1"),
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
        (f"sixtyfour://:{KEY}@[::1]:6464/http", "http://[::1]:6464"),
        (f"sixtyfour://:{KEY}@[2001:db8::64]", "https://[2001:db8::64]"),
        (f"sixtyfour://http://:{KEY}@[::1]:6464", "http://[::1]:6464"),
        (f"sixtyfour://:{KEY}@{quote('http://[::1]:6464', safe='')}", "http://[::1]:6464"),
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
        "a key id only": (
            {"login": CLIENT_ID, "extra": {"key_id": KEY_ID}},
            "has no private key: set private_key or private_key_path",
        ),
        "two keys": (
            {"login": CLIENT_ID, "extra": {**whole["extra"], "private_key_path": "/x"}},
            "has two private keys: set private_key or private_key_path in its extra, one of the two",
        ),
        "a key that is none": (
            {"login": CLIENT_ID, "extra": {"key_id": KEY_ID, "private_key": f"-----BEGIN {KEY}"}},
            "private_key can't be read",
        ),
        "a key file that is not there": (
            {"login": CLIENT_ID, "extra": {"key_id": KEY_ID, "private_key_path": "/nowhere/key.pem"}},
            "Connection 'c' has a private_key_path that can't be read here: No such file",
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
        "another scheme": ({"password": KEY, "host": "ftp://127.0.0.1"}, "The connection's host names no http(s) host"),
        "a password in the host": (
            {"password": KEY, "host": f"https://u:{KEY}@api.example.com"},
            "holds more than an address (user, password, query or fragment)",
        ),
        "a query in the host": (
            {"password": KEY, "host": "https://api.example.com/?a=1"},
            "holds more than an address",
        ),
        "a host with a space": (
            {"password": KEY, "host": "https://api example.com"},
            "The connection's host names no http(s) host",
        ),
        "an address with an interface": ({"password": KEY, "host": "fe80::1%eth0"}, "The connection's host"),
        "an address that is none": ({"password": KEY, "host": "http://[::1::2]:80"}, "The connection's host"),
        "a port of letters": (
            {"password": KEY, "host": "https://api.example.com:x"},
            "The connection's host is not a valid URL",
        ),
    }


@pytest.mark.parametrize("fault", bad_connections(""))
def test_a_fault_of_the_connection_is_named_and_no_secret_with_it(connect, keys, fault):
    fields, message = bad_connections(keys.private)[fault]
    hook = connect(**fields)

    with pytest.raises(SixtyfourInputError, match=re.escape(message)) as failure:
        _ = hook.settings
    with pytest.raises(SixtyfourInputError, match=re.escape(message)):
        asyncio.run(hook.open_async_client())

    for secret in (KEY, keys.private[40:80]):
        assert secret not in str(failure.value) + repr(failure.value)
    # Airflow tests under a temporary id, which would mean nothing to a reader.
    assert hook.test_connection() == (False, str(failure.value).replace("Connection 'c'", "The connection"))


def entry_points(hook):
    """Every way from a hook to something that could be sent."""
    yield lambda: hook.client
    yield lambda: hook.get_conn()
    yield lambda: hook.spare_client()
    yield lambda: hook.settings
    yield lambda: asyncio.run(hook.open_async_client())


@pytest.mark.parametrize(
    ("define", "message"),
    [
        ({"conn_type": "aws"}, "Connection 'c' is of type aws, not sixtyfour"),
        ({"conn_type": "generic"}, "is of type generic, not sixtyfour"),
        ({"conn_type": "sixtyfour_other"}, "is of type sixtyfour_other, not sixtyfour"),
        ({"conn_type": ""}, "Connection 'c' has no type"),
        ({"conn_type": None}, "Connection 'c' has no type"),
        ("https://:{key}@{host}", "is of type https, not sixtyfour"),
        ("http://login:{key}@{host}", "is of type http, not sixtyfour"),
        ("//:{key}@{host}", "Connection 'c'"),
    ],
    ids=str,
)
def test_nothing_is_sent_with_a_connection_of_another_type(connect, monkeypatch, define, message):
    asked = []
    monkeypatch.setattr(socket.socket, "connect", lambda *given: asked.append(given))
    host = "api.example.com"
    if isinstance(define, str):
        hook = connect(define.format(key=KEY, host=host))
    else:
        hook = connect(host=f"https://{host}", password=KEY, **define)

    for enter in entry_points(hook):
        with pytest.raises(SixtyfourInputError, match=message) as failure:
            enter()
        assert KEY not in str(failure.value)
    passed, message = hook.test_connection()

    assert (passed, KEY in message, "'c'" in message) == (False, False, False)
    assert asked == []


def test_a_task_with_a_connection_of_another_type_fails_for_good(emulator, monkeypatch):
    fields = {"conn_type": "aws", "host": emulator.url, "password": emulator.api_key}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(fields))
    given = {"workflow_id": "w", "webhook_payload": [{"a": 1}], "sixtyfour_conn_id": "aws_default"}

    with pytest.raises(AirflowFailException, match=r"^Connection 'aws_default' is of type aws, not sixtyfour"):
        Task(lambda: SixtyfourRunWorkflowOperator(task_id="t", **given)).run()

    assert emulator.requests() == []


@pytest.mark.parametrize("read", READS)
def test_unknown_fields_of_the_extra_are_named_and_not_their_values(connect, logs, read):
    extra = {"time_out": "SESAME", "Verify": "SESAME", "region": "SESAME", "timeout": 5, "webhook_secret": "x"}
    extra |= {"allow_unsigned": True, "extra__http__thing": "SESAME"}

    read(connect(password=KEY, extra=extra))

    [warning] = logs.texts("warning")
    assert warning.startswith(
        "Unknown in the connection's extra, and ignored: 'time_out' (did you mean 'timeout'?), "
        "'Verify' (did you mean 'verify'?), 'region'. Connection 'c'."
    )
    assert "SESAME" not in warning


def test_known_fields_of_the_extra_are_no_warning(connect, keys, logs):
    extra = {"key_id": KEY_ID, "private_key": keys.private, "timeout": 5, "verify": True, "requests_per_minute": 60}
    _ = connect(login=CLIENT_ID, extra=extra).settings

    assert logs.texts("warning") == []


def test_many_unknown_fields_are_counted(connect, logs):
    _ = connect(password=KEY, extra={f"unknown-{number}" * 20: 1 for number in range(500)}).settings

    [warning] = logs.texts("warning")
    assert "and 495 more" in warning
    assert len(warning) < 400


def test_fields_that_an_older_form_has_written_count(connect, logs):
    assert connect(password=KEY, extra={"extra__sixtyfour__timeout": 7}).settings.timeout == 7.0
    assert connect(password=KEY, extra={"extra__sixtyfour__timeout": 7, "timeout": 8}).settings.timeout == 8.0
    assert logs.texts("warning") == []


@pytest.mark.parametrize("extra", ["not JSON SESAME", "[1, 2]", '"text"', "7"])
def test_an_extra_that_is_no_json_object(connect, extra):
    # Airflow 3.0 and 3.1 themselves fail on some of these.
    message = (
        "Connection 'c' (has an extra that is no JSON object|can't be read: AIRFLOW_CONN_C is no valid connection)"
    )
    with pytest.raises(SixtyfourInputError, match=message) as failure:
        _ = connect(password=KEY, extra=extra).settings
    assert "SESAME" not in str(failure.value)


def key_files(private):
    text = private.encode()
    attributes = "Bag Attributes\n    friendlyName: Schlüssel für 64\nKey Attributes: <No Attributes>\n"
    return {
        "a byte order mark": b"\xef\xbb\xbf" + text,
        "UTF-16": private.encode("utf-16"),
        "attributes in UTF-8": attributes.encode() + text,
        "attributes in Latin-1": attributes.encode("latin-1") + text,
        "Windows line ends": text.replace(b"\n", b"\r\n"),
        "old line ends": text.replace(b"\n", b"\r"),
        "a certificate before it": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + text,
        "indented": b"".join(b"    " + line + b"\n" for line in text.splitlines()),
    }


@pytest.mark.parametrize("form", key_files(""))
def test_a_key_file_as_tools_write_it(connect, keys, tmp_path, form):
    path = tmp_path / "key.pem"
    path.write_bytes(key_files(keys.private)[form])

    credential = connect(login=CLIENT_ID, extra={"key_id": KEY_ID, "private_key_path": str(path)}).settings.credential

    assert isinstance(credential, OAuthClient)


def test_a_key_file_in_the_home_folder(connect, keys, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key.pem").write_text(keys.private)

    assert connect(login=CLIENT_ID, extra={"key_id": KEY_ID, "private_key_path": "~/key.pem"}).settings


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x00" * (1024 * 1024 + 1), "private_key_path that can't be read here: it has more than 1,048,576 bytes"),
        (b"", "private_key can't be read"),
        (b"\xff\xfe\x00", "private_key can't be read"),
    ],
)
def test_a_key_file_that_holds_none(connect, tmp_path, content, message):
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(SixtyfourInputError, match=message):
        _ = connect(login=CLIENT_ID, extra={"key_id": KEY_ID, "private_key_path": str(tmp_path / "key.pem")}).settings


PASTED = {
    "escaped Windows line ends": lambda text: text.replace("\n", "\\r\\n"),
    "escaped twice": lambda text: text.replace("\n", "\\\\n"),
    "Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "spaces": lambda text: text.replace("\n", " "),
    "one line": lambda text: text.replace("\n", ""),
    "space around it": lambda text: f"\n  {text}\n ",
    "quotes around it": lambda text: f'"{text}"',
    "a byte order mark": lambda text: "\ufeff" + text,
    "indented": lambda text: text.replace("\n", "\n   "),
}


@pytest.mark.parametrize("form", PASTED)
def test_a_key_as_people_paste_it(connect, keys, form):
    extra = {"key_id": KEY_ID, "private_key": PASTED[form](keys.private)}

    assert isinstance(connect(login=CLIENT_ID, extra=extra).settings.credential, OAuthClient)


@pytest.mark.parametrize("kind", ["TraditionalOpenSSL", "PKCS8"])
def test_an_encrypted_key_is_named_as_such_in_every_form(connect, keys, kind):
    from cryptography.hazmat.primitives import serialization

    private = serialization.load_pem_private_key(keys.private.encode(), None)
    encryption = serialization.BestAvailableEncryption(b"passphrase")
    form = getattr(serialization.PrivateFormat, kind)
    encrypted = private.private_bytes(serialization.Encoding.PEM, form, encryption).decode()
    for text in (encrypted, encrypted.replace("\n", "\\n")):
        with pytest.raises(SixtyfourInputError, match="unencrypted RSA private key"):
            _ = connect(login=CLIENT_ID, extra={"key_id": KEY_ID, "private_key": text}).settings


def test_a_key_that_is_not_rsa_or_is_encrypted(connect, keys):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = serialization.load_pem_private_key(keys.private.encode(), None)
    encryption = serialization.BestAvailableEncryption(b"passphrase")
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    encrypted = private.private_bytes(pem, pkcs8, encryption).decode()
    elliptic = ec.generate_private_key(ec.SECP256R1()).private_bytes(pem, pkcs8, serialization.NoEncryption()).decode()

    for key, message in ((encrypted, "unencrypted RSA private key"), (elliptic, "not an RSA key")):
        with pytest.raises(SixtyfourInputError, match=message):
            _ = connect(login=CLIENT_ID, extra={"key_id": KEY_ID, "private_key": key}).settings


def test_a_missing_connection_is_named_and_no_retry_can_help(backends):
    backends(Empty())
    message = "Connection 'nowhere' is not defined: create it with type 'sixtyfour'"
    with pytest.raises(SixtyfourInputError, match=message) as worker:
        _ = SixtyfourHook("nowhere").client
    with pytest.raises(SixtyfourInputError, match=message):
        asyncio.run(SixtyfourHook("nowhere").open_async_client())

    assert "AIRFLOW_CONN_NOWHERE" in str(worker.value)
    assert worker.value.__suppress_context__  # Airflow's own error adds nothing
    assert SixtyfourHook("nowhere").test_connection() == (False, str(worker.value))


def test_a_missing_connection_fails_its_task_for_good(emulator, backends):
    backends(Empty())
    given = {"workflow_id": "w", "webhook_payload": [{"a": 1}], "sixtyfour_conn_id": "nowhere"}
    with pytest.raises(AirflowFailException, match="Connection 'nowhere' is not defined"):
        Task(lambda: SixtyfourRunWorkflowOperator(task_id="t", **given)).run()


def test_a_missing_connection_in_a_trigger_fails_its_task_for_good(backends):
    backends(Empty())
    event = fire(SixtyfourRunTrigger("nowhere", "job-1", poll_interval=1.0, deadline=None))

    assert event["refused"].startswith("Connection 'nowhere' is not defined")


@pytest.mark.parametrize("read", READS)
def test_a_secrets_backend_that_is_away_is_no_missing_connection(backends, read):
    backends(Empty(), Away())

    with pytest.raises(SixtyfourUnavailableError, match="can't be read for now: Away failed") as failure:
        read(SixtyfourHook("nowhere"))

    assert "SESAME" not in str(failure.value)
    assert not failure.value.may_have_worked


if not AIRFLOW_2:  # which has no supervisor
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse

    @pytest.mark.parametrize("read", READS)
    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("CONNECTION_NOT_FOUND", SixtyfourInputError),
            ("API_SERVER_ERROR", SixtyfourUnavailableError),
            ("GENERIC_ERROR", SixtyfourUnavailableError),
            (None, SixtyfourUnavailableError),
        ],
    )
    def test_an_api_server_that_is_away_is_no_missing_connection(monkeypatch, backends, read, kind, error):
        """From Airflow 3.1 on, `BaseHook.get_connection` raises the same for both."""

        class Channel:
            def send(self, msg):
                if kind is None:
                    raise EOFError
                return ErrorResponse(error=ErrorType(kind), detail={"conn_id": msg.conn_id})

        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Channel(), raising=False)
        # As 3.1 and later word it; 3.0 lets an error of the API server pass, which is retried as well.
        backends(Empty())
        monkeypatch.setattr(SixtyfourHook, "get_connection", not_defined)
        monkeypatch.setattr(SixtyfourHook, "aget_connection", anot_defined, raising=False)

        with pytest.raises(error, match=r"Connection 'nowhere' (is not defined|can't be read for now)"):
            read(SixtyfourHook("nowhere"))


def test_a_variable_that_describes_no_connection(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_C", '{"password": "SESAME", ')

    with pytest.raises(SixtyfourInputError, match="AIRFLOW_CONN_C is no valid connection") as failure:
        _ = SixtyfourHook("c").client
    assert "SESAME" not in str(failure.value)


def test_the_client_is_made_once_and_the_spare_is_another(emulator):
    hook = SixtyfourHook()

    assert hook.client is hook.client
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


def test_a_good_connection_passes_with_the_credits_that_are_left(emulator):
    emulator.fault("answer", path="/check-balance", status=200, times=1, body={"credits": 1234})

    assert SixtyfourHook().test_connection() == (True, f"{emulator.url} accepts the credential; 1,234 credits left.")

    asked = [(one["method"], one["path"], one["query"]) for one in emulator.requests()]
    assert asked == [("GET", "/workflows/runs", "limit=1"), ("GET", "/check-balance", "")]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"status": 200, "body": {"credits": 0.5}}, "; 0.5 credits left."),
        ({"status": 200, "body": {"credits": -3}}, "; -3 credits left."),
        ({"status": 404, "body": {"detail": "Not Found"}}, "."),
        ({"status": 403, "body": {"detail": "Access denied"}}, "."),
        ({"status": 500}, "."),
        ({"status": 200, "body": {"credits": "many"}}, "."),
    ],
    ids=str,
)
def test_a_missing_balance_is_no_fault_of_the_connection(emulator, answer, message):
    emulator.fault("answer", path="/check-balance", times=5, **answer)

    assert SixtyfourHook().test_connection() == (True, f"{emulator.url} accepts the credential{message}")


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
    passed, message = connect(host=emulator.url, password=KEY).test_connection()

    assert passed is False
    assert message.startswith(f"Credential refused by {emulator.url}: Sixtyfour answered 401")
    assert KEY not in message
    assert len(emulator.requests()) == 1


def test_an_oauth_client_that_nobody_knows(emulator, connect, keys):
    hook = connect(host=emulator.url, login="unknown-client", extra={"key_id": KEY_ID, "private_key": keys.private})

    passed, message = hook.test_connection()

    assert (passed, "Credential refused" in message, "Unknown client unknown-client" in message) == (False, True, True)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 200, "body": b"<html><title>Welcome</title></html>"}, "Not the Sixtyfour API at http"),
        ({"status": 404, "body": b"<html>nothing here</html>"}, "Not the Sixtyfour API (404) at http"),
        ({"status": 200, "body": b'{"runs": []}'}, "Not the Sixtyfour API at http"),
        ({"status": 302, "Location": "https://login.example.com/?next=x"}, "a redirect to login.example.com, which is"),
        ({"status": 500, "body": b"oops"}, "answered 500"),
        ({"status": 429, "body": b"{}"}, "answered 429"),
    ],
    ids=lambda value: str(value["status"]) if isinstance(value, dict) else "",
)
def test_a_wrong_address_that_answers(connect, page_server, answer, expected):
    url = page_server(**answer)

    passed, message = connect(host=url, password=KEY).test_connection()

    assert (passed, expected in message, KEY in message) == (False, True, False), message
    assert "127.0.0.1" in message or "Sixtyfour answered" in message


def test_an_address_that_echoes_the_key(connect, page_server):
    url = page_server(401, json.dumps({"error": "Unauthorized", "message": f"no such key: {KEY}"}).encode())

    passed, message = connect(host=url, password=KEY).test_connection()

    assert (passed, KEY in message, "***" in message) == (False, False, True)


def test_a_port_where_nobody_listens(connect):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

        assert connect(host=url, password=KEY).test_connection() == (
            False,
            f"No answer from {url}: connection refused. While listing the runs.",
        )


def test_a_host_that_nobody_knows(connect, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    passed, message = connect(host="https://api.example.invalid", password=KEY).test_connection()

    assert (passed, "its name can't be resolved" in message) == (False, True)


def test_a_host_that_does_not_answer(connect, page_server):
    url = page_server(200, b"[]", delay=3)

    passed, message = connect(host=url, password=KEY, extra={"timeout": 0.3}).test_connection()

    assert (passed, message) == (False, f"No answer from {url}: timed out after 0.3 s. While listing the runs.")


def test_a_certificate_bundle_that_is_not_there(connect):
    passed, message = connect(
        host="https://127.0.0.1:1", password=KEY, extra={"verify": "/nowhere/ca.pem"}
    ).test_connection()

    assert (passed, "/nowhere/ca.pem" in message) == (False, True)


def test_the_connection_is_read_once_for_both_clients(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", json.dumps({"conn_type": "sixtyfour", "password": "k"}))
    read = []
    real = SixtyfourHook.get_connection
    monkeypatch.setattr(SixtyfourHook, "get_connection", lambda *given: read.append(given) or real(given[-1]))
    hook = SixtyfourHook()

    assert hook.client is not hook.spare_client()
    assert len(read) == 1
