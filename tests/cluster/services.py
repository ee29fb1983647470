"""
PostgreSQL and Redis for one test session, on free ports of 127.0.0.1, each with a password made on the fly.

They come from Debian's packages; ``require_installed`` says what to do where they are missing. PostgreSQL refuses to
run as root, and its folder must be readable by the user that it runs as: so all lies in a temporary folder.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.processes import Processes, free_ports
from tests.cluster.waiting import eventually

DATABASES = ("airflow", "stock")
START_LIMIT = 30.0  # seconds
INITDB_LIMIT = 120.0  # seconds


@dataclass(frozen=True)
class Services:
    """Where the services are, as Airflow's settings want it."""

    postgres_port: int
    postgres_password: str
    redis_port: int
    redis_password: str

    def database(self, name: str) -> str:
        """Return the address of a database, for SQLAlchemy."""
        return f"postgresql+psycopg2://airflow:{self.postgres_password}@127.0.0.1:{self.postgres_port}/{name}"

    @property
    def broker(self) -> str:
        """The address of Redis, for Celery."""
        return f"redis://:{self.redis_password}@127.0.0.1:{self.redis_port}/0"


def require_installed() -> None:
    """Fail with what to install where a server is missing."""
    missing = []
    if _postgres_bin() is None:
        missing.append("postgresql")
    if shutil.which("redis-server") is None:
        missing.append("redis-server")
    if missing:
        pytest.exit(f"The cluster tests need {' and '.join(missing)}: apt-get install {' '.join(missing)}", 1)


def start_services(processes: Processes, folder: Path) -> Services:
    """Start both and return once they answer; they end with ``processes``."""
    [postgres_port, redis_port] = free_ports(2)
    services = Services(postgres_port, secrets.token_hex(16), redis_port, secrets.token_hex(16))
    _start_redis(processes, services, folder)
    _start_postgres(processes, services, folder)
    for name, port in (("Redis", redis_port), ("PostgreSQL", postgres_port)):
        eventually(f"{name} listens", lambda port=port: _listens(port), START_LIMIT, processes.require_alive)
    _make_databases(services)
    return services


def _start_redis(processes: Processes, services: Services, folder: Path) -> None:
    options = folder / "redis.conf"
    options.touch(mode=0o600)
    options.write_text(
        f"port {services.redis_port}\nbind 127.0.0.1\nrequirepass {services.redis_password}\n"
        f'save ""\nappendonly no\ndir {folder}\n'
    )
    processes.start("redis", ["redis-server", str(options)], _plain_environment())


def _start_postgres(processes: Processes, services: Services, folder: Path) -> None:
    binaries = _postgres_bin()
    assert binaries is not None
    home, password = folder / "postgres", folder / "postgres-password"
    home.mkdir(mode=0o700)
    password.touch(mode=0o600)
    password.write_text(services.postgres_password)
    prefix: list[str] = []
    if os.geteuid() == 0:
        folder.chmod(0o711)
        for path in (home, password):
            shutil.chown(path, "postgres", "postgres")
        prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run(
        [
            *(*prefix, binaries / "initdb", "-D", home, "-U", "airflow", "--pwfile", password),
            *("-A", "scram-sha-256", "--no-sync", "--locale=C.UTF-8", "--encoding=UTF8"),
        ],
        env=_plain_environment(),
        cwd=folder,
        check=True,
        timeout=INITDB_LIMIT,
        stdout=subprocess.DEVNULL,
    )
    options = {
        "listen_addresses": "127.0.0.1",
        "port": services.postgres_port,
        "unix_socket_directories": "",
        "max_connections": 300,
        # The data need not outlive the machine.
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    processes.start("postgres", [*prefix, str(binaries / "postgres"), "-D", str(home), *settings], _plain_environment())


def _make_databases(services: Services) -> None:
    import psycopg2

    address = services.database("postgres").replace("+psycopg2", "")

    def answers() -> bool:
        try:
            psycopg2.connect(address).close()
        except psycopg2.OperationalError:  # it listens a moment before it takes connections
            return False
        return True

    eventually("PostgreSQL takes connections", answers, START_LIMIT)
    connection = psycopg2.connect(address)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name in DATABASES:
            cursor.execute(f"CREATE DATABASE {name}")
    connection.close()


def _postgres_bin() -> Path | None:
    """Return the folder of the newest PostgreSQL; Debian keeps it off the PATH."""
    found = [each.parent for each in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    on_path = shutil.which("postgres")
    return Path(on_path).parent if on_path else None


def _plain_environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
