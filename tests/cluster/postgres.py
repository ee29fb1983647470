"""
A PostgreSQL with an empty data folder, on a free port of 127.0.0.1, with a password made on the fly.

It comes from Debian's package. PostgreSQL refuses to run as root, and its folder must be readable by the user that it
runs as: so all lies in a temporary folder, and as root it runs as ``postgres``.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from demo.processes import Processes, free_ports
from tests.cluster.waiting import eventually

START_LIMIT = 30.0  # seconds
INITDB_LIMIT = 120.0  # seconds
COMMAND_LIMIT = 30.0  # seconds
USER = "airflow"


@dataclass(frozen=True)
class Postgres:
    """Where it is, as Airflow's settings want it."""

    port: int
    password: str = field(repr=False)

    def database(self, name: str) -> str:
        """Return the address of a database, for SQLAlchemy."""
        return f"postgresql+psycopg2://{USER}:{self.password}@127.0.0.1:{self.port}/{name}"


def binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL; Debian keeps it off the PATH."""
    found = [each.parent for each in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    on_path = shutil.which("postgres")
    return Path(on_path).parent if on_path else None


def start_postgres(processes: Processes, folder: Path, databases: Sequence[str]) -> Postgres:
    """
    Start it and return once its databases are there; it ends with ``processes``.

    :param folder: a temporary one, which other users may enter from here on.
    """
    programs = binaries()
    assert programs is not None, "PostgreSQL isn't installed"
    [port] = free_ports(1)
    postgres = Postgres(port, secrets.token_hex(16))
    home, password = folder / "postgres", folder / "postgres-password"
    home.mkdir(mode=0o700)
    password.touch(mode=0o600)
    password.write_text(postgres.password)
    prefix: list[str] = []
    if os.geteuid() == 0:
        folder.chmod(0o711)
        for path in (home, password):
            shutil.chown(path, "postgres", "postgres")
        prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run(
        [
            *(*prefix, str(programs / "initdb"), "-D", str(home), "-U", USER, "--pwfile", str(password)),
            *("-A", "scram-sha-256", "--no-sync", "--locale=C.UTF-8", "--encoding=UTF8"),
        ],
        env=plain_environment(),
        cwd=folder,
        check=True,
        timeout=INITDB_LIMIT,
        stdout=subprocess.DEVNULL,
    )
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 300,
        # The data need not outlive the machine.
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    processes.start("postgres", [*prefix, str(programs / "postgres"), "-D", str(home), *settings], plain_environment())
    address = ["--host=127.0.0.1", f"--port={port}", f"--username={USER}"]

    def answers() -> bool:
        ready = [str(programs / "pg_isready"), "--quiet", *address]
        return subprocess.run(ready, env=plain_environment(), check=False, timeout=COMMAND_LIMIT).returncode == 0

    eventually("PostgreSQL takes connections", answers, START_LIMIT, processes.require_alive)
    for name in databases:
        subprocess.run(
            [str(programs / "createdb"), "--no-password", *address, name],
            env={**plain_environment(), "PGPASSWORD": postgres.password},
            check=True,
            timeout=COMMAND_LIMIT,
        )
    return postgres


def plain_environment() -> dict[str, str]:
    """Return what a server needs of the environment."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
