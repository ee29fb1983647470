from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sixtyfour.emulator.cli import main
from tests.emulator.calls import Calls
from tests.emulator_process import EmulatorProcess

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "airflow_provider_sixtyfour.emulator"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the error of the command line for arguments that it can't use."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    output = capsys.readouterr()
    assert (ended.value.code, output.out) == (2, "")
    return output.err


def start(environment: dict[str, str], *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Start the emulator and return it with its first line."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_and_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    process, line = start(os.environ | {"TMPDIR": str(tmp_path)}, "--api-key", "some-key")
    assert line.startswith("Sixtyfour emulator listening on http://127.0.0.1:")
    assert line.endswith(" (API key: the one given with --api-key)\n")
    assert "some-key" not in line
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(number)
    assert process.wait(timeout=60) == 0
    assert process.stdout is not None
    assert process.stderr is not None
    # Not by `communicate`, which would miss what was read ahead with the first line, and begin within another.
    output, errors = process.stdout.read(), process.stderr.read()
    assert errors == ""
    assert all(text.startswith("Workflow ") for text in output.splitlines())
    assert list(tmp_path.iterdir()) == []


def test_it_stops_while_requests_and_connections_are_open(tmp_path: Path) -> None:
    with EmulatorProcess() as emulator:
        calls = Calls(emulator)
        calls.get("/workflows")
        emulator.fault("delay", delay=60, path="/workflows")
        port = int(emulator.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            request = f"GET /workflows HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nx-api-key: {emulator.api_key}\r\n\r\n"
            waiting.sendall(request.encode())
            while not emulator.faults()[0]["fired"]:
                time.sleep(0.01)
            began = time.monotonic()
            assert emulator.stop() == 0
            assert time.monotonic() - began < 9
        calls.close()


def test_it_ends_with_the_process_that_started_it() -> None:
    script = (
        "from tests.emulator_process import EmulatorProcess; import os\n"
        "emulator = EmulatorProcess().start(); print(emulator.pid, flush=True); os._exit(1)"
    )
    # Without site-packages, as the Airflow under test may bring nothing that the emulator needs.
    parent = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=ROOT,
        env=os.environ | {"SIXTYFOUR_EMULATOR_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    pid = int(parent.stdout)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2]:
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.05)


def test_an_answer_on_an_open_connection_does_not_wait_for_the_clients_acknowledgement(calls: Calls) -> None:
    def seconds() -> float:
        began = time.monotonic()
        calls.get("/workflows/blocks")
        return time.monotonic() - began

    # With Nagle's algorithm on, each but the first few would take 40 ms.
    assert min([seconds() for _ in range(30)][10:]) < 0.03


def test_files_stay_in_a_directory_that_the_user_chose(tmp_path: Path) -> None:
    with EmulatorProcess("--data-dir", str(tmp_path / "data"), "--run-seconds", "0", "--queue-seconds", "0") as process:
        calls = Calls(process)
        calls.upload("leads.csv", b"a\n1\n")
        job_id = calls.start(calls.deploy("find_email"))
        calls.files(job_id)
        calls.close()
    kept = sorted(str(path.relative_to(tmp_path / "data")).partition("/")[0] for path in tmp_path.rglob("*.csv"))
    assert kept == ["results", "uploads"]


def test_without_a_key_it_takes_one_that_everybody_knows() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "SIXTYFOUR_EMULATOR_API_KEY"}
    process, line = start(environment)
    try:
        assert line.endswith("(API key: emulator)\n")
        port = int(line.split(" (")[0].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(
                f"GET /workflows HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nx-api-key: emulator\r\n\r\n".encode()
            )
            assert connection.recv(12) == b"HTTP/1.1 200"
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_a_port_that_is_taken_is_reported_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = subprocess.run(
            [*COMMAND, "--port", str(taken.getsockname()[1])],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "in use" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "99999"],
        ["--run-seconds", "-1"],
        ["--run-seconds", "nan"],
        ["--fail-rate", "2"],
        ["--requests-per-minute", "-5"],
        ["--api-key", ""],
        ["--oauth-client", "only-an-id"],
        ["--oauth-client", "a:b:/nowhere.pem"],
        ["--nonsense"],
    ],
)
def test_an_option_that_makes_no_sense_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert "error: " in refused(capsys, *arguments)


@pytest.mark.parametrize("kind", ["PRIVATE", "PUBLIC"])
def test_what_is_no_public_key_is_not_taken_for_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    pem = tmp_path / "key.pem"
    pem.write_text(f"-----BEGIN {kind} KEY-----\nAAAA\n-----END {kind} KEY-----\n", encoding="ascii")
    assert "is not a public RSA key" in refused(capsys, "--oauth-client", f"a:b:{pem}")


def test_the_help_describes_every_option_and_the_control_api(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for word in ("--storage-port", "--fail-rate", "--oauth-client", "/_emulator/faults", "/_emulator/plans"):
        assert word in shown


def test_it_needs_no_airflow_and_nothing_else_of_the_provider() -> None:
    script = (
        "import sys; import airflow_provider_sixtyfour.emulator.server, airflow_provider_sixtyfour.emulator.__main__\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('airflow', 'requests', 'httpx')\n"
        "  or name.startswith('airflow_provider_sixtyfour.') and '.emulator' not in name])"
    )
    shown = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_requests_are_written_to_stderr_where_that_is_asked_for() -> None:
    process, line = start(dict(os.environ), "--verbose")
    port = int(line.split(" (")[0].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET /workflows HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        connection.recv(100)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert "GET /workflows -> 401" in errors


def test_the_control_api_answers_to_this_machine_only() -> None:
    from airflow_provider_sixtyfour.emulator.routes.control import LoopbackOnly

    reached: list[str] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["client"][0])

    async def call(host: str) -> list[int]:
        statuses: list[int] = []

        async def send(message: Any) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        scope = {"type": "http", "client": (host, 1), "headers": [], "method": "GET", "path": "/"}
        await LoopbackOnly(behind)(scope, None, send)  # type: ignore[arg-type]
        return statuses

    import asyncio

    assert asyncio.run(call("192.0.2.1")) == [403]
    assert asyncio.run(call("127.0.0.1")) == []
    assert asyncio.run(call("::1")) == []
    assert reached == ["127.0.0.1", "::1"]
