"""
The emulator as a process of its own, for tests. Only the standard library is needed here.

It runs under this interpreter or, where that has no FastAPI, under the one that the environment variable
``SIXTYFOUR_EMULATOR_PYTHON`` names.

Invariant: the process is stopped by its own handle, and ends by itself when the process that started it dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_LISTENING = re.compile(r"listening on (http://\S+?)(?:, storage on (http://\S+))? \(")
_ROOT = Path(__file__).resolve().parents[2]


class EmulatorProcess:
    """
    A running emulator: ``with EmulatorProcess("--run-seconds", "1") as emulator: ...``.

    :param arguments: of the command line, see ``python -m airflow_provider_sixtyfour.emulator --help``.
    """

    def __init__(
        self,
        *arguments: str,
        separate_storage: bool = True,
        show_credentials: bool = False,
        api_key: str | None = None,
        port: int = 0,
        start_seconds: float = 60.0,
        stop_seconds: float = 10.0,
    ) -> None:
        self.api_key = api_key or secrets.token_urlsafe(24)
        self.url = ""
        self.storage_url = ""
        shown = ["--show-credentials"] if show_credentials else []
        storage = ["--storage-port", "0"] if separate_storage else []
        self._arguments = ["--port", str(port), *storage, *shown, *arguments]
        self._python = os.environ.get("SIXTYFOUR_EMULATOR_PYTHON") or sys.executable
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[str] | None = None
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._running.pid

    @property
    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the emulator isn't running")
        return self._process

    def start(self) -> Self:
        """Start the process and wait until it listens."""
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(  # noqa: S603 - the interpreter, with arguments of the caller
            [self._python, "-m", "airflow_provider_sixtyfour.emulator", "--stop-with-stdin", *self._arguments],
            env={**os.environ, "SIXTYFOUR_EMULATOR_API_KEY": self.api_key, "PYTHONPATH": path},
            stdin=subprocess.PIPE,  # held open: when this process dies, the emulator sees its end
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            found = _LISTENING.search(self._first_line())
            if found is None:
                raise RuntimeError("the emulator did not start; its reason is on stderr")
        except BaseException:
            self.stop()
            raise
        self.url = found[1]
        self.storage_url = found[2] or found[1]
        return self

    def stop(self) -> int | None:
        """Stop the process and return its exit code; kill it when it takes too long."""
        process, self._process = self._process, None
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)  # a paused one would never see the next
        process.terminate()
        try:
            process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
        return process.returncode

    def pause(self) -> None:
        """Stop the process where it is: connections are made, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process continue."""
        os.kill(self.pid, signal.SIGCONT)

    def outage(self, seconds: float) -> None:
        """Break all connections and refuse new ones for so long; return when it has begun."""
        self.control("POST", "outage", {"seconds": seconds})
        time.sleep(0.2)

    def connection_json(self, **extra: Any) -> str:
        """Return an Airflow connection to it, for an ``AIRFLOW_CONN_...`` variable."""
        connection: dict[str, Any] = {"conn_type": "sixtyfour", "host": self.url, "password": self.api_key}
        if extra:
            connection["extra"] = extra
        return json.dumps(connection)

    def store_workflow(self, definition: Mapping[str, Any], name: str = "Test") -> str:
        """Store a workflow of these ``blocks`` and ``edges``; return its id."""
        body = {"workflow_name": name, "workflow_description": "", "workflow_definition": definition}
        return str(self.api("POST", "/workflows/create_workflow", body)["id"])

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests to the API, oldest first."""
        return self._listed("requests")

    def storage_requests(self) -> list[dict[str, Any]]:
        """Return the requests to the storage, oldest first."""
        return self._listed("storage-requests")

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs, oldest first."""
        return self._listed("runs")

    def stats(self) -> dict[str, Any]:
        """Return counts of requests, connections, runs and credits."""
        return self._described("GET", "stats")

    def deliveries(self) -> list[dict[str, Any]]:
        """Return the outgoing webhooks, oldest first."""
        return self._listed("deliveries")

    def fault(self, action: str, **order: Any) -> dict[str, Any]:
        """Order a fault: ``fault("answer", path="/workflows/run", status=502, body="<html>", when="after")``."""
        return self._described("POST", "faults", {"action": action, **order})

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults, each with the number of times that it ``fired``."""
        return self._listed("faults")

    def plan(self, **plan: Any) -> dict[str, Any]:
        """Plan the next run: ``plan(seconds=1, fail_block=2, error_message="no credits at the source")``."""
        return self._described("POST", "plans", plan)

    def set_status(self, job_id: str, status: str, error_message: str | None = None) -> dict[str, Any]:
        """Force a run's status from now on."""
        return self._described("PATCH", f"runs/{job_id}", {"status": status, "error_message": error_message})

    def clear(self) -> None:
        """Forget requests, faults, plans and the rate limit's count; workflows and runs stay."""
        for what in ("requests", "storage-requests", "faults", "plans", "rate-limit"):
            self.control("DELETE", what)

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Call the control API and return its answer."""
        return self._call(method, f"/_emulator/{path}", body, {})

    def api(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Call the API with the key and return its answer; an ``urllib.error.HTTPError`` for a refusal."""
        return self._call(method, path, body, {"x-api-key": self.api_key, **headers})

    def _listed(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control("GET", path)
        return found

    def _described(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        found: dict[str, Any] = self.control(method, path, body)
        return found

    def _call(self, method: str, path: str, body: object, headers: dict[str, str]) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)  # noqa: S310
        if data is not None:
            request.add_header("Content-Type", "application/json")
        with self._opener.open(request, timeout=30) as answer:
            return json.loads(answer.read())

    def _first_line(self) -> str:
        """Return the line that names the addresses, and let the following lines be read as they come."""
        out = self._running.stdout
        lines: queue.Queue[str] = queue.Queue()

        def read() -> None:
            with contextlib.suppress(ValueError):  # closed when the process is stopped
                for line in out or ():
                    lines.put(line)
            lines.put("")

        threading.Thread(target=read, daemon=True).start()
        try:
            return lines.get(timeout=self._start_seconds)
        except queue.Empty:
            raise TimeoutError(f"the emulator didn't listen within {self._start_seconds:g} s") from None
