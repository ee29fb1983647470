from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sixtyfour.cli.main import main
from tests.unit.airflow_tables import _database, tables  # noqa: F401 - fixtures

ROOT = Path(__file__).resolve().parents[3]
NO_DATABASE = "sqlite:////no/such/folder/airflow.db"


@dataclass(frozen=True)
class Done:
    """What a command has come to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def key(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """An API key in the environment, and no connection."""
    monkeypatch.delenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT")
    monkeypatch.setenv("SIXTYFOUR_API_KEY", emulator.api_key)
    monkeypatch.setenv("SIXTYFOUR_API_URL", emulator.url)
    return str(emulator.api_key)


@pytest.fixture
def cli(key: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Run a command in this process, with what it reads from stdin, which is no terminal."""

    def run(*arguments: object, stdin: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        capsys.readouterr()
        try:
            code = main(list(map(str, arguments)))
        except SystemExit as exit:
            code = int(exit.code or 0)
        printed = capsys.readouterr()
        assert key not in printed.out + printed.err
        assert "Traceback" not in printed.err
        return Done(code, printed.out, printed.err)

    return run


@pytest.fixture
def process(emulator: Any, tmp_path: Path) -> Callable[..., Done]:
    """Run a command in a process of its own, with an Airflow that has no database and no connection."""

    def run(*arguments: object, command: tuple[str, ...] = (), **env: str) -> Done:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "SIXTYFOUR_"))
        }
        done = subprocess.run(
            [*(command or (sys.executable, "-m", "airflow_provider_sixtyfour")), *map(str, arguments)],
            env={
                **inherited,
                "PYTHONPATH": str(ROOT),
                "AIRFLOW_HOME": str(tmp_path / "airflow"),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": NO_DATABASE,
                **env,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        assert emulator.api_key not in done.stdout + done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run
