"""Outages: transient errors are waited out, on the worker and deferred, and never pay for a second run."""

import re

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.api.retry import ATTEMPTS
from airflow_provider_sixtyfour.exceptions import SixtyfourUnavailableError
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from tests.unit.conftest import ROWS
from tests.unit.standins import StateStore, Task

BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
OUTAGES = {
    "502 with HTML": {"action": "answer", "status": 502, "body": BAD_GATEWAY},
    "503 without a body": {"action": "answer", "status": 503},
    "reset": {"action": "reset"},
    "dropped": {"action": "drop"},
    "429 without Retry-After": {"action": "answer", "status": 429, "body": {"error": "rate", "message": "slow down"}},
    "200 with HTML": {"action": "answer", "status": 200, "body": "<html>Welcome</html>"},
    "half a JSON text": {"action": "answer", "status": 200, "body": '{"overall_status": "compl'},
    "JSON without what counts": {"action": "answer", "status": 200, "body": {"ok": True}},
}


def task(workflow, **arguments):
    arguments = {"webhook_payload": ROWS, "poll_interval": 0.02, "deferrable": False, **arguments}
    return Task(lambda: SixtyfourRunWorkflowOperator(task_id="run", workflow_id=workflow, **arguments))


@BOTH_MODES
@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_during_the_wait_is_waited_out(emulator, workflow, outage, deferrable, no_pauses, logs):
    emulator.fault(path=".*/live_status", times=4, **OUTAGES[outage])

    value = task(workflow, deferrable=deferrable).run()

    assert (value, emulator.statuses()) == (emulator.runs()[0]["job_id"], ["completed"])
    assert emulator.cancels() == []
    assert len([text for text in logs.texts("warning") if "Polling continues; the run is not affected" in text]) == 1
    assert "Sixtyfour answers again." in logs


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_at_the_submission_makes_one_run(emulator, workflow, outage, when, no_pauses):
    emulator.fault(method="POST", path="/workflows/run", when=when, times=2, **OUTAGES[outage])

    value = task(workflow).run()

    assert (value, len(emulator.runs())) == (emulator.runs()[0]["job_id"], 1)
    sent = emulator.submissions()
    assert len(sent) == 3
    assert len({one["idempotency_key"] for one in sent}) == 1


@pytest.mark.parametrize(
    ("call", "deferrable"), [("submission", False), ("status_check", False), ("status_check", True)]
)
def test_retry_after_is_waited_for(emulator, workflow, deferrable, call):
    where = {"submission": {"path": "/workflows/run"}, "status_check": {"path": ".*/live_status"}}[call]
    emulator.fault("answer", status=429, headers={"Retry-After": "1"}, body={"detail": "slow down"}, **where)

    value = task(workflow, deferrable=deferrable).run()

    assert value == emulator.runs()[0]["job_id"]
    first, second, *_ = emulator.submissions() if call == "submission" else emulator.status_checks()
    assert 1.0 <= second["at"] - first["at"] < 2.5


@BOTH_MODES
def test_a_run_may_be_unknown_in_its_first_second(emulator, workflow, deferrable):
    emulator.plan(hide_for_seconds=0.6, seconds=0.1)

    value = task(workflow, deferrable=deferrable).run()

    assert value == emulator.runs()[0]["job_id"]
    assert {one["status"] for one in emulator.status_checks()} == {404, 200}


@BOTH_MODES
def test_an_outage_in_the_middle_is_waited_out(emulator, workflow, deferrable, no_pauses):
    one = task(workflow, deferrable=deferrable)
    emulator.plan(seconds=0.3)
    push = one.ti.xcom_push

    def push_and_go_down(key, value):
        push(key, value)
        if key == "job_id":
            emulator.outage(1.0)

    one.ti.xcom_push = push_and_go_down

    assert one.run() == emulator.runs()[0]["job_id"]
    assert (len(emulator.runs()), emulator.cancels()) == (1, [])


def test_an_api_that_stays_away_at_the_submission_leaves_the_rest_to_airflow(emulator, workflow, no_pauses):
    emulator.fault("reset", method="POST", path="/workflows/run", times=1000)
    one = task(workflow)
    one.store = StateStore()

    with pytest.raises(
        SixtyfourUnavailableError, match=f"No answer from .* While starting workflow {workflow}"
    ) as lost:
        one.run()

    assert not isinstance(lost.value, AirflowFailException)
    assert len(emulator.submissions()) == ATTEMPTS
    emulator.clear()
    assert one.retry() == emulator.runs()[0]["job_id"]
    assert len(emulator.runs()) == 1


@BOTH_MODES
def test_a_lost_answer_makes_one_run_also_without_a_durable_record(emulator, workflow, deferrable, no_pauses):
    emulator.fault("drop", method="POST", path="/workflows/run", when="after")

    value = task(workflow, deferrable=deferrable, durable=False).run()

    assert [run["job_id"] for run in emulator.runs()] == [value]
    assert len(emulator.submissions()) == 2


@BOTH_MODES
def test_an_outage_is_logged_in_words_and_without_a_page_of_html(emulator, workflow, deferrable, no_pauses, logs):
    emulator.fault("answer", path=".*/live_status", times=2, status=502, body=BAD_GATEWAY)

    task(workflow, deferrable=deferrable).run()

    [line] = [text for text in logs.texts("warning") if "502" in text]
    job_id = emulator.runs()[0]["job_id"]
    assert line == (
        f"Sixtyfour answered 502: 502 Bad Gateway. While checking the status of run {job_id}. "
        "Polling continues; the run is not affected."
    )
    assert not any(re.search(r"</?html", text) for text in logs.texts())
