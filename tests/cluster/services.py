"""
PostgreSQL and Redis for one test session, on free ports of 127.0.0.1, each with a password made on the fly.

They come from Debian's packages; ``require_installed`` names what to do where they are missing.
"""

from __future__ import annotations

import secrets
import shutil
import socket
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from demo.processes import Processes, free_ports
from tests.cluster.postgres import START_LIMIT, Postgres, binaries, plain_environment, start_postgres
from tests.cluster.waiting import eventually

DATABASES = ("airflow", "stock")


@dataclass(frozen=True)
class Services:
    """Where the services are, as Airflow's settings want it."""

    postgres: Postgres
    redis_port: int
    redis_password: str = field(repr=False)

    def database(self, name: str) -> str:
        """Return the address of a database, for SQLAlchemy."""
        return self.postgres.database(name)

    @property
    def broker(self) -> str:
        """The address of Redis, for Celery."""
        return f"redis://:{self.redis_password}@127.0.0.1:{self.redis_port}/0"


def require_installed() -> None:
    """Fail with what to install where a server is missing."""
    missing = []
    if binaries() is None:
        missing.append("postgresql")
    if shutil.which("redis-server") is None:
        missing.append("redis-server")
    if missing:
        pytest.exit(f"The cluster tests need {' and '.join(missing)}: apt-get install {' '.join(missing)}", 1)


def start_services(processes: Processes, folder: Path) -> Services:
    """Start both and return once they answer; they end with ``processes``."""
    [port], password = free_ports(1), secrets.token_hex(16)
    options = folder / "redis.conf"
    options.touch(mode=0o600)
    options.write_text(f'port {port}\nbind 127.0.0.1\nrequirepass {password}\nsave ""\nappendonly no\ndir {folder}\n')
    processes.start("redis", ["redis-server", str(options)], plain_environment())
    services = Services(start_postgres(processes, folder, DATABASES), port, password)
    eventually("Redis listens", lambda: _listens(port), START_LIMIT, processes.require_alive)
    return services


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
