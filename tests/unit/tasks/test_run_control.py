"""An event that the states of a run do not allow is an error, and loses no run."""

import ast
import logging
from pathlib import Path

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.runs.lifecycle import LifecycleError
from airflow_provider_sixtyfour.sensors import sixtyfour as sensors
from airflow_provider_sixtyfour.tasks.run_control import RunControl
from airflow_provider_sixtyfour.tasks.run_metrics import RunMetrics


@pytest.fixture
def run(emulator, workflow):
    emulator.plan(seconds=1000)
    return emulator.start_run(workflow)


ILLEGAL = {
    "another request": lambda control: control.submitting(calls.list_workflows()),
    "a refusal of no request": lambda control: control.not_started(),
    "another run": lambda control: control.started("another-run"),
}


@pytest.mark.parametrize("has_next_try", [True, False], ids=["a next try", "the last try"])
@pytest.mark.parametrize("event", ILLEGAL.values(), ids=ILLEGAL)
def test_an_impossible_event_fails_the_task_and_leaves_its_run_to_the_rules(emulator, run, event, has_next_try):
    control = RunControl(SixtyfourHook(), metrics=RunMetrics("c", "w"), cancels=True, log=logging.getLogger("test"))

    def a_try():
        with control.running(has_next_try=has_next_try):
            assert control.client
            control.started(run)
            event(control)

    with pytest.raises(LifecycleError, match="is not possible in"):
        a_try()

    assert emulator.statuses() == (["running"] if has_next_try else ["cancelled"])


def test_a_request_without_an_answer_is_not_forgotten(emulator, workflow):
    """Its key finds its run."""
    emulator.plan(seconds=1000)
    body = {"webhook_payload": [{"name": "Lead"}]}
    call = calls.run_workflow(workflow, body, result_formats=("csv",), idempotency_key="k1")
    control = RunControl(SixtyfourHook(), metrics=RunMetrics("c", "w"), cancels=True, log=logging.getLogger("test"))

    def a_try():
        with control.running(has_next_try=False):
            control.submitting(call)
            control.client.send(call)
            control.over()

    with pytest.raises(LifecycleError):
        a_try()

    assert emulator.statuses() == ["cancelled"]


def test_the_sensor_has_no_run_to_control():
    imported = [
        node.module
        for node in ast.walk(ast.parse(Path(sensors.__file__).read_text()))
        if isinstance(node, ast.ImportFrom)
    ]

    assert not [name for name in imported if name and name.endswith("run_control")]
