"""A real Airflow, an emulator, and Chromium, for the tab."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as airflow_version
from playwright.sync_api import Browser, sync_playwright

from demo.local_airflow import LocalAirflow, start_airflow
from demo.processes import Processes
from tests.emulator_process import EmulatorProcess

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHROMIUM = "/usr/bin/chromium"  # Debian's
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@pytest.fixture(scope="session")
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess("--run-seconds", "3", "--queue-seconds", "0.5") as process:
        yield process


@pytest.fixture(scope="session")
def airflow(emulator: EmulatorProcess) -> Iterator[LocalAirflow]:
    home = ROOT / ".airflow" / f"browser-{airflow_version}"
    env = {"AIRFLOW_CONN_SIXTYFOUR_DEFAULT": emulator.connection_json()}
    with Processes(log_dir=home / "processes") as processes:
        running = start_airflow(processes, home / "airflow", HERE / "dags", env)
        running.wait_for("Dag read", lambda: running.rest.has_dag("enrich"), limit=60)
        running.rest.unpause("enrich")
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def tab(airflow: LocalAirflow, chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open the tab of a Dag run; fail if the console has an error."""
    pages = []

    def open_tab(dag_id: str, run_id: str, *, dark: bool = False, width: int = 1400) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        page = context.new_page()
        # Here, since Airflow 3.1 forgets which page was asked for when it logs somebody in on the way.
        answer = context.request.get(f"{airflow.url}/auth/token/login", max_redirects=0)
        assert any(cookie["name"] == "_token" for cookie in context.cookies(airflow.url)), answer
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        pages.append((context, errors))
        page.goto(f"{airflow.url}/dags/{dag_id}/runs/{run_id}/plugin/sixtyfour-dag_run")
        return page

    yield open_tab
    for context, errors in pages:
        context.close()
        assert errors == []
