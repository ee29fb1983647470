from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import redact
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from airflow_provider_sixtyfour.operators.batches import split_input
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.triggers import sixtyfour as trigger_module
from tests.emulator_process import EmulatorProcess
from tests.unit.standins import StateStore, Task

try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2
    from airflow.io.store import attach

CLIENT_ID, KEY_ID = "client-1", "key-1"
ROWS = [{"name": "Lead One", "company_name": "Example Bakery"}, {"name": "Lead Two", "company_name": "Sample"}]


@dataclass(frozen=True)
class Keys:
    """An OAuth client's key pair, PEM; made for this session."""

    private: str
    public: str


@pytest.fixture(scope="session")
def keys() -> Keys:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Keys(private.decode(), public.decode())


@pytest.fixture(scope="session")
def emulator_process(keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    public_key = tmp_path_factory.mktemp("oauth") / "public.pem"
    public_key.write_text(keys.public)
    options = ("--run-seconds", "0.05", "--queue-seconds", "0", "--requests-per-minute", "0")
    with EmulatorProcess(*options, "--oauth-client", f"{CLIENT_ID}:{KEY_ID}:{public_key}") as process:
        yield process


class Emulator:
    """The session's emulator, seen by one test: its own runs and requests only."""

    def __init__(self, process: EmulatorProcess) -> None:
        self._process = process
        self._runs_before = len(self._all_runs())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs that this test has started, oldest first, without what they were started with."""
        return self._all_runs()[self._runs_before :]

    def bodies(self) -> list[Any]:
        """Return what each of them was started with."""
        return [run["body"] for run in self._process.runs()[self._runs_before :]]

    def _all_runs(self) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self._process.control("GET", "runs?bodies=false")
        return runs

    def statuses(self) -> list[str]:
        """Return the status of each of them."""
        return [run["status"] for run in self.runs()]

    def asked(self, method: str, path: str) -> list[dict[str, Any]]:
        """Return the requests for a path, also those that a fault has swallowed."""
        return [one for one in self._process.requests() if (one["method"], one["path"]) == (method, path)]

    def submissions(self) -> list[dict[str, Any]]:
        return self.asked("POST", "/workflows/run")

    def cancels(self) -> list[dict[str, Any]]:
        return self.asked("POST", "/workflows/cancel")

    def status_checks(self) -> list[dict[str, Any]]:
        """Return the requests for the live status of any run."""
        return [one for one in self._process.requests() if one["path"].endswith("/live_status")]

    def store_workflow(self, *steps: str, source: str = "webhook") -> str:
        """Store a workflow, by default one that enriches companies; return its id."""
        names = [source, *(steps or ("company_enrichment",))]
        blocks = [
            {
                "block_id": str(uuid.uuid4()),
                "sequence_number": number,
                "block_type": name,
                "block_name": name,
                "specs": {},
            }
            for number, name in enumerate(names, start=1)
        ]
        ids = [block["block_id"] for block in blocks]
        edges = [{"from_block_id": a, "to_block_id": b} for a, b in pairwise(ids)]
        body = {
            "workflow_name": "n",
            "workflow_description": "d",
            "workflow_definition": {"blocks": blocks, "edges": edges},
        }
        answer = self._process.api("POST", "/workflows/create_workflow", body)
        self._process.control("DELETE", "requests")
        return str(answer["id"])

    def start_run(self, workflow_id: str, **query: str) -> str:
        """Start a run without the provider; return its id."""
        extra = "".join(f"&{name}={value}" for name, value in query.items())
        answer = self._process.api(
            "POST", f"/workflows/run?workflow_id={workflow_id}{extra}", {"webhook_payload": ROWS}
        )
        self._process.control("DELETE", "requests")
        return str(answer["job_id"])

    def completed_run(self, workflow_id: str, **query: str) -> str:
        """Start a run without the provider and wait until it has completed."""
        job_id = self.start_run(workflow_id, **query)
        until(lambda: next(run for run in self.runs() if run["job_id"] == job_id)["status"] == "completed")
        return job_id


@pytest.fixture
def emulator(emulator_process: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulator that the default connection leads to; its runs take 0.05 s."""
    emulator_process.clear()
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", emulator_process.connection_json())
    return Emulator(emulator_process)


@pytest.fixture
def workflow(emulator: Emulator) -> str:
    """A stored workflow that takes rows."""
    return emulator.store_workflow()


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let triggers fire at once; the test of that pause sets it again."""
    monkeypatch.setattr(trigger_module, "SETTLING", 0.0)


@pytest.fixture(autouse=True)
def _nothing_masked_yet() -> None:
    """Forget the secrets of earlier tests: Airflow's masker compiles all of them again for each new one."""
    masker = sys.modules[redact.__module__]._secrets_masker()
    masker.patterns.clear()
    masker.replacer = None


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once after a failure, for tests that count tries and don't time them."""
    for module in ("api.retry", "results.download", "polling.run_watch", "polling.availability", "polling.rate_limit"):
        monkeypatch.setattr(f"airflow_provider_sixtyfour.{module}.pause", lambda *_: 0.02)
    monkeypatch.setattr("airflow_provider_sixtyfour.tasks.submission.NEW_RUN_PAUSES", (0.0, 0.02, 0.02, 0.02))
    monkeypatch.setattr("airflow_provider_sixtyfour.results.file_list.LATE_PAUSES", (0.02,) * 6)


@pytest.fixture
def at_signal() -> Iterator[Callable[[Callable[[], object], Callable[[], object]], None]]:
    """Do something in a signal handler, in the middle of what this thread is doing, once a condition holds."""
    before = signal.getsignal(signal.SIGUSR1)
    helpers: list[threading.Thread] = []

    def arm(condition: Callable[[], object], act: Callable[[], object]) -> None:
        signal.signal(signal.SIGUSR1, lambda *_: act())
        main = threading.main_thread().ident or 0

        def send() -> None:
            until(condition)
            signal.pthread_kill(main, signal.SIGUSR1)

        helpers.append(threading.Thread(target=send))
        helpers[-1].start()

    yield arm
    for helper in helpers:
        helper.join()
    signal.signal(signal.SIGUSR1, before)


@dataclass(frozen=True)
class Line:
    """A line of a log."""

    logger: str
    level: str
    text: str


class Logs:
    """Everything that is logged, by whomever and at any level, before Airflow masks anything."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def texts(self, *levels: str) -> list[str]:
        """Return what the provider itself has logged, not what Airflow 2 logs when a test calls an operator."""
        mine = [
            line
            for line in self.lines
            if "airflow_provider_sixtyfour" in line.logger and "cannot be called outside" not in line.text
        ]
        return [line.text for line in mine if line.level in (levels or ("info", "warning", "error"))]

    def __contains__(self, part: str) -> bool:
        return any(part in text for text in self.texts())


@pytest.fixture
def logs() -> Iterator[Logs]:
    found = Logs()
    formatter = logging.Formatter()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if record.exc_info:
                text += "\n" + formatter.formatException(record.exc_info)
            found.lines.append(Line(record.name, record.levelname.lower(), text))

    root, handler = logging.getLogger(), Handler(level=logging.DEBUG)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with _structlog_into(found):
            yield found
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def _structlog_into(found: Logs) -> Any:
    """Capture what operators and triggers log from Airflow 3.1 on, where it doesn't pass through ``logging``."""
    try:
        import structlog
    except ImportError:  # Airflow 2
        return contextlib.nullcontext()

    def keep(logger: Any, level: str, event: Any) -> Any:
        rest = {name: value for name, value in event.items() if name not in ("event", "exc_info")}
        text = str(event.get("event")) + (f" {rest}" if rest else "")
        found.lines.append(Line(str(getattr(logger, "name", None) or logger), level, text))
        raise structlog.DropEvent

    @contextlib.contextmanager
    def capturing() -> Iterator[None]:
        processors = structlog.get_config()["processors"]
        before = list(processors)
        processors[:] = [keep]  # in place: loggers that were used already hold on to this very list
        try:
            yield
        finally:
            processors[:] = before

    return capturing()


class Empty:
    """A secrets backend that has no connection."""

    def get_connection(self, conn_id: str) -> None:
        return None


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace what Airflow reads connections from, which may be a database that no test has made."""
    where = ["airflow.sdk.execution_time.supervisor.ensure_secrets_backend_loaded"]
    if airflow_version.startswith("2."):
        where = ["airflow.models.connection.ensure_secrets_loaded", "airflow.configuration.ensure_secrets_loaded"]

    def set_to(*backends: Any) -> None:
        for name in where:
            monkeypatch.setattr(name, lambda *_, **__: list(backends))

    return set_to


@pytest.fixture
def page_server() -> Iterator[Callable[..., str]]:
    """Serve one answer to every request; for what is not the Sixtyfour API."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    servers: list[Any] = []

    def serve(status: int = 200, body: bytes = b"", delay: float = 0.0, **headers: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(delay)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # the client has timed out
                    self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait for something that another thread, process or host is about to do."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it didn't come about"
        time.sleep(0.02)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where files are landed."""
    return tmp_path / "landed"


@pytest.fixture
def memory_store() -> Iterator[Any]:
    """A store that is no disk, under ``memory://``."""
    store = fsspec.filesystem("memory")
    attach("memory", fs=store)
    yield store
    store.rm("/", recursive=True)


@pytest.fixture
def leads(tmp_path: Path) -> Path:
    """A file of 5 rows."""
    path = tmp_path / "in" / "leads.csv"
    path.parent.mkdir()
    path.write_text("name,company_name\n" + "".join(f"Lead {number},Example {number}\n" for number in range(5)))
    return path


@pytest.fixture
def batches(leads: Path, tmp_path: Path) -> list[Any]:
    """That file in batches of 2, 2 and 1 rows."""
    return list(split_input(source=f"file://{leads}", destination=f"file://{tmp_path}/batches", batch_rows=2))


@pytest.fixture
def reading_workflow(emulator: Emulator) -> str:
    """A stored workflow that reads an uploaded file."""
    return emulator.store_workflow(source="read_csv")


@pytest.fixture
def enriching(reading_workflow: str, folder: Path, tmp_path: Path) -> Callable[..., Task]:
    """Make tasks that enrich, each with a store by default."""

    def task(*, has_store: bool = True, identity: Any = None, params: Any = None, **arguments: Any) -> Task:
        given = {
            "workflow_id": reading_workflow,
            "destination": f"file://{folder}",
            "poll_interval": 0.02,
            "deferrable": False,
            **arguments,
        }
        return Task(
            lambda: SixtyfourEnrichOperator(task_id="enrich", **given),
            store=StateStore(tmp_path / f"state-{uuid.uuid4()}.json") if has_store else None,
            params=params,
            **(identity or {}),
        )

    return task
