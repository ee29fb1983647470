"""
A real Airflow: scheduler, Dag processor, API server and triggerer, each a process of its own, on SQLite by default.

What holds: it keeps to its own home, ports of 127.0.0.1 that were free, and Airflow's stock settings except for the
ones in ``_settings``, none of which changes how a task is scheduled, deferred or resumed. It begins with an empty
database. Its processes end with the ``Processes`` that they are started through.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from demo.airflow_rest import AirflowRest
from demo.processes import Processes, free_ports

STARTUP_LIMIT = 180.0  # seconds; two cores that others use too have taken 60
COMPONENTS = {
    "api-server": ["api-server"],
    # The log servers would use fixed ports, and the API server reads the same disk.
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
}


def _settings(home: Path, dags_folder: Path, port: int) -> dict[str, str]:
    url = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Nobody else reaches 127.0.0.1's port, and a token is had without a password.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        # As many tasks at once as a laptop can run; the stock 32 is made for a server.
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        # The components must share these, and each would make up its own.
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
    }


class LocalAirflow:
    """A running Airflow: where it lives, the environment of its processes, and a client of its REST API."""

    def __init__(self, home: Path, port: int, processes: Processes, environment: Mapping[str, str]) -> None:
        self.home = home
        self.environment = environment
        self.url = f"http://127.0.0.1:{port}"
        self.rest = AirflowRest(self.url)
        self.processes = processes

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / "airflow.db"

    @property
    def task_logs(self) -> Path:
        """The folder of all task logs, those of triggers included."""
        return self.home / "logs"

    def wait_for(self, what: str, check: Callable[[], bool], limit: float) -> None:
        """Return once ``check()`` is true; raise if a process dies meanwhile or ``limit`` seconds pass."""
        deadline = time.monotonic() + limit
        while not self._answers(check):
            self.processes.require_alive()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {limit:.0f} s; see the logs in {self.processes.log_dir}")
            time.sleep(0.3)

    @staticmethod
    def _answers(check: Callable[[], bool]) -> bool:
        try:
            return check()
        except httpx.TransportError:  # the API server is not up yet
            return False


def start_airflow(
    processes: Processes,
    home: Path,
    dags_folder: Path,
    env: Mapping[str, str],
    report: Callable[[str], None] = lambda line: None,
) -> LocalAirflow:
    """
    Start Airflow with the Dags of ``dags_folder`` and with ``env`` in every component; return once it is healthy.

    :param processes: what ends it again
    :param home: emptied first, so give it a folder of its own
    :param report: called with a line for each step
    """
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    [port] = free_ports(1)
    # The Airflow of this interpreter, whichever is first on PATH; its own settings, whatever is set outside.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {**outside, "PATH": path, **_settings(home, dags_folder, port), **env}
    airflow = [sys.executable, "-m", "airflow"]
    report("making a new database")
    processes.start("migration", [*airflow, "db", "migrate"], environment)
    processes.finish("migration", limit=STARTUP_LIMIT)
    report(f"starting {', '.join(COMPONENTS)} on 127.0.0.1:{port}")
    for name, arguments in COMPONENTS.items():
        processes.start(name, [*airflow, *arguments], environment)
    running = LocalAirflow(home, port, processes, environment)
    running.wait_for("Airflow healthy", running.rest.is_healthy, STARTUP_LIMIT)
    return running
