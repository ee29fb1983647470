"""The pytest plugin, as a test suite of somebody else has it: in a process of its own, away from this project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "airflow_provider_sixtyfour.emulator.pytest_plugin"


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "DAG_BUNDLE" not in name}  # of these tests
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder / "dags")]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # it may be installed, of another version
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
    }


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_theirs.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", PLUGIN, "--rootdir", str(folder), "-c", os.devnull, "."]
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300, check=False
    )


def test_the_plugin_is_an_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"sixtyfour_emulator": PLUGIN}
    assert import_module(PLUGIN).sixtyfour_emulator


def test_a_suite_that_does_not_use_it_pays_nothing(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        """
import sys

def test_nothing_was_imported():
    ours = {name for name in sys.modules if name.startswith("airflow_provider_sixtyfour")}
    assert ours == {
        "airflow_provider_sixtyfour",
        "airflow_provider_sixtyfour.emulator",
        "airflow_provider_sixtyfour.emulator.pytest_plugin",
    }
    assert not {"airflow", "fastapi", "uvicorn", "httpx", "starlette"} & set(sys.modules)
""",
    )
    assert ended.returncode == 0, ended.stdout


def test_the_fixture_is_a_fresh_emulator_for_each_test(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        """
import pytest

@pytest.fixture(scope="session")
def sixtyfour_emulator_arguments():
    return ["--run-seconds", "0", "--queue-seconds", "0", "--credits", "7"]
"""
    )
    ended = run(
        tmp_path,
        """
import json, os, urllib.error, pytest

def test_faults_and_the_connection(sixtyfour_emulator):
    connection = json.loads(os.environ["AIRFLOW_CONN_SIXTYFOUR_DEFAULT"])
    assert connection["host"] == sixtyfour_emulator.url
    assert sixtyfour_emulator.api("GET", "/check-balance") == {"credits": 7.0}
    sixtyfour_emulator.fault("refuse", status=403, times=None)
    with pytest.raises(urllib.error.HTTPError):
        sixtyfour_emulator.api("GET", "/workflows")
    assert connection["password"] not in str(sixtyfour_emulator.requests())

def test_they_are_removed(sixtyfour_emulator):
    assert len(sixtyfour_emulator.api("GET", "/workflows")) == 3
    assert len(sixtyfour_emulator.requests()) == 1
    blocks = [{"block_id": "a", "sequence_number": 1, "block_type": "", "block_name": "webhook", "specs": {}}]
    workflow_id = sixtyfour_emulator.store_workflow({"blocks": blocks, "edges": []})
    assert sixtyfour_emulator.api("GET", f"/workflows/{workflow_id}")["id"] == workflow_id

def test_the_environment_is_as_it_was():
    assert "AIRFLOW_CONN_SIXTYFOUR_DEFAULT" not in os.environ
""",
    )
    assert ended.returncode == 0, ended.stdout


def test_the_example_of_its_page_tests_a_dag(tmp_path: Path) -> None:
    page = import_module(PLUGIN).__doc__ or ""
    found = re.search(r"as ``enrich_leads.py``::\n\n(.*?)\n\nits tests can be::\n\n(.*?)\n\n``plan``", page, re.DOTALL)
    assert found
    dag, tests = (textwrap.dedent(text) for text in found.groups())
    if not has_sdk():  # Airflow 2
        dag = dag.replace("from airflow.sdk import DAG", "from airflow.models.dag import DAG")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "enrich_leads.py").write_text(dag)
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment(tmp_path), check=True, capture_output=True, timeout=300)
    ended = run(tmp_path, tests)
    assert ended.returncode == 0, ended.stdout[-5000:]
    assert "3 passed" in ended.stdout


def has_sdk() -> bool:
    from importlib.util import find_spec

    return find_spec("airflow.sdk") is not None
