"""
A pytest plugin for the tests of those who use this provider: the ``sixtyfour_emulator`` fixture.

Invariant: a session that doesn't use the fixture pays for this module alone, which imports nothing but pytest.

The fixture is a running emulator, started once a session, with the connection ``sixtyfour_default`` to it in the
environment. With this Dag in the Dags folder, as ``enrich_leads.py``::

    from datetime import datetime

    from airflow.sdk import DAG

    from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator

    with DAG("enrich_leads", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        SixtyfourRunWorkflowOperator(
            task_id="enrich",
            workflow_id="8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d64",  # a sample that the emulator starts with
            webhook_payload=[{"name": "Ada Lovelace", "company": "Acme"}],
            deferrable=False,
            poll_interval=0.2,
        )

its tests can be::

    from enrich_leads import dag


    def test_the_dag_starts_one_run(sixtyfour_emulator):
        assert dag.test().state == "success"
        [run] = sixtyfour_emulator.runs()
        assert (run["status"], run["rows"]) == ("completed", 1)


    def test_a_run_that_fails_fails_the_dag(sixtyfour_emulator):
        sixtyfour_emulator.plan(fail_block=2, error_message="no source answers")
        assert dag.test().state == "failed"


    def test_a_bad_gateway_does_not_start_a_second_run(sixtyfour_emulator):
        before = len(sixtyfour_emulator.runs())
        sixtyfour_emulator.fault("answer", path="/workflows/run", status=502, body="<html>", when="after")
        assert dag.test().state == "success"
        assert len(sixtyfour_emulator.runs()) == before + 1

``plan`` says how the next run ends, ``fault`` what goes wrong with the next requests, ``requests`` and ``runs`` show
what happened; between two tests requests, faults and plans are cleared. To start it otherwise, override
``sixtyfour_emulator_arguments`` in a ``conftest.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.emulator.process import EmulatorProcess


@pytest.fixture(scope="session")
def sixtyfour_emulator_arguments() -> list[str]:
    """Return the arguments of the emulator's command line: runs that take no time, and no rate limit."""
    return ["--run-seconds", "0.1", "--queue-seconds", "0", "--requests-per-minute", "0"]


@pytest.fixture(scope="session")
def _sixtyfour_emulator_process(sixtyfour_emulator_arguments: list[str]) -> Iterator[EmulatorProcess]:
    from airflow_provider_sixtyfour.emulator.process import EmulatorProcess

    with EmulatorProcess(*sixtyfour_emulator_arguments) as process:
        yield process


@pytest.fixture
def sixtyfour_emulator(
    _sixtyfour_emulator_process: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> EmulatorProcess:
    """Return a running emulator, to which the connection ``sixtyfour_default`` leads."""
    emulator = _sixtyfour_emulator_process
    emulator.clear()
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", emulator.connection_json())
    return emulator
