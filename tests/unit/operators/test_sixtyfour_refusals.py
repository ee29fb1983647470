"""What cannot be sent, and what the API refuses: one clear error, no retry, no run."""

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourWaitError
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from tests.unit.conftest import CLIENT_ID, KEY_ID, ROWS, Empty
from tests.unit.standins import StateStore, Task

BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
NAN = float("nan")


def task(workflow, **arguments):
    arguments = {"webhook_payload": ROWS, "poll_interval": 0.02, "deferrable": False, **arguments}
    return Task(lambda: SixtyfourRunWorkflowOperator(task_id="run", workflow_id=workflow, **arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"webhook_payload": ["Example Bakery"]}, "Row 0 of webhook_payload should be an object"),
        ({"webhook_payload": [ROWS[0], None]}, "Row 1 of webhook_payload should be an object"),
        ({"webhook_payload": 7}, "should be a list of objects or one object, not int"),
        ({"webhook_payload": b"[]"}, "not bytes"),
        ({"webhook_payload": [{"score": NAN}]}, "row 0['score'] is nan, which JSON cannot represent"),
        ({"webhook_payload": [{"score": float("-inf")}]}, "is -inf"),
        ({"webhook_payload": [{"a": {"b": [1, b"raw"]}}]}, "row 0['a']['b'][1] is of type bytes"),
        ({"webhook_payload": [{"price": Decimal("1.5")}]}, "is of type Decimal"),
        ({"webhook_payload": [{1: "one"}]}, "has a key that isn't text"),
        ({"webhook_payload": [{"name": "\ud83d"}]}, "isn't valid Unicode"),
        ({"webhook_payload": []}, "webhook_payload is an empty list"),
        ({"webhook_payload": "[1]"}, "Row 0 of webhook_payload should be an object"),
        ({"webhook_payload": None}, "begins with the block 'webhook': it takes rows: give webhook_payload"),
        ({"resource_handle_id": "h-1"}, "not both"),
        ({"webhook_payload": None, "resource_handle_id": "h-1"}, "it takes rows"),
        ({"webhook_payload": None, "resource_handle_id": "None"}, "resource_handle_id should be an id"),
        ({"webhook_payload": None, "resource_handle_id": ""}, "resource_handle_id should be an id"),
        ({"specs_override": [1]}, "specs_override should be an object"),
        ({"specs_override": {"threshold": NAN}}, "specs_override['threshold'] is nan"),
        ({"result_formats": ("csv", "xlsx")}, "result_formats should be some of csv, json, ndjson, not ['xlsx']"),
        ({"result_formats": ()}, "not none"),
        ({"result_formats": 3}, "result_formats should be a list of formats"),
        ({"result_formats": [["csv"]]}, "result_formats should be some of csv, json, ndjson"),
        ({"poll_interval": 0}, "poll_interval should be a positive number of seconds"),
        ({"poll_interval": -1}, "poll_interval"),
        ({"poll_interval": NAN}, "poll_interval"),
        ({"poll_interval": "x"}, "poll_interval"),
        ({"poll_interval": None}, "poll_interval"),
        ({"poll_interval": True}, "poll_interval"),
        ({"timeout": 0}, "timeout should be a positive number of seconds or a timedelta"),
        ({"timeout": -5}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": NAN}, "timeout"),
        ({"timeout": timedelta(0)}, "timeout"),
        ({"timeout": True}, "timeout"),
    ],
    ids=lambda value: re.sub(r"\W+", "-", str(value))[:50] if isinstance(value, dict) else "",
)
def test_invalid_input_fails_for_good_and_starts_nothing(emulator, workflow, arguments, message):
    one = task(workflow, **arguments)
    one.store = StateStore()

    with pytest.raises(AirflowFailException, match=re.escape(message)):
        one.run()

    assert emulator.submissions() == []
    assert emulator.runs() == []


def test_bad_input_is_found_before_a_deferral(emulator, workflow):
    with pytest.raises(AirflowFailException, match="poll_interval"):
        task(workflow, deferrable=True, poll_interval=NAN).run()

    assert emulator.submissions() == []


@pytest.mark.parametrize("workflow_id", ["", "None", None, "a/b", "../x", 7, "..", "a b", "x" * 300])
def test_a_workflow_id_that_is_none_sends_nothing_at_all(emulator, workflow_id):
    with pytest.raises(AirflowFailException, match="workflow_id should be an id"):
        task(workflow_id).run()

    assert emulator.requests() == []


def test_rows_for_a_workflow_that_reads_a_file_start_nothing(emulator):
    workflow = emulator.store_workflow(source="read_csv")

    with pytest.raises(AirflowFailException, match="begins with the block 'read_csv': it reads an uploaded file"):
        task(workflow).run()

    assert emulator.submissions() == []


def test_a_credential_that_may_not_read_the_workflow_may_still_run_it(emulator, workflow):
    emulator.fault("answer", method="GET", path=f"/workflows/{workflow}", status=403, body={"detail": "no"})

    assert task(workflow).run() == emulator.runs()[0]["job_id"]


def connection(**fields):
    return json.dumps({"conn_type": "sixtyfour", **fields})


OAUTH = {"login": CLIENT_ID, "extra": {"key_id": KEY_ID}}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "has no credential"),
        ({"password": "key with its line break\n"}, "The API key (the connection's password)"),
        ({"login": CLIENT_ID, "extra": {"key_id": KEY_ID, "private_key": "not a key"}}, "private_key can't be read"),
        (
            {"password": "k", "extra": {"timeout": "soon"}},
            "timeout in the connection's extra is 'soon': set a positive number of seconds",
        ),
        ({"password": "k", "host": "ftp://127.0.0.1"}, "names no http(s) host"),
    ],
)
def test_a_connection_that_cannot_be_right_fails_for_good_and_sends_nothing(
    emulator, workflow, monkeypatch, fields, message
):
    fields = {"host": emulator.url, **fields}
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", connection(**fields))

    with pytest.raises(AirflowFailException, match=re.escape(message)):
        task(workflow).run()

    assert emulator.requests() == []


@BOTH_MODES
def test_a_missing_connection_is_named_and_nothing_sent(emulator, workflow, deferrable, backends):
    backends(Empty())
    with pytest.raises(AirflowFailException, match="Connection 'nowhere' is not defined"):
        task(workflow, deferrable=deferrable, sixtyfour_conn_id="nowhere").run()

    assert emulator.requests() == []


REFUSALS = {
    400: ({"error": "Bad Request", "message": "The graph has no source"}, "The graph has no source"),
    401: ({"error": "Unauthorized", "message": "Invalid API key"}, "Check the API key, or the OAuth client"),
    402: ({"error": {"code": "insufficient_credits", "message": "12 are left"}}, "12 are left"),
    403: ({"detail": "Not yours"}, "Not yours"),
    404: ({"detail": "No such workflow"}, "No such workflow"),
    409: ("<html><title>Conflict</title></html>", "Conflict"),
    422: ({"detail": [{"loc": ["body", "webhook_payload", 0], "msg": "bad row"}]}, "body.webhook_payload.0: bad row"),
}


@BOTH_MODES
@pytest.mark.parametrize("status", sorted(REFUSALS))
def test_a_refused_submission_is_sent_once_and_fails_for_good_with_the_reason(emulator, workflow, status, deferrable):
    body, message = REFUSALS[status]
    emulator.fault("answer", method="POST", path="/workflows/run", status=status, body=body, times=10)
    one = task(workflow, deferrable=deferrable)
    one.store = StateStore()

    with pytest.raises(AirflowFailException) as failure:
        one.run()

    assert message in str(failure.value)
    assert str(failure.value).startswith(f"Sixtyfour answered {status}: ")
    assert str(failure.value).endswith(f" While starting workflow {workflow}.")
    assert len(emulator.submissions()) == 1


@pytest.mark.parametrize("status", sorted(set(REFUSALS) - {403}))
def test_a_refused_look_at_the_workflow_starts_nothing(emulator, workflow, status):
    emulator.fault("answer", method="GET", path=f"/workflows/{workflow}", status=status, body=REFUSALS[status][0])

    with pytest.raises(AirflowFailException, match=f"Sixtyfour answered {status}: .* While reading workflow"):
        task(workflow).run()

    assert (len(emulator.asked("GET", f"/workflows/{workflow}")), emulator.submissions()) == (1, [])


def test_a_real_lack_of_credits_and_a_workflow_that_is_not_there(emulator):
    missing = "00000000-0000-4000-8000-000000000000"

    with pytest.raises(
        AirflowFailException, match=f"404: .*There is none of that id.* While reading workflow {missing}"
    ):
        task(missing).run()

    assert emulator.submissions() == []


@BOTH_MODES
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_that_is_repeated_during_the_wait_fails_but_not_for_good(
    emulator, workflow, status, deferrable, monkeypatch
):
    monkeypatch.setattr("airflow_provider_sixtyfour.polling.failure_policy.REFUSAL_PATIENCE", 0.5)
    emulator.plan(seconds=1000)
    emulator.fault("answer", path=".*/live_status", status=status, body={"detail": "no longer"}, skip=2, times=500)

    with pytest.raises(
        SixtyfourWaitError, match=f"answered {status}: no longer.* While checking the status"
    ) as failure:
        task(workflow, deferrable=deferrable).run()

    assert "the next try of this task reattaches to it" in str(failure.value)
    assert emulator.cancels() == []
    assert len(emulator.status_checks()) > 5


@BOTH_MODES
def test_a_redirect_is_not_followed(emulator, workflow, deferrable):
    elsewhere = "http://127.0.0.1:1/workflows/run"
    emulator.fault("answer", method="POST", path="/workflows/run", status=307, headers={"location": elsewhere}, times=5)

    with pytest.raises(AirflowFailException, match=r"a redirect to 127\.0\.0\.1:1, which is not followed"):
        task(workflow, deferrable=deferrable).run()

    assert len(emulator.submissions()) == 1


def test_input_errors_of_the_provider_are_value_errors_too():
    assert issubclass(SixtyfourInputError, ValueError)
