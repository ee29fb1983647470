from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.credentials import ApiKey, Credential, OAuthClient
from airflow_provider_sixtyfour.api.settings import Settings
from tests.emulator_process import EmulatorProcess
from tests.unit.api.certificates import Certificates
from tests.unit.api.senders import SENDERS, Sender

CLIENT_ID, KEY_ID = "client-64", "key-1"


@pytest.fixture(autouse=True)
def _direct_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a proxy of this machine out: what is tested is on loopback."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def private_pem(rsa_key: rsa.RSAPrivateKey) -> str:
    return rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="session")
def emulator_process(rsa_key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    public = tmp_path_factory.mktemp("oauth") / "public.pem"
    public.write_bytes(rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    options = ["--run-seconds", "0", "--queue-seconds", "0", "--requests-per-minute", "0"]
    with EmulatorProcess(*options, "--oauth-client", f"{CLIENT_ID}:{KEY_ID}:{public}") as process:
        yield process


@pytest.fixture
def emulator(emulator_process: EmulatorProcess, workflow_id: str) -> EmulatorProcess:
    """An emulator without a rate limit, whose runs end at once and whose storage has an origin of its own."""
    forget(emulator_process)
    return emulator_process


def forget(emulator: EmulatorProcess) -> None:
    """Forget what may be left of another test; `clear` does more, and takes longer."""
    for what in ("requests", "storage-requests", "faults", "plans"):
        emulator.control("DELETE", what)


@pytest.fixture
def new_runs(emulator: EmulatorProcess) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that lists the runs that this test has started."""
    before = len(emulator.runs())
    return lambda: emulator.runs()[before:]


@pytest.fixture
def key_settings(emulator: EmulatorProcess) -> Settings:
    return plain_settings(emulator.url, ApiKey(emulator.api_key))


@pytest.fixture
def oauth_settings(emulator: EmulatorProcess, private_pem: str) -> Callable[..., Settings]:
    def build(**options: Any) -> Settings:
        credential = OAuthClient(CLIENT_ID, KEY_ID, private_pem, **options)
        return plain_settings(emulator.url, credential)

    return build


def plain_settings(url: str, credential: Credential) -> Settings:
    """Return settings for a server without TLS; reading the CA certificates for it would take the longest time."""
    return Settings(credential=credential, base_url=url, timeout=10.0, verify=not url.startswith("http:"))


@pytest.fixture(params=["sync", "async"])
def open_sender(request: pytest.FixtureRequest) -> Iterator[Callable[[Settings], Sender]]:
    """Make a sender of each kind in turn; it is closed after the test."""
    opened: list[Sender] = []

    def build(settings: Settings) -> Sender:
        opened.append(SENDERS[request.param](settings))
        return opened[-1]

    yield build
    for sender in opened:
        sender.close()


@pytest.fixture
def sender(open_sender: Callable[[Settings], Sender], key_settings: Settings) -> Sender:
    """A sender to the emulator with the API key."""
    return open_sender(key_settings)


@pytest.fixture(scope="session")
def workflow_id(emulator_process: EmulatorProcess) -> str:
    """A workflow that takes rows and finds e-mail addresses."""
    return store(emulator_process, "webhook", "find_email")


@pytest.fixture
def deploy(emulator: EmulatorProcess) -> Callable[..., str]:
    """Store a chain of blocks, given by their names, and return the workflow's id."""
    return lambda *names: store(emulator, *names)


def store(emulator: EmulatorProcess, *names: str) -> str:
    """Store a chain of blocks and return the workflow's id."""
    ids = [str(uuid.uuid4()) for _ in names]
    blocks = [
        {"block_id": block_id, "sequence_number": n, "block_type": name, "block_name": name, "specs": {}}
        for n, (block_id, name) in enumerate(zip(ids, names, strict=True), start=1)
    ]
    edges = [{"from_block_id": a, "to_block_id": b} for a, b in itertools.pairwise(ids)]
    body = {
        "workflow_name": "w",
        "workflow_description": "",
        "workflow_definition": {"blocks": blocks, "edges": edges},
    }
    return str(emulator.api("POST", "/workflows/create_workflow", body)["id"])


@pytest.fixture
def submission(workflow_id: str) -> Callable[..., calls.Call[Any]]:
    def build(key: str | None = None, **options: Any) -> calls.Call[Any]:
        body = {"webhook_payload": [{"name": "Ada"}]}
        return calls.run_workflow(workflow_id, body, idempotency_key=key, **options)

    return build


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``~/.netrc`` that has a login for this machine."""
    path = tmp_path / ".netrc"
    path.write_text("machine 127.0.0.1 login somebody password else\ndefault login somebody password else\n")
    path.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(path))
    return path
